"""What a reproduction keeps beside its runs: what was asked for, to go on with it, and the rows of the results page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vaekit.atomic import read_json, write_json
from vaekit.errors import UserError
from vaekit.papers.paper import BUDGETS, Paper, Request, Row

ASKED = "request.json"
# What a request says beside its folder, and whether it is resumed.
FIELDS = ("budget", "epochs", "seed", "seeds", "variants", "precision", "compile")


def keep_request(paper: Paper, request: Request) -> None:
    """Write down what is asked for."""
    write_json(request.folder / ASKED, {"paper": paper.name, **{name: getattr(request, name) for name in FIELDS}})


def resumed(paper: Paper, request: Request, given: Sequence[str]) -> Request:
    """The request to go on with: what is not given is as it was.

    Args:
        paper: which.
        request: what is asked for now.
        given: the fields of it that were given.

    Raises:
        UserError: if the folder is that of another paper, or damaged.
    """
    path = request.folder / ASKED
    if not path.exists():
        return request
    kept = read_json(path)
    if not isinstance(kept, dict) or "paper" not in kept:
        raise UserError(f"{path} is damaged: it does not say which paper it is of.")
    if kept["paper"] != paper.name:
        raise UserError(f"{request.folder} is a reproduction of {kept['paper']}, not of {paper.name}.")
    before = {name: kept[name] for name in FIELDS if name in kept}
    before["variants"] = tuple(before.get("variants", ()))
    return replace(request, **{name: value for name, value in before.items() if name not in given})


def results_file(paper: Paper, variants: Sequence[str]) -> Path:
    """``results/PAPER.json``, or ``results/PAPER-VARIANT.json`` where one variant of several was run."""
    one = f"-{variants[0]}" if len(variants) == 1 and len(paper.variants) > 1 else ""
    return Path("results") / f"{paper.name}{one}.json"


def save_rows(path: Path, rows: Sequence[Row]) -> None:
    """Put rows in the place of those of the same budget; the other budget's stay."""
    budgets = {row.budget for row in rows}
    kept = read_json(path) if path.exists() else []
    others = [row for row in kept if row["budget"] in BUDGETS and row["budget"] not in budgets]
    write_json(path, [*others, *(row.document() for row in rows)])
