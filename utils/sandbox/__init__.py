"""How code from a model is kept apart from the rest of the machine. The way in is utils/python_sandbox.py.

isolation.py   the bubblewrap command line, and the trial that says whether it works here
boot/          what runs inside: limits first, then an ipykernel whose output is bounded
nursery.py     without bubblewrap: a parent that outlives neither the server nor the kernel
kernel.py      one conversation's Python process, seen from the server: run, interrupt, kill
result.py      what a call said and wrote, as a tool's result
watch.py       what a sandbox uses (memory, processes, disk), and the moment that is too much
workspace.py   the files: which are new, which are really PNG
"""
