"""Data from latents: what the model makes of the rows of a .npy or .npz (as vaekit encode writes them).

A model that knows classes takes those that a .npz has beside the latents, if --label names none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vaekit.cli.options import ClassName, OutFile, Parts, RunFolder, import_parts, open_run


@dataclass
class Options:
    run: RunFolder
    latents: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LATENTS", help="a .npy or .npz of latents")]
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .png, .npy, .npz, .csv, .tsv or .parquet."""
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
    from vaekit.evaluation.latents import read_labels, read_latents

    opened = open_run(options.run, options.device)
    z = read_latents(options.latents, opened.model, opened.device, opened.condition(1))
    conditioned = bool(opened.config["data"].get("condition_dim", 0))
    label = read_labels(options.latents) if options.label is None and conditioned else options.label
    x = opened.decode(z, label=label, values=options.values, seed=options.seed, units="model")
    write_data(options.out, {"x": x}, opened.kind)
    return 0
