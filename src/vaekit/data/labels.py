"""Labels: classes by number for the model, by name for people."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from vaekit.data.chunks import Array
from vaekit.errors import UserError, unknown

Classes = tuple[int | str, ...]


def numbered(arrays: dict[str, Array], given: dict[str, Any], name: str) -> tuple[dict[str, Array], Classes]:
    """Class numbers in the order of the values, −1 where unknown or no word; and the classes as they are written.

    Args:
        arrays: the data by part.
        given: labels by part, ``(rows,)`` numbers or words.
        name: what errors call the data.

    Raises:
        UserError: if labels do not fit the rows, or are neither whole numbers nor words.
    """
    labels = {part: _array(value, len(arrays[part]) if part in arrays else 0, name) for part, value in given.items()}
    if not labels:
        return {}, ()
    if len({label.dtype.kind in "US" for label in labels.values()}) > 1:
        labels = {part: label.astype(np.str_) for part, label in labels.items()}
    values = np.unique(np.concatenate(list(labels.values())))
    words = values.dtype.kind in "US"
    known = values[values != values.dtype.type()] if words else values[values.astype(np.int64) >= 0]
    numbers = {
        part: np.where(np.isin(label, known), np.searchsorted(known, label), -1) for part, label in labels.items()
    }
    return numbers, tuple(known.astype(np.str_).tolist() if known.dtype.kind == "S" else known.tolist())


def _array(value: Any, rows: int, name: str) -> Array:
    try:
        label = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    except ValueError as error:
        raise UserError(f"the labels of {name} are no array: they differ in length.") from error
    if label.shape not in ((rows,), (rows, 1)):
        raise UserError(f"{name} has {rows} rows, but its labels have the shape {label.shape}.")
    label = label.reshape(-1)
    # Doubles hold whole numbers up to 2^53.
    whole = label.dtype.kind in "buiUS" or (
        label.dtype.kind == "f" and bool(((label == np.rint(label)) & (np.abs(label.astype(np.float64)) < 2**53)).all())
    )
    if not whole:
        raise UserError(f"the labels of {name} must be whole numbers or words, and have type {label.dtype}.")
    return label if label.dtype.kind in "US" else label.astype(np.int64)


def renumbering(own: Classes, wanted: Classes, name: str, *, others: bool) -> tuple[Array, Classes]:
    """How classes are numbered by those of a model.

    Args:
        own: the classes of the data.
        wanted: the classes of the model.
        name: what errors call the data.
        others: whether classes that the model does not know get the numbers after its own; they are refused if not.

    Returns:
        The new number of each class and, last, −1 for an unknown one: ``table[label]``. And all classes.

    Raises:
        UserError: for a class that is refused, naming the nearest known ones.
    """
    # The same class may be a number in one file and, beside words, a word in another.
    places = {f"{value}": number for number, value in enumerate(wanted)}
    new = [value for value in own if f"{value}" not in places]
    if new and not others:
        raise unknown(f"class in the labels of {name}", f"{new[0]}", places)
    classes = (*wanted, *new)
    places |= {f"{value}": len(wanted) + number for number, value in enumerate(new)}
    return np.array([*(places[f"{value}"] for value in own), -1], np.int64), classes


def as_written(label: Array, classes: Classes) -> Array:
    """Labels as they stand in the data, ``(rows,)``: words (empty for an unknown one) or numbers (−1)."""
    words = any(isinstance(value, str) for value in classes)
    names = [f"{value}" for value in classes] if words else list(classes)
    # The last one is that of −1.
    return np.array([*names, "" if words else -1])[label]
