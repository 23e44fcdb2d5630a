"""What each unit of the latents does: moved alone from −range to range, the most used unit first."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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
from vaekit.errors import UserError

if TYPE_CHECKING:
    import numpy as np

ORDERED_ON = 1000  # rows on which the units are put in order
GIF_SIZE = 112  # pixels of an image in a moving picture, at least


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .png (a row a unit), .gif (moving), .npy (units × steps × example) or .npz (with the units)."""
    units: int = 10
    """How many units, the most used first."""
    steps: int = 11
    """Values that each unit takes."""
    row: int = 0
    """The example from which it starts; the other units stay at its posterior mean."""
    range: float = 3.0
    """How far a unit goes to either side of 0, on the scale of the latent."""
    split: SplitName = None
    seed: int = 0
    """Of a dynamic binarisation."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    check_numbers(units=options.units, steps=options.steps, seed=options.seed)
    if options.steps < 2:
        raise UserError("--steps must be at least 2: a unit is moved from one end to the other.")
    if not 0 < options.range < math.inf:
        raise UserError(f"--range must be a positive number, got {options.range:g}.")
    from vaekit.cli.outputs import check_ending, write

    check_ending(options.out, (".png", ".gif", ".npy", ".npz"))
    import_parts(options.parts)
    import torch

    from vaekit.data.loader import Loader
    from vaekit.evaluation.latents import encodings
    from vaekit.evaluation.likelihood import evaluating, log_likelihood
    from vaekit.evaluation.traversal import rank_units, traverse
    from vaekit.plots.grid import is_image

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    model, rows = opened.model, data_set.split(split)
    if not 0 <= options.row < len(rows.x):
        raise UserError(f"there is no row {options.row}: {data_set.name} has rows 0 to {len(rows.x) - 1} ({split}).")
    picture = options.out.suffix.lower() in (".png", ".gif")
    if picture and not is_image(data_set.shape):
        raise UserError(f"examples of shape {data_set.shape} are no images.", "write a .npy or .npz instead.")
    device = next(model.parameters()).device
    some = Loader(rows.spread(ORDERED_ON), data_set.kind, device, 100)
    dense = "density" in model.abilities
    kl = log_likelihood(model, some, 1, seed=options.seed).kl_dims if dense else {}
    ranking = rank_units(encodings(model, some, options.seed), {name: value.tolist() for name, value in kl.items()})
    units = ranking.units[: options.units]
    if not units:
        raise UserError(f"the model of {options.run} has no latent that is a vector of numbers: nothing to move.")
    with evaluating(model, options.seed):
        first = Loader(rows, data_set.kind, device).rows(torch.tensor([options.row]))
    values = torch.linspace(-options.range, options.range, options.steps, device=device)
    paths = traverse(model, first, units, values, seed=options.seed)
    if picture:
        low, high = (0.0, 1.0) if first.x.min() >= 0 and first.x.max() <= 1 else (first.x.min(), first.x.max())
        images = ((paths - low) / max(float(high - low), 1e-12)).clamp(0, 1).cpu().numpy()
        _draw(options.out, images, [ranking.name(unit) for unit in units], values.tolist())
        return 0
    tensors = {
        "x": data_set.kind.restore(paths),
        "value": values,
        "unit": torch.tensor([unit.index for unit in units]),
        "level": torch.tensor([list(dict.fromkeys(u.latent for u in ranking.units)).index(u.latent) for u in units]),
        "weight": torch.tensor([unit.weight for unit in units]),
    }
    write(options.out, tensors)
    return 0


def _draw(path: Path, images: np.ndarray, names: list[str], values: list[float]) -> None:
    """Write a sheet or a moving picture, whole or not at all."""
    from vaekit.atomic import replacing
    from vaekit.plots.png import png
    from vaekit.plots.traversals import moving, traversals

    try:
        with replacing(path) as temporary:
            if path.suffix.lower() == ".gif":
                first, *others = moving(images, GIF_SIZE)
                first.save(temporary, format="GIF", save_all=True, append_images=others, duration=120, loop=0)
            else:
                temporary.write_bytes(png(traversals(images, names, values), dpi=200))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    print(f"wrote {path}", file=sys.stderr)
