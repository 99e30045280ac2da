"""The rows of the table: what is compared how, what was aimed at, and whether it was met."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Results = dict[str, dict[str, list[float]]]
"""By the server's name, by the row's name: one value a round."""


@dataclass(frozen=True)
class Row:
    """`compare` makes one number of (this, relay), which should be under `most` or at least `least`."""

    name: str
    compare: str
    most: float = float("inf")
    least: float = 0.0


COMPARISONS: dict[str, Callable[[float, float], float]] = {
    "times the relay's": lambda this, relay: this / relay,
    "more than the relay's": lambda this, relay: this - relay,
    "itself": lambda this, relay: this,
}
TIMES, MORE, ITSELF = COMPARISONS
ROWS = [
    Row("latency 20 x 50, median ms", TIMES, 1.5),
    Row("latency 20 x 50, p99 ms", TIMES, 2.0),
    Row("latency 100 x 20, median ms", TIMES, 1.5),
    Row("latency 100 x 20, p99 ms", TIMES, 2.0),
    Row("first piece after sending, ms", MORE, 4.0),
    Row("flood, chunks/s", TIMES, least=0.6),
    Row("CPU per 100,000 chunks at 100 x 20, s", TIMES, 2.0),
    Row("CPU per 100,000 chunks of a flood, s", TIMES),
    Row("CPU per short question, ms", ITSELF, 4.0),
    Row("memory per idle socket, kB", ITSELF, 30.0),
    Row("start to first page, s", ITSELF, 1.5),
    Row("memory at first page, MB", ITSELF, 90.0),
    Row("CPU of the 1,000th message against the 10th", ITSELF, 1.5),
    Row("CPU of the list's last page of 10,000 against its first", ITSELF, 1.5),
    Row("CPU of 10 readers against one, streaming", ITSELF, 2.0),
    Row("CPU of 10 readers against one, flood", ITSELF, 2.0),
]


def middle(results: Results, server: str, row: str) -> float | None:
    values = results.get(server, {}).get(row)
    return median(values) if values else None


def compared(results: Results, row: Row) -> float:
    """The median over the rounds, each compared within itself: the machine may be busy in one and not in another."""
    this = results["this"][row.name]
    relay = results["relay"].get(row.name, this)
    return median(COMPARISONS[row.compare](a, b) for a, b in zip(this, relay, strict=True))


def markdown(results: Results) -> str:
    lines = ["| | relay | this | obvious | this against the relay | aimed at |", "|---|--:|--:|--:|--:|--:|"]
    for row in ROWS:
        if row.name not in results["this"]:
            continue
        values = [_number(middle(results, server, row.name)) for server in ("relay", "this", "obvious")]
        lines.append(f"| {row.name} | {' | '.join(values)} | {_verdict(row, compared(results, row))} |")
    return "\n".join(lines)


def _verdict(row: Row, value: float) -> str:
    unit = {TIMES: " x", MORE: " more", ITSELF: ""}[row.compare]
    shown = "" if row.compare == ITSELF else _number(value) + unit
    if row.most == float("inf") and not row.least:
        return f"{shown} | "
    aim = f"{row.least:g} x or more" if row.least else f"under {row.most:g}{unit}"
    return f"{shown} | {aim}, {'met' if row.least <= value < row.most else 'missed'}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
