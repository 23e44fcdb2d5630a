"""``.npy`` and ``.npz``, of which nothing is ever unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data.arrays import PARTS
from vaekit.data.formats.content import Content, decoding
from vaekit.data.missing import mark
from vaekit.errors import UserError, unknown


def read_npy(path: Path, *, missing: Any = None) -> Content:
    """One array, read in place.

    Args:
        path: the file.
        missing: ``nan`` if NaN stands for what was not observed.

    Raises:
        UserError: if it is no ``.npy`` file.
    """
    check_npy(path)
    with decoding(path):
        x, mask = mark(np.load(path, mmap_mode="r", allow_pickle=False), missing, f"{path}")
        return Content(x, mask=mask)


def read_npz(path: Path, *, mask: Any = None, missing: Any = None) -> Content:
    """``x`` (or one array of any name) and maybe ``y``, ``label`` or ``labels``; or ``x_train``, ``y_train`` ….

    Args:
        path: the file.
        mask: the name of the array of the shape of ``x`` that is true where it is observed; beside ``x_train`` …
            the names are ``MASK_train`` ….
        missing: ``nan`` if NaN stands for what was not observed.

    Raises:
        UserError: if it is no ``.npz`` file, or it is not clear which array is which.
    """
    check_npz(path)
    with decoding(path), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        names = {key.lower(): key for key in archive.files}
        if "x_train" in names:
            x, y = (
                {part: archive[names[f"{letter}_{part}"]] for part in PARTS if f"{letter}_{part}" in names}
                for letter in "xy"
            )
            marked = {part: mark(array, missing, f"{path} ({part})") for part, array in x.items()}
            masks = {part: seen for part, (_, seen) in marked.items() if seen is not None}
            if mask is not None:
                masks = {part: _named(archive, f"{mask}_{part}", path) for part in x}
            return Content({part: array for part, (array, _) in marked.items()}, y or None, mask=masks or None)
        labels = [key for lower, key in names.items() if lower in ("y", "label", "labels")]
        others = [key for key in archive.files if key not in labels and key != f"{mask}"]
        key = names.get("x") or (others[0] if len(others) == 1 else None)
        if key is None or len(labels) > 1:
            raise UserError(
                f"{path} holds the arrays {', '.join(archive.files) or 'none'}, and it is not clear which is which.",
                hint="name the data x and the labels y, or x_train, x_validation, x_test, y_train …",
            )
        x, by_nan = mark(archive[key], missing, f"{path}")
        seen = by_nan if mask is None else _named(archive, f"{mask}", path)
        return Content(x, archive[labels[0]] if labels else None, mask=seen)


def check_npy(path: Path) -> None:
    """Check of the first bytes of a ``.npy`` file.

    Raises:
        UserError: if it does not begin like a ``.npy`` file.
        OSError: if it cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(20)
    if not start.startswith(b"\x93NUMPY"):
        found = f"begins with {start.decode(errors='replace')!r}" if start else "is empty"
        raise UserError(f"{path} is not a .npy file: it {found}.", hint="write it with numpy.save(file, array).")


def check_npz(path: Path) -> None:
    """Check that a file is an ``.npz`` archive.

    Raises:
        UserError: if it is no ``.npz`` file.
        OSError: if it cannot be opened.
    """
    path.open("rb").close()  # so that what cannot be opened is said as such
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a .npz file.", hint="write it with numpy.savez(file, x=array).")


def _named(archive: Any, name: str, path: Path) -> np.ndarray:
    if name not in archive.files:
        raise unknown(f"array of {path}", name, archive.files)
    return archive[name]
