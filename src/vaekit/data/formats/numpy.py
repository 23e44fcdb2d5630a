"""``.npy`` and ``.npz``, of which nothing is ever unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from vaekit.data.arrays import PARTS
from vaekit.data.formats.content import Content, decoding
from vaekit.errors import UserError


def read_npy(path: Path) -> Content:
    """One array, read in place.

    Raises:
        UserError: if it is no ``.npy`` file.
    """
    with path.open("rb") as file:
        start = file.read(20)
    if not start.startswith(b"\x93NUMPY"):
        found = f"begins with {start.decode(errors='replace')!r}" if start else "is empty"
        raise UserError(f"{path} is not a .npy file: it {found}.", hint="write it with numpy.save(file, array).")
    with decoding(path):
        return Content(np.load(path, mmap_mode="r", allow_pickle=False))


def read_npz(path: Path) -> Content:
    """``x`` (or one array of any name) and maybe ``y``, ``label`` or ``labels``; or ``x_train``, ``y_train`` ….

    Raises:
        UserError: if it is no ``.npz`` file, or it is not clear which array is which.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a .npz file.", hint="write it with numpy.savez(file, x=array).")
    with decoding(path), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        names = {key.lower(): key for key in archive.files}
        if "x_train" in names:
            x, y = (
                {part: archive[names[f"{letter}_{part}"]] for part in PARTS if f"{letter}_{part}" in names}
                for letter in "xy"
            )
            return Content(x, y or None)
        labels = [key for lower, key in names.items() if lower in ("y", "label", "labels")]
        others = [key for key in archive.files if key not in labels]
        key = names.get("x") or (others[0] if len(others) == 1 else None)
        if key is None or len(labels) > 1:
            raise UserError(
                f"{path} holds the arrays {', '.join(archive.files) or 'none'}, and it is not clear which is which.",
                hint="name the data x and the labels y, or x_train, x_validation, x_test, y_train …",
            )
        return Content(archive[key], archive[labels[0]] if labels else None)
