"""Writes docs/results.md from results/*.json, so that nothing on the page is typed.

``--check`` says whether it is up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Figures that `vaekit reproduce` measured, beside the published ones. This page is made from `results/*.json` by
`python docs/make_results.py`; the verdict follows from the measured figure and the bound that was expected beforehand.
"""


def number(value: float | None) -> str:
    """A number as the table shows it."""
    if value is None:
        return "–"
    return (f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}").replace("-", "−")


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    measured = number(row["measured"]) + (f" ± {number(row['spread'])}" if row["spread"] is not None else "")
    texts = [
        row["system"],
        row["dataset"],
        f"{row['metric']} ({row['unit']})",
        number(row["published"]),
        row["expected"].replace("-", "−") or "–",
        measured,
        row["verdict"],
    ]
    return [each.replace("|", "\\|") for each in texts]


def section(name: str, rows: list[dict[str, Any]]) -> str:
    """The table of one file, and what each figure depends on."""
    first = rows[0]
    head = ["system", "data", "figure", "published", "expected", "measured", "verdict"]
    lines = [f"## {name}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    seeds = ", ".join(map(str, first["seeds"]))
    lines += [
        "",
        f"Again: `{first['command']}` (budget: {first['budget']}; seed {seeds}; "
        f"commit at the end of the run {first['commit']})",
        "",
    ]
    for row in rows:
        published = f" Published: {row['certainty']}." if row["published"] is not None else ""
        time = f" Training took {row['seconds']:.0f} s." if row["seconds"] else ""
        lines.append(f"- *{row['system']}, {row['metric']}*: {row['protocol']}.{published}{time}")
    return "\n".join(lines) + "\n"


def text(folder: Path = ROOT / "results") -> str:
    """The whole page."""
    files = sorted(folder.glob("*.json"))
    sections = [section(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in files]
    return "\n".join([HEAD, *(sections or ["No results are kept yet.\n"])])


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text() else "docs/results.md is not up to date")
    PAGE.write_text(text(), encoding="utf-8")
