"""Measure, print the table, draw docs/bench.svg."""

import asyncio
import logging

from tests.benchmarks import plot, rounds, servers, table

logging.basicConfig(level=logging.INFO, format="%(message)s")
results = asyncio.run(rounds.measure(rounds.Effort()))
print(table.markdown(results))
(servers.ROOT / "docs" / "bench.svg").write_text(plot.svg(results))
