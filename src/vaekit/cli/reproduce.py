"""Run a paper's experiment again and hold the figures against the published ones.

Without a paper it lists those there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vaekit.cli.options import Json, check_numbers, given, print_json
from vaekit.errors import Interrupted, UserError

if TYPE_CHECKING:
    from vaekit.papers import Row


@dataclass
class Options:
    paper: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[PAPER]", help="its name (without one: lists them)", help_behavior_hint=""),
    ] = None
    out: Annotated[Path | None, given("FOLDER")] = None
    """Where the runs and report.html go (default: runs/PAPER)."""
    epochs: Annotated[int | None, given("N")] = None
    """Instead of the published number; what is expected of that many is then not asked for."""
    seed: int = 0
    """Of weights, data order and noise."""
    save: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write the rows to results/PAPER.json too."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with what is in the folder, exactly as if it had not stopped."""
    json: Json = False


def run(options: Options) -> int:
    check_numbers(epochs=options.epochs, seed=options.seed)
    from vaekit import papers
    from vaekit.kernels import flush_denormals

    flush_denormals()
    if options.paper is None:
        _list(options)
        return 0
    paper = papers.find(options.paper)
    folder = options.out or Path("runs") / paper.name
    if not options.resume and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty.", "--resume goes on with it, --out names another.")
    try:
        done = paper.reproduce(papers.Request(folder, options.epochs, options.seed, options.resume))
    except Interrupted as error:
        print(f"error: {error.message}", file=sys.stderr)
        where = f" --out {options.out}" if options.out else ""
        print(f"hint: vaekit reproduce {paper.name}{where} --resume goes on from there.", file=sys.stderr)
        return 130
    documents = [row.document() for row in done.rows]
    if options.save:
        from vaekit.training.files import write_json

        write_json(Path("results") / f"{paper.name}.json", documents)
    if options.json:
        print_json({"paper": paper.name, **done.headline, "folder": str(folder), "rows": documents})
        return 0
    for row in done.rows:
        print(_line(row))
    print(f"report: {done.page}")
    return 0


def _line(row: Row) -> str:
    beside: list[Any] = [f"published {row.published:g}"] if row.published is not None else []
    beside += [f"expected {row.expected}: {row.verdict}"] if row.expected else []
    note = f"  ({', '.join(beside)})" if beside else ""
    return f"{row.system}: {row.metric} {row.measured:.3f} {row.unit}{note}"


def _list(options: Options) -> None:
    from vaekit import papers

    entries = papers.papers().values()
    if options.json:
        rows = [{"name": entry.name, "title": entry.title, "citation": entry.citation} for entry in entries]
        print_json({"papers": rows})
        return
    for entry in entries:
        print(f"{entry.name}  {entry.title}\n    {entry.citation}")
