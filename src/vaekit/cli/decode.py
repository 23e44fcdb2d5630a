"""Data from latents: what the model makes of the rows of a .npy or .npz (as vaekit encode writes them)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vaekit.cli.options import ClassName, OutFile, Parts, RunFolder, conditions, import_parts, open_run


@dataclass
class Options:
    run: RunFolder
    latents: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LATENTS", help="a .npy or .npz of latents")]
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .png, .npy, .npz, .csv or .parquet."""
    label: ClassName = None
    values: Literal["mean", "sample"] = "mean"
    """The mean of p(x|z), or a draw from it."""
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    from vaekit.cli.outputs import DATA_ENDINGS, check_ending, write_data

    check_ending(options.out, DATA_ENDINGS)
    import_parts(options.parts)
    from vaekit.evaluation.latents import read_latents
    from vaekit.evaluation.likelihood import evaluating
    from vaekit.models.draw import bare

    opened = open_run(options.run, options.device)
    z = read_latents(options.latents, opened.model, next(opened.model.parameters()).device)
    with evaluating(opened.model, options.seed):
        condition = conditions(opened, len(next(iter(z.values()))), options.label)
        p = opened.model.decode(bare(z), condition)
        x = p.mean if options.values == "mean" else p.sample()
    write_data(options.out, {"x": x}, opened.kind)
    return 0
