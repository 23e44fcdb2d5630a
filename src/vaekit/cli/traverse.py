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
    import numpy as np

    from vaekit.plots.grid import is_image

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    rows = len(data_set.split(split).x)
    if not 0 <= options.row < rows:
        raise UserError(f"there is no row {options.row}: {data_set.name} has rows 0 to {rows - 1} ({split}).")
    picture = options.out.suffix.lower() in (".png", ".gif")
    if picture and not is_image(data_set.shape):
        raise UserError(f"examples of shape {data_set.shape} are no images.", "write a .npy or .npz instead.")
    found = opened.traverse(
        data_set,
        row=options.row,
        units=options.units,
        steps=options.steps,
        reach=options.range,
        split=split,
        seed=options.seed,
    )
    if picture:
        first = found.first
        low, high = (0.0, 1.0) if first.min() >= 0 and first.max() <= 1 else (first.min(), first.max())
        images = ((found.paths - low) / max(float(high - low), 1e-12)).clamp(0, 1).cpu().numpy()
        _draw(options.out, images, found.names, found.values.tolist())
        return 0
    levels = list(dict.fromkeys(unit.latent for unit in found.ranking.units))
    arrays = {
        "x": found.x,
        "value": found.values,
        "unit": np.array([unit.index for unit in found.units]),
        "level": np.array([levels.index(unit.latent) for unit in found.units]),
        "weight": np.array([unit.weight for unit in found.units], np.float32),
    }
    write(options.out, arrays)
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
