"""Run a paper's experiment again and hold the figures against the published ones.

Without a paper it lists those there are."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vaekit.cli.options import Json, check_numbers, compiling, given, print_json
from vaekit.errors import Interrupted, UserError

if TYPE_CHECKING:
    from vaekit.papers.paper import Paper, Request, Row


@dataclass
class Options:
    paper: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[PAPER]", help="its name (without one: lists them)", help_behavior_hint=""),
    ] = None
    budget: Annotated[Literal["quick", "paper"] | None, given("BUDGET")] = None
    """quick: minutes on two cores, with figures expected of that; paper: the published schedule (default: quick)."""
    variant: Annotated[tuple[str, ...], given("NAME …")] = ()
    """Only these parts of the paper, also separated by commas (default: all of them)."""
    out: Annotated[Path | None, given("FOLDER")] = None
    """Where the runs and report.html go (default: runs/PAPER)."""
    epochs: Annotated[int | None, given("N")] = None
    """Instead of the budget's number; what is expected of that many is then not asked for."""
    seed: Annotated[int | None, given("N")] = None
    """Of weights, data order and noise (default: 0)."""
    seeds: Annotated[int | None, given("N")] = None
    """How many seeds, from --seed on; figures are means over them (default: the budget's number)."""
    precision: Annotated[Literal["float32", "bfloat16"] | None, given("PRECISION")] = None
    """bfloat16: training rounds the factors of products, which is faster; figures stay float32 (default: float32)."""
    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Compile the steps of trainings and the estimates of log p(x): a while once, and less time for each (default:
    on a processor where it would save a minute or more)."""
    no_compile: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Take the steps uncompiled, however many they are."""
    save: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Write the rows to results/PAPER.json too, or to results/PAPER-VARIANT.json if that is all that was run."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with what is in the folder, exactly as if it had not stopped; what is not given is as it was."""
    json: Json = False


def run(options: Options) -> int:
    check_numbers(epochs=options.epochs, seed=options.seed, seeds=options.seeds)
    from vaekit.kernels import flushing_denormals
    from vaekit.papers.catalogue import find
    from vaekit.papers.paper import keep_request, results_file, save_rows

    if options.paper is None:
        _list(options)
        return 0
    paper = find(options.paper)
    request = _request(paper, options)
    paper.check(request)
    try:
        keep_request(paper, request)
        with flushing_denormals():
            done = paper.reproduce(request)
    except Interrupted as error:
        where = f" --out {shlex.quote(f'{options.out}')}" if options.out else ""
        raise Interrupted(error.message, error.folder, f"vaekit reproduce {paper.name}{where} --resume") from None
    if options.save:
        path = results_file(paper, request.variants)
        save_rows(path, done.rows)
        print(f"rows: {path}", file=sys.stderr)
    if options.json:
        documents = [row.document() for row in done.rows]
        print_json({"paper": paper.name, **done.headline, "folder": str(request.folder), "rows": documents})
        return 0
    for row in done.rows:
        print(_line(row))
    print(f"report: {done.page}")
    return 0


def _request(paper: Paper, options: Options) -> Request:
    """What is asked for; with --resume, on top of what was asked for before.

    Raises:
        UserError: if the folder is in use, or is that of another paper.
    """
    from vaekit.papers.paper import ASKED, Request, resumed

    folder = options.out or Path("runs") / paper.name
    if not options.resume and folder.is_dir() and any(entry.name != ASKED for entry in folder.iterdir()):
        raise UserError(f"{folder} is not empty.", "--resume goes on with it, --out names another.")
    asked = {name: getattr(options, name) for name in ("budget", "epochs", "seed", "seeds", "precision")}
    asked["compile"] = compiling(options.compile, options.no_compile)
    asked = {name: value for name, value in asked.items() if value is not None}
    if variants := tuple(name for each in options.variant for name in each.split(",") if name):
        asked["variants"] = variants
    request = Request(folder, resume=options.resume, **asked)
    return resumed(paper, request, list(asked)) if options.resume else request


def _line(row: Row) -> str:
    from vaekit.papers.paper import UNVERIFIED

    beside: list[Any] = []
    if row.published is not None:
        beside.append(f"published {row.published:g}" + f", {UNVERIFIED}" * row.unverified)
    beside += [f"expected {row.expected}: {row.verdict}"] if row.expected else []
    note = f"  ({'; '.join(beside)})" if beside else ""
    spread = f" ± {_number(row.spread)}" if row.spread is not None else ""
    measured = f"{_number(row.measured)}{spread} {row.unit}"
    return f"{row.system}: {row.metric} {measured}{note}\n    {row.dataset}: {row.protocol}"


def _number(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"


def _list(options: Options) -> None:
    from vaekit.papers.catalogue import papers

    entries = papers().values()
    if options.json:
        rows = [
            {
                "name": entry.name,
                "title": entry.title,
                "citation": entry.citation,
                "variants": list(entry.variants),
            }
            for entry in entries
        ]
        print_json({"papers": rows})
        return
    for entry in entries:
        variants = f"\n    variants: {', '.join(entry.variants)}" if entry.variants else ""
        print(f"{entry.name}  {entry.title}\n    {entry.citation}{variants}")
