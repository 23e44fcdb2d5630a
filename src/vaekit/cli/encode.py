"""The latents of data: posterior means (.npy), or means and standard deviations by latent (.npz or a table)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
    """Where to write: .npy, .npz, .csv, .tsv or .parquet. Several latents stand side by side in a .npy, as drawn."""
    split: SplitName = None
    seed: int = 0
    """Of a dynamic binarisation."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    from vaekit.cli.outputs import TABLES, check_ending, write

    check_numbers(seed=options.seed)
    check_ending(options.out, (".npy", ".npz", *TABLES))
    import_parts(options.parts)
    from vaekit.progress import Bar

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    with Bar("encoding", len(data_set.split(split).x), "examples") as bar:
        codes = opened.encode(data_set, split=split, seed=options.seed, progress=bar.advance)
    arrays: dict[str, Any] = {}
    for latent, (mean, scale) in codes.latents.items():
        arrays |= {f"{latent}_mean": mean, f"{latent}_scale": scale}
    if codes.label is not None:
        arrays["label"] = codes.label
    write(options.out, {"mean": codes.mean} if options.out.suffix.lower() == ".npy" else arrays)
    return 0
