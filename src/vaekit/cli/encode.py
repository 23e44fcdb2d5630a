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
    import torch

    from vaekit.data.loader import Loader
    from vaekit.evaluation.latents import encodings
    from vaekit.progress import Bar

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    device = next(opened.model.parameters()).device
    rows = data_set.split(split)
    arrays: dict[str, Any] = {}
    with Bar("encoding", len(rows.x), "examples") as bar:
        loader = Loader(rows, data_set.kind, device, 500)
        for latent, encoding in encodings(opened.model, loader, options.seed, bar.advance).items():
            arrays |= {f"{latent}_mean": encoding.mean, f"{latent}_scale": encoding.scale}
    if rows.label is not None:
        arrays["label"] = data_set.written(rows.label)
    if options.out.suffix.lower() == ".npy":
        means = [value.flatten(1) for key, value in arrays.items() if key.endswith("_mean")]
        arrays = {"mean": torch.cat(means, dim=1)}
    write(options.out, arrays)
    return 0
