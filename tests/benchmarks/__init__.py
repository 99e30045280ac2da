"""How this server compares with a bare relay and with the obvious code: `python -m tests.benchmarks`."""
