"""The report of a reproduction: one page that opens from disk and needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from vaekit.papers.paper import Row
from vaekit.training.files import replacing

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
img { max-width: 100%; height: auto; display: block; background: white; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #8886; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; } tr:first-child { display: none; }
  td { border: 0; padding: .1rem 0; } tr { border-bottom: 1px solid #8886; padding: .7rem 0; }
  td.number { text-align: left; } td[data-is]::before { content: attr(data-is) ": "; opacity: .7; }
}
code { font-size: .9em; overflow-wrap: anywhere; }
"""


def figure(value: float | None) -> str:
    """A number as the tables show it.

    >>> figure(-155.91), figure(0.8341), figure(None)
    ('−155.91', '0.834', '–')
    """
    if value is None:
        return "–"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return text.replace("-", "−")


def write_page(
    path: Path, title: str, citation: str, rows: Sequence[Row], pictures: Sequence[tuple[Path, str, str]]
) -> None:
    """Write the page.

    Args:
        path: the file.
        title: what was reproduced.
        citation: of whom.
        rows: the table.
        pictures: for each its file, a heading and what it shows.
    """
    head = "".join(f"<th>{name}</th>" for name in ("system", "metric", "published", "expected", "measured", "verdict"))
    body = "".join(
        f"<tr><td>{escape(row.system)}</td><td>{escape(row.metric)} ({escape(row.unit)})<br>"
        f"<small>{escape(row.protocol)}</small></td>"
        f'<td class="number" data-is="published">{figure(row.published)}</td>'
        f'<td class="number" data-is="expected">{escape(row.expected.replace("-", "−")) or "–"}</td>'
        f'<td class="number" data-is="measured"><b>{figure(row.measured)}</b></td>'
        f'<td data-is="verdict">{row.verdict}</td></tr>'
        for row in rows
    )
    shown = "".join(
        f'<h2>{escape(heading)}</h2><p>{escape(text)}</p><img alt="{escape(heading)}" src="data:image/png;base64,'
        f'{base64.b64encode(file.read_bytes()).decode()}">'
        for file, heading, text in pictures
    )
    first = rows[0]
    made = f"{first.budget}; seed {', '.join(map(str, first.seeds))}; {first.seconds:.0f} s of training"
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{escape(citation)}</p><p>Again: <code>{escape(first.command)}</code><br>Budget: {escape(made)}; "
        f"commit {escape(first.commit or 'unknown')}. Published: {escape(first.certainty)}.</p>"
        f'<div class="table"><table><tr>{head}</tr>{body}</table></div>{shown}</body></html>\n'
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
