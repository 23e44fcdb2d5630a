"""The page of a reproduction: the paper, the table and the pictures, or the way to the pages of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vaekit.atomic import replacing
from vaekit.papers.paper import UNVERIFIED, Paper, Row
from vaekit.plots.curves import courses
from vaekit.report.head import Cover
from vaekit.report.page import command, document, pair, paragraph, section, table, text
from vaekit.report.page import figure as picture
from vaekit.run.run import Run

NO_BREAK = "\u00a0"


def figure(value: float | None) -> str:
    """A number as the tables show it.

    >>> figure(-155.91), figure(0.8341), figure(2.3e-14), figure(None)
    ('−155.91', '0.834', '2.3e−14', '–')
    """
    if value is None:
        return "–"
    small = 0 < abs(value) < 0.0005
    text = f"{value:.1e}" if small else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return text.replace("-", "−")


def results(rows: Sequence[Row]) -> str:
    """The table, as HTML."""
    cells = [
        (
            f"{row.system}: {row.metric} ({row.unit})",
            figure(row.published) + (f" ({UNVERIFIED})" if row.unverified else ""),
            # A number and its sign or spread stay on one line; the words beside a published one may go below it.
            row.expected.replace("-", "−").replace(" ", NO_BREAK) or "–",
            figure(row.measured) + (f"{NO_BREAK}±{NO_BREAK}{figure(row.spread)}" if row.spread is not None else ""),
            row.verdict,
            row.protocol + _source(row),
        )
        for row in rows
    ]
    head = ("figure", "published", "expected", "measured", "verdict", "protocol")
    return table(head, cells, numbers=(1, 2, 3), style="results")


def _source(row: Row) -> str:
    """Where a published figure comes from."""
    if row.published is None:
        return ""
    certainty = f"{row.certainty[0].upper()}{row.certainty[1:]}"
    return f". {certainty}" if row.unverified else f". Published: {row.certainty}"


def cover_of(paper: Paper, folder: Path, rows: Sequence[Row], pictures: Sequence[tuple[str, str]]) -> Cover:
    """The cover of ``folder/report.html``.

    Args:
        paper: what was reproduced.
        folder: of the reproduction.
        rows: the table.
        pictures: title and HTML of each.
    """
    sections = [("Published and measured", results(rows)), *pictures]
    return Cover(
        folder / "report.html",
        f"{paper.name}: {paper.title}",
        (paper.citation, made(rows)),
        rows[0].command,
        sections,
    )


def made(rows: Sequence[Row]) -> str:
    """What was spent on the table, in a line."""
    first = rows[0]
    seeds = ", ".join(map(str, first.seeds))
    seconds = sum({row.system: row.seconds for row in rows}.values())
    return f"Budget: {first.budget}; seed {seeds}; {seconds:,.0f} s of training; commit {first.commit or 'unknown'}."


def experiment_page(paper: Paper, folder: Path, rows: Sequence[Row], runs: Mapping[str, Path]) -> Path:
    """Write ``folder/report.html``: the table, how the runs went, and the way to the page of each.

    Args:
        paper: what was reproduced.
        folder: of the reproduction.
        rows: the table.
        runs: the folders in it, by name.
    """
    courses_of: dict[str, dict[str, list[dict[str, object]]]] = {}
    for name, run in runs.items():
        if (run / "metrics.jsonl").exists():
            opened = Run(run)
            courses_of.setdefault(opened.config["data"]["name"], {})[name] = opened.metrics
    drawn = [picture(courses(own, data), f"validation bounds on {data}") for data, own in courses_of.items()]
    pages = [
        f'<li><a href="{text(name)}/report.html">{text(name)}</a></li>'
        for name, run in runs.items()
        if (run / "report.html").exists()
    ]
    body = [
        f"<h1>{text(f'{paper.name}: {paper.title}')}</h1>",
        paragraph(paper.citation),
        paragraph(made(rows), "soft"),
        command(rows[0].command),
        section("Published and measured", results(rows)),
        *([section("How the runs went", pair(*drawn))] if drawn else []),
        *([section("A page for each run", f"<ul>{''.join(pages)}</ul>")] if pages else []),
    ]
    path = folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(document(f"{paper.name}: {paper.title}", "\n".join(body)), encoding="utf-8")
    return path
