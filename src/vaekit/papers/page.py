"""What a reproduction adds to the report of its main run: the paper, the table and the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vaekit.papers.paper import Paper, Row
from vaekit.report.head import Cover
from vaekit.report.page import table


def figure(value: float | None) -> str:
    """A number as the tables show it.

    >>> figure(-155.91), figure(0.8341), figure(None)
    ('−155.91', '0.834', '–')
    """
    if value is None:
        return "–"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return text.replace("-", "−")


def results(rows: Sequence[Row]) -> str:
    """The table, as HTML."""
    cells = [
        (
            f"{row.system}: {row.metric} ({row.unit})",
            figure(row.published),
            row.expected.replace("-", "−") or "–",
            figure(row.measured),
            row.verdict,
            row.protocol + (f". Published: {row.certainty}" if row.published is not None else ""),
        )
        for row in rows
    ]
    head = ("figure", "published", "expected", "measured", "verdict", "protocol")
    return table(head, cells, numbers=(1, 2, 3), style="results")


def cover_of(paper: Paper, folder: Path, rows: Sequence[Row], pictures: Sequence[tuple[str, str]]) -> Cover:
    """The cover of ``folder/report.html``.

    Args:
        paper: what was reproduced.
        folder: of the reproduction.
        rows: the table.
        pictures: title and HTML of each.
    """
    first = rows[0]
    seeds = ", ".join(map(str, first.seeds))
    seconds = sum({row.system: row.seconds for row in rows}.values())
    made = f"Budget: {first.budget}; seed {seeds}; {seconds:,.0f} s of training; commit {first.commit or 'unknown'}."
    sections = [("Published and measured", results(rows)), *pictures]
    return Cover(
        folder / "report.html", f"{paper.name}: {paper.title}", (paper.citation, made), first.command, sections
    )
