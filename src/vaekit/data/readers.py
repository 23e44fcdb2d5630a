"""Readers of files and folders: the format of a path, and what is wrong with it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaekit.data import kinds
from vaekit.data.arrays import as_dataset
from vaekit.data.dataset import Dataset
from vaekit.data.formats import csv, numpy, parquet
from vaekit.data.formats.content import Content, unreadable
from vaekit.data.kinds import Kind
from vaekit.errors import UserError, unknown

Reader = Callable[..., Content]  # (path, *, option=default …)

READERS: dict[str, Reader] = {
    ".npy": numpy.read_npy,
    ".npz": numpy.read_npz,
    ".csv": csv.read,
    ".tsv": csv.read,
    ".parquet": parquet.read,
}
ENDINGS = tuple(READERS)
FOR_ARRAYS = ("kind", "binarization", "validation", "test", "split_seed", "standardize")


def read(path: str | Path, **options: Any) -> Dataset:
    """Read an own file or a folder of images.

    Args:
        path: where it is; its ending says what it is.
        options: those of :func:`as_dataset` and those of the format.

    Raises:
        UserError: if the file or its content cannot be used: what, where, what to do.
    """
    path = Path(path)
    content = read_content(path, options)
    return _dataset(path, content, {key: value for key, value in options.items() if key in FOR_ARRAYS})


def read_rows(path: str | Path, kind: Kind | None, options: dict[str, Any]) -> Dataset:
    """All rows of a file, in their order, as they are to be shown to a finished model.

    Args:
        path: where it is.
        kind: what the model was made for: rows get its mean and scale, columns its order.
        options: as of :func:`read`. A ``kind`` or ``binarization`` among them says what the values are.

    Raises:
        UserError: as of :func:`read`, or if columns have other names than those of ``kind``.
    """
    path = Path(path)
    content = read_content(path, options)
    chosen = {key: value for key, value in options.items() if key in FOR_ARRAYS} | {"whole": True}
    if kind is None or chosen.keys() & {"kind", "binarization"}:
        dataset = _dataset(path, content, chosen)
        return dataset if kind is None else dataset.read_as(kind)
    chosen.pop("standardize", None)
    wanted = replace(kind, columns=()) if not isinstance(kind, kinds.Real) else kinds.Real()
    if isinstance(kind, kinds.Binary) and kind != kinds.Binary():
        # Bits are what they are, also to a model that draws its own from grey levels.
        try:
            return _dataset(path, content, chosen | {"kind": "binary"}).read_as(kind)
        except UserError:
            pass
    return _dataset(path, content, chosen | {"kind": wanted}).read_as(kind)


def known_options(path: str | Path) -> list[str]:
    """The options that a path can have.

    Raises:
        UserError: if its format is not known.
    """
    parameters = inspect.signature(_reader(Path(path))).parameters
    return sorted([*FOR_ARRAYS, *(key for key in parameters if key != "path")])


def check_options(path: str | Path, given: Iterable[str]) -> None:
    """Check that the options of a path are those of its format.

    Raises:
        UserError: for an option that the path cannot have.
    """
    for key in given:
        if key not in (known := known_options(path)):
            raise unknown("option of a data file", key, known)


def read_content(path: Path, options: dict[str, Any]) -> Content:
    """What the file holds.

    Args:
        path: where it is.
        options: those of the format are used.

    Raises:
        UserError: if it is not there or cannot be read.
    """
    reader = _reader(path)
    check_options(path, options)
    try:
        return reader(path, **{key: value for key, value in options.items() if key not in FOR_ARRAYS})
    except FileNotFoundError as error:
        raise _missing(path) from error
    except MemoryError as error:
        raise UserError(
            f"{path} does not fit into memory.", hint="store it as .npy, which is read in place."
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _reader(path: Path) -> Reader:
    if path.is_dir():
        from vaekit.data.formats import images  # which needs Pillow

        return images.read
    if path.suffix.lower() not in READERS:
        if not path.suffix and not path.exists():
            raise _missing(path)
        raise UserError(f"{path} does not end in one of the supported endings {' '.join(ENDINGS)}.")
    return READERS[path.suffix.lower()]


def _missing(path: Path) -> UserError:
    siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, n=3)
    return UserError(f"{path} does not exist.", hint=f"did you mean {' or '.join(near)}?" if near else "")


def _dataset(path: Path, content: Content, options: dict[str, Any]) -> Dataset:
    if content.kind and not options.keys() & {"kind", "binarization"}:
        options = options | {"kind": content.kind}
    dataset = as_dataset(
        content.x,
        content.y,
        columns=content.columns,
        mask=content.mask,
        name=f"{path}",
        source=f"{path.resolve()}",
        **options,
    )
    return replace(dataset, by_name=True)
