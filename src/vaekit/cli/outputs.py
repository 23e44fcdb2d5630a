"""Results in the format that the file name asks for, whole or not at all."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch

from vaekit.atomic import replacing
from vaekit.data.kinds import Kind, Real
from vaekit.errors import UserError
from vaekit.plots.grid import grid, is_image


def check_ending(path: Path, endings: tuple[str, ...]) -> None:
    """Check of the ending of an output file.

    Raises:
        UserError: if the file's ending is none of ``endings``: said before any work is done.
    """
    if path.suffix.lower() not in endings:
        raise UserError(f"'{path}' must end in {', '.join(endings)}: the ending says in which format to write.")


TABLES = (".csv", ".tsv", ".parquet")
DATA_ENDINGS = (".png", ".npy", ".npz", *TABLES)


def as_columns(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One column for each number of a row: ``score``, or ``x_0``, ``x_1`` … of what has several."""
    columns = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns[name] = array
        else:
            columns |= {f"{name}_{index}": column for index, column in enumerate(array.reshape(len(array), -1).T)}
    return columns


def write_table(file: IO[bytes], ending: str, columns: dict[str, np.ndarray]) -> None:
    """Columns as text, separated by commas (``.csv``) or tabs (``.tsv``), or as parquet.

    Raises:
        UserError: if parquet is asked for and pyarrow is not installed.
    """
    if ending == ".parquet":
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError("parquet needs pyarrow.", "pip install vaekit[table], or write a .csv.") from None
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
        return
    with as_text(file) as text:
        rows = csv.writer(text, delimiter="\t" if ending == ".tsv" else ",", lineterminator="\n")
        rows.writerow(columns)
        rows.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


@contextmanager
def as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    """A file of bytes as one of text, UTF-8."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    yield text
    text.detach()


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there once it is whole, and said to be.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    print(f"wrote {path}", file=sys.stderr)


def write_data(path: Path, arrays: dict[str, np.ndarray], kind: Kind, beside: tuple[str, ...] = ()) -> None:
    """Write examples as the model sees them, in the units in which the data came: levels, counts, standardised or not.

    A picture shows grey levels and probabilities as they are. A table holds the first alone, with the names of the
    columns if they have any.

    Raises:
        UserError: as of :func:`write`.
    """
    ending = path.suffix.lower()
    if ending == ".png" and not isinstance(kind, Real):
        write(path, arrays, beside)
        return
    restored = {name: kind.restore(torch.from_numpy(value)).numpy() for name, value in arrays.items()}
    if ending in TABLES:
        name, first = next(iter(restored.items()))
        restored = named(name, first, kind.columns)
    write(path, restored, beside)


def named(name: str, array: np.ndarray, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The columns of a table ``(rows, columns)`` by their names; an array without names as it is, called ``name``."""
    return dict(zip(columns, array.T, strict=True)) if columns else {name: array}


def write(path: Path, arrays: Mapping[str, np.ndarray], beside: tuple[str, ...] = ()) -> None:
    """Write arrays with the rows of one result.

    ``.npz`` holds all of them by name, ``.npy`` the first, ``.csv`` and ``.parquet`` all of them as
    columns, ``.png`` a grid of the first, or of those named in ``beside``, side by side.

    Raises:
        UserError: if a picture is asked for and the rows are no images, or the file cannot be written.
    """
    picture = path.suffix.lower() == ".png"
    first = next(iter(arrays.values()))
    if picture and not is_image(first.shape[1:]):
        raise UserError(f"examples of shape {first.shape[1:]} are no images.", "write a .npy or .npz instead.")
    with writing(path) as file:
        if picture:
            grid([arrays[name] for name in beside] or [first]).save(file, format="PNG")
        elif path.suffix.lower() in TABLES:
            write_table(file, path.suffix.lower(), as_columns(arrays))
        elif path.suffix.lower() == ".npz":
            np.savez(file, **arrays)  # type: ignore[arg-type]
        else:
            np.save(file, first)
