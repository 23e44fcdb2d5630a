"""Results in the format that the file name asks for, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from torch import Tensor

from vaekit.data.kinds import Kind, Real
from vaekit.errors import UserError
from vaekit.plots.grid import grid, is_image
from vaekit.training.files import replacing


def check_ending(path: Path, endings: tuple[str, ...]) -> None:
    """
    Raises:
        UserError: if the file's ending is none of ``endings``: said before any work is done.
    """
    if path.suffix.lower() not in endings:
        raise UserError(f"'{path}' must end in {', '.join(endings)}: the ending says in which format to write.")


def write_data(path: Path, tensors: dict[str, Tensor], kind: Kind, beside: tuple[str, ...] = ()) -> None:
    """Write examples as the model sees them, in the units in which the data came: levels, counts, standardised or not.

    A picture shows grey levels and probabilities as they are.

    Raises:
        UserError: as of :func:`write`.
    """
    seen_as_stored = path.suffix.lower() == ".png" and not isinstance(kind, Real)
    write(path, tensors if seen_as_stored else {key: kind.restore(value) for key, value in tensors.items()}, beside)


def write(path: Path, tensors: dict[str, Tensor], beside: tuple[str, ...] = ()) -> None:
    """Write tensors with the rows of one result.

    ``.npz`` holds all of them by name, ``.npy`` the first, ``.png`` a grid of the first, or of those
    named in ``beside``, side by side.

    Raises:
        UserError: if a picture is asked for and the rows are no images, or the file cannot be written.
    """
    picture = path.suffix.lower() == ".png"
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    first = next(iter(arrays.values()))
    if picture and not is_image(first.shape[1:]):
        raise UserError(f"examples of shape {first.shape[1:]} are no images.", "write a .npy or .npz instead.")
    try:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            if picture:
                grid([arrays[name] for name in beside] or [first]).save(file, format="PNG")
            elif path.suffix.lower() == ".npz":
                np.savez(file, **arrays)  # type: ignore[arg-type]
            else:
                np.save(file, first)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    print(f"wrote {path}", file=sys.stderr)
