"""The benchmarks run from end to end, with numbers far too small to mean anything."""

from tests.benchmarks import plot, rounds, table

TINY = rounds.Effort(
    rounds=1,
    seconds=0.2,
    questions=2,
    flood_chunks=40,
    sockets=5,
    conversations=30,
    messages=20,
    watched_chunks=5,
)


async def test_every_row_of_the_table_is_measured() -> None:
    results = await rounds.measure(TINY)
    text = table.markdown(results)
    assert [row.name for row in table.ROWS if f"| {row.name} |" not in text] == []
    assert all(name in plot.svg(results) for _, name, _ in plot.BARS)
