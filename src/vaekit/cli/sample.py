"""New data from the model: a picture (.png), an array (.npy, .npz) or a table (.csv, .tsv, .parquet)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from vaekit.cli.options import ClassName, OutFile, Parts, RunFolder, check_numbers, import_parts, open_run


@dataclass
class Options:
    run: RunFolder
    out: OutFile
    """Where to write."""
    number: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 64
    """How many."""
    label: ClassName = None
    values: Literal["mean", "sample"] = "mean"
    """The mean of p(x|z), or a draw from it; z is drawn from the prior either way."""
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = field(default=())


def run(options: Options) -> int:
    check_numbers(number=options.number, seed=options.seed)
    from vaekit.cli.outputs import DATA_ENDINGS, check_ending, write_data

    check_ending(options.out, DATA_ENDINGS)
    import_parts(options.parts)

    opened = open_run(options.run, options.device)
    chosen = {"label": options.label, "values": options.values, "seed": options.seed}
    write_data(options.out, {"x": opened.sample(options.number, units="model", **chosen)}, opened.kind)
    return 0
