"""Report: what the kept results say, as a page to read and a page to look at.

`python -m benchmarks.report` reads `benchmarks/results/*.json` and writes `results/report.md` and
`results/report.html`, which needs nothing from elsewhere.
"""

import sys
from collections.abc import Iterator
from html import escape
from typing import Any

from benchmarks.results import FOLDER, Kept, read

TITLES = {
    "load": "At full speed: CPU of a hit, times the first",
    "load_tls": "The whole job with vendors over TLS: CPU of a hit, times the first",
    "delivered": "What the vendors get of a purchase",
    "latency": "Latency from the moment a hit was due",
    "growth": "What grows, and what it costs",
    "scaling": "Workers, memory, start",
    "webhook": "Signed webhooks, times the plain way",
    "hostile": "Hostile templates, in a running server",
}
BARS = {
    "load": "x_first",
    "load_tls": "x_first",
    "latency": "p99_ms",
    "growth": "x_first",
    "scaling": "value",
    "webhook": "x_first",
}
"""The column that is drawn; where none is named, nothing is."""
OURS, OTHERS = "#2563eb", "#94a3b8"
STYLE = """\
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; margin: 1rem 0 2rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
small { color: #888; }
"""


def main() -> int:
    """Write both pages."""
    kept = [one for name in TITLES for one in read() if one.name == name]
    if not kept:
        print("there are no results: run `make bench`", file=sys.stderr)
        return 1
    (FOLDER / "report.md").write_text("\n".join(markdown(kept)) + "\n")
    (FOLDER / "report.html").write_text("\n".join(page(kept)) + "\n")
    print(FOLDER / "report.html")
    return 0


def markdown(kept: list[Kept]) -> Iterator[str]:
    """Tables."""
    yield "# Benchmarks"
    for one in kept:
        yield from ("", f"## {TITLES[one.name]}", "", provenance(one), "")
        columns = list(one.rows[0])
        yield f"| {' | '.join(columns)} |"
        yield f"| {' | '.join('---' for _ in columns)} |"
        for row in one.rows:
            yield f"| {' | '.join(told(row.get(column)) for column in columns)} |"


def page(kept: list[Kept]) -> Iterator[str]:
    """The same, with bars."""
    yield f"<!doctype html><meta charset=utf-8><title>sgtm benchmarks</title><style>{STYLE}</style>"
    yield "<h1>Benchmarks</h1>"
    for one in kept:
        yield f"<h2>{escape(TITLES[one.name])}</h2><p><small>{escape(provenance(one))}</small></p>"
        if one.name in BARS:
            yield bars(one)
        columns = list(one.rows[0])
        yield "<table><tr>" + "".join(f"<th>{escape(column)}" for column in columns) + "</tr>"
        for row in one.rows:
            yield "<tr>" + "".join(f"<td>{escape(told(row.get(column)))}" for column in columns) + "</tr>"
        yield "</table>"


def provenance(one: Kept) -> str:
    """Where the figures come from."""
    return f"`{one.command}` at {one.revision}, {one.at}, {one.machine}, load {one.load}."


def bars(one: Kept) -> str:
    """A bar for each row that has a figure; ours in another colour."""
    column = BARS[one.name]
    found: list[tuple[str, float]] = []
    for row in one.rows:
        value = row.get(column)
        if isinstance(value, (int, float)):
            found.append((label(row), float(value)))
    longest = max((value for _, value in found), default=1.0) or 1.0
    lines = [f'<svg width="100%" viewBox="0 0 800 {22 * len(found) + 24}" role="img"><title>{column}</title>']
    lines.append(f'<text x="270" y="14">{escape(column)}</text>')
    for index, (name, value) in enumerate(found):
        y, width = 24 + 22 * index, 440 * value / longest
        colour = OURS if name.startswith("sgtm") or one.name in ("growth", "scaling") else OTHERS
        lines.append(f'<text x="262" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        lines.append(f'<rect x="270" y="{y}" width="{width:.1f}" height="17" rx="2" fill="{colour}"/>')
        lines.append(f'<text x="{276 + width:.1f}" y="{y + 13}">{escape(told(value))}</text>')
    return "".join([*lines, "</svg>"])


def label(row: dict[str, Any]) -> str:
    """What a row is about."""
    parts = [row.get("name") or row.get("what"), row.get("rate") or row.get("size") or row.get("unit")]
    return ", ".join(str(part) for part in parts if part)


def told(value: object) -> str:
    """A figure, as short as it can be."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
