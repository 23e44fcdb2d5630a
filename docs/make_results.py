"""Writes docs/results.md from results/*.json, so that nothing on the page is typed.

``--check`` says whether it is up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UNVERIFIED = "published figure not verified"
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Figures that `vaekit reproduce` measured, beside the published ones, and comparisons that `benchmarks/` made. This page
is made from `results/*.json` by `python docs/make_results.py`; the verdict follows from the measured figure and the
bound that was expected beforehand.
"""


def number(value: float | None) -> str:
    """A number as the table shows it."""
    if value is None:
        return "–"
    small = 0 < abs(value) < 0.0005
    return (f"{value:.1e}" if small else f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}").replace("-", "−")


def measured(row: dict[str, Any]) -> str:
    """The measured figure and its spread."""
    return number(row["measured"]) + (f" ± {number(row['spread'])}" if row["spread"] is not None else "")


def unverified(row: dict[str, Any]) -> bool:
    """Whether nobody saw the published figure in its source."""
    return row["published"] is not None and row["certainty"].startswith(UNVERIFIED)


def table(head: list[str], lines: list[list[str]]) -> list[str]:
    """Lines of Markdown."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(line)} |" for line in cells)]


def listing(rows: list[dict[str, Any]]) -> list[str]:
    """A line a figure, beside what was published and expected; and what each depends on."""
    head = ["system", "data", "figure", "published", "expected", "measured", "verdict"]
    lines = [
        [
            row["system"],
            row["dataset"],
            f"{row['metric']} ({row['unit']})",
            number(row["published"]) + (f" ({UNVERIFIED})" if unverified(row) else ""),
            row["expected"].replace("-", "−") or "–",
            measured(row),
            row["verdict"],
        ]
        for row in rows
    ]
    notes = []
    for row in rows:
        published = f" Published: {row['certainty']}." if row["published"] is not None else ""
        time = f" Training took {row['seconds']:.0f} s." if row["seconds"] else ""
        notes.append(f"- *{row['system']}, {row['metric']}*: {row['protocol']}.{published}{time}")
    return [*table(head, lines), "", again(rows), "", *notes]


def comparison(rows: list[dict[str, Any]]) -> list[str]:
    """A line a figure of a data set, a column a system; and what the figures of each system depend on."""
    systems = list(dict.fromkeys(row["system"] for row in rows))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row["dataset"], f"{row['metric']} ({row['unit']})"), {})[row["system"]] = measured(row)
    notes = []
    for system in systems:
        own = [row for row in rows if row["system"] == system]
        protocols = "; ".join(dict.fromkeys(row["protocol"] for row in own))
        notes.append(f"- *{system}*: {protocols}. It took {sum(row['seconds'] for row in own):.0f} s in all.")
    cells = [[*key, *(values[system] for system in systems)] for key, values in lines.items()]
    return [*table(["data", "figure", *systems], cells), "", again(rows), "", *notes]


def is_comparison(rows: list[dict[str, Any]]) -> bool:
    """Whether several systems have the same figures, each once, and there is nothing to hold them against."""
    figures: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        figures.setdefault(row["system"], []).append((row["dataset"], row["metric"], row["unit"]))
    first = sorted(figures[rows[0]["system"]])
    same = len(set(first)) == len(first) and all(sorted(own) == first for own in figures.values())
    return len(figures) > 1 and same and all(row["published"] is None and not row["expected"] for row in rows)


def again(rows: list[dict[str, Any]]) -> str:
    """What repeats the figures."""
    first = rows[0]
    return (
        f"Again: `{first['command']}` (budget: {first['budget']}; seed {', '.join(map(str, first['seeds']))}; "
        f"commit at the end of the run {first['commit']})"
    )


def section(name: str, rows: list[dict[str, Any]]) -> str:
    """What one file holds: a table for each budget."""
    budgets: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        budgets.setdefault(row["budget"], []).append(row)
    tables = []
    for own in budgets.values():
        tables += ["", *(comparison if is_comparison(own) else listing)(own)]
    return "\n".join([f"## {name}", *tables]) + "\n"


def text(folder: Path = ROOT / "results") -> str:
    """The whole page."""
    files = sorted(folder.glob("*.json"))
    sections = [section(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return "\n".join([HEAD, *(sections or ["No results are kept yet.\n"])])


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text() else "docs/results.md is not up to date")
    PAGE.write_text(text(), encoding="utf-8")
