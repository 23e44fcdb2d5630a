"""Data and what the model makes of it: a picture with each example beside its reconstruction, or arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from vaekit.cli.options import (
    OptionalData,
    OutFile,
    Parts,
    RunFolder,
    SplitName,
    check_numbers,
    data_for,
    import_parts,
    open_run,
)


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .png, .npz (x and reconstruction), or the reconstructions: .npy, .csv, .tsv or .parquet."""
    number: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 32
    """How many rows, from the first."""
    split: SplitName = None
    seed: int = 0
    """Of a dynamic binarisation."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    check_numbers(number=options.number, seed=options.seed)
    from vaekit.cli.outputs import DATA_ENDINGS, check_ending, write_data

    check_ending(options.out, DATA_ENDINGS)
    import_parts(options.parts)

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    found = opened.reconstruct(data_set, number=options.number, split=split, seed=options.seed, units="model")
    write_data(options.out, {"reconstruction": found.mean, "x": found.x}, data_set.kind, beside=("x", "reconstruction"))
    return 0
