"""llama.cpp's own HTTP server as a process, as the package xllamacpp contains it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS_TO_START = 60


@contextmanager
def llama_server(model: Path, **parameters: Any) -> Iterator[str]:
    """The address of a server for the model, until the block ends. `parameters` are llama.cpp's common_params.

    What it complains of goes to stderr.
    """
    command = [sys.executable, __file__, str(model), json.dumps(parameters)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip() or _not_started(process)
        finally:
            process.kill()


def _not_started(process: subprocess.Popen[str]) -> str:
    raise RuntimeError(f"llama.cpp's server ended with status {process.wait()} before it was ready")


def _serve(model: str, parameters: dict[str, Any]) -> None:
    """Serve on a port that the system chooses and print the address, until whoever started this is gone."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.warmup = wanted.fit_params = False
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1  # more would only wait for each other
    wanted.verbosity = 1
    for name, value in parameters.items():
        setattr(wanted, name, value)
    signal.alarm(SECONDS_TO_START)
    server = xllamacpp.Server(wanted)
    signal.alarm(0)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
