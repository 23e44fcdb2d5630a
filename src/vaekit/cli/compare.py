"""Several runs in one table, if their figures mean the same; else a refusal that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vaekit.cli.options import (
    Json,
    Parts,
    SplitName,
    check_numbers,
    given,
    import_parts,
    open_run,
    print_json,
)
from vaekit.errors import UserError

if TYPE_CHECKING:
    from vaekit.data import Dataset
    from vaekit.training import Run


@dataclass
class Options:
    runs: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN RUN …", help="run folders", help_behavior_hint=""),
    ]
    samples: int = 500
    """Draws for each example of the importance-weighted likelihood."""
    split: SplitName = None
    limit: Annotated[int | None, given("N")] = None
    """Use only so many rows of it (default: all)."""
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(samples=options.samples, limit=options.limit, seed=options.seed)
    if len(options.runs) < 2:
        raise UserError("compare needs at least two runs.")
    import_parts(options.parts)
    runs = [open_run(folder, options.device) for folder in options.runs]
    split = options.split or "test"
    for other in runs[1:]:
        _refuse_unlike(runs[0], other, split)
    rows = [_row(opened, options, split) for opened in runs]
    if options.json:
        print_json({"split": split, "samples": options.samples, "data": runs[0].data.name, "runs": rows})
    else:
        from vaekit.evaluation.evaluate import GIVEN_LABEL

        count = rows[0]["examples"]
        title = f"{runs[0].data.name}, {split} split, {count:,} example{'s' * (count != 1)}, nats per example"
        print(_table(rows, title + f"; {GIVEN_LABEL}" * bool(rows[0]["condition"])))
    return 0


def _refuse_unlike(first: Run, other: Run, split: str) -> None:
    """Check that the figures of two runs mean the same.

    Raises:
        UserError: if figures of the two runs do not mean the same.
    """
    from vaekit.evaluation.likelihood import discrete

    why = _difference(first.data, other.data, split)
    if not why and discrete(first.model) is not discrete(other.model):
        why = "of one p(x) is a probability, of the other a density"
    if why:
        raise UserError(f"{first.folder} and {other.folder} cannot be compared: {why}.")


def _difference(one: Dataset, other: Dataset, split: str) -> str:
    import numpy as np

    if one.kind != other.kind:
        return f"one is of {one.name} ({one.describe()}), the other of {other.name} ({other.describe()})"
    a, b = one.split(split).x, other.split(split).x
    if a.shape != b.shape or not np.array_equal(a, b):
        return f"their {split} rows are not the same ({one.name}, {other.name})"
    here, there = one.split(split).mask, other.split(split).mask
    if (here is None) != (there is None) or not (here is None or there is None or np.array_equal(here, there)):
        return f"not the same cells of their {split} rows are observed"
    if one.condition_dim != other.condition_dim:
        return "one is conditioned on the label and the other is not"
    return ""


def _row(opened: Run, options: Options, split: str) -> dict[str, Any]:
    from vaekit.progress import Bar

    rows = len(opened.data.split(split).x)
    with Bar(f"{opened.folder}", min(rows, options.limit or rows), "examples", quiet=options.json) as bar:
        figures = opened.evaluate(
            samples=options.samples, split=split, limit=options.limit, seed=options.seed, progress=bar.advance
        )
    kept = (
        "elbo",
        "nll",
        "nll_standard_error",
        "log_px",
        "kl",
        "active_units",
        "accuracy",
        "examples",
        "condition",
        "skipped",
    )
    return {
        "run": str(opened.folder),
        "system": opened.config.get("request", {}).get("recipe", "vae"),
        **{key: figures.get(key) for key in kept},
        "weights": sum(parameter.numel() for parameter in opened.model.parameters()),
        "epochs": opened.best["epochs"],
        "seconds": opened.best["seconds"],
    }


def _table(rows: list[dict[str, Any]], title: str) -> str:
    def figure(row: dict[str, Any], key: str, digits: int = 2) -> str:
        return "–" if row[key] is None else f"{row[key]:,.{digits}f}"

    lines = [("run", "system", "elbo", "nll", "KL", "units", "weights", "epochs", "seconds")]
    for row in sorted(rows, key=lambda row: (row["nll"] is None, row["nll"])):
        error = f" ± {row['nll_standard_error']:.2f}" if row["nll_standard_error"] is not None else ""
        lines.append(
            (
                row["run"],
                row["system"],
                figure(row, "elbo"),
                figure(row, "nll") + error,
                figure(row, "kl"),
                figure(row, "active_units", 0),
                figure(row, "weights", 0),
                figure(row, "epochs", 0),
                figure(row, "seconds", 0),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    reasons = [(row["run"], row["skipped"].get("likelihood")) for row in rows]
    return "\n".join([title, *text, *(f"{run} has no elbo, nll and KL: {why}" for run, why in reasons if why)])
