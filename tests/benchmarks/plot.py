"""The table's main rows as bars, in an SVG written by hand."""

from html import escape

from tests.benchmarks.table import Results, middle

PANELS = [
    ("Added latency, 100 answers of 20 chunks/s, median ms", "latency 100 x 20, median ms"),
    ("Full flood, chunks/s (more is better)", "flood, chunks/s"),
    ("Processor seconds per 100,000 chunks at load", "CPU per 100,000 chunks at 100 x 20, s"),
    ("Memory per idle socket, kB", "memory per idle socket, kB"),
]
BARS = [("relay", "bare relay", "#8a8f98"), ("this", "this server", "#2f6fde"), ("obvious", "obvious code", "#c9803a")]
WIDTH, BAR, LABEL, LONGEST = 640, 18, 100, 440


def svg(results: Results) -> str:
    shapes: list[str] = []
    y = 8
    for title, row in PANELS:
        shapes.append(_text(8, y + 14, title, "bold"))
        y += 22
        values = {server: middle(results, server, row) or 0.0 for server, _, _ in BARS}
        for server, name, colour in BARS:
            length = round(LONGEST * values[server] / (max(values.values()) or 1), 1)
            shapes.append(_text(8, y + 13, name))
            shapes.append(f'<rect x="{LABEL}" y="{y}" width="{length}" height="{BAR - 4}" fill="{colour}"/>')
            shapes.append(
                _text(
                    LABEL + length + 6,
                    y + 13,
                    f"{values[server]:,.3g}" if values[server] < 1000 else f"{values[server]:,.0f}",
                )
            )
            y += BAR
        y += 12
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>', *shapes, "</svg>", ""])


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    style = f'font-family="sans-serif" font-size="13" font-weight="{weight}" fill="#222"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
