"""Input rows of PyTorch and scikit-learn users: arrays, tensors, data frames, torch data sets, pairs (X, y)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from vaekit.data.arrays import as_dataset
from vaekit.data.chunks import find
from vaekit.data.dataset import Dataset
from vaekit.data.kinds import Kind
from vaekit.errors import UserError
from vaekit.progress import say


class Rows(NamedTuple):
    """Rows as arrays.

    Attributes:
        x: ``(rows, …)``, or a list of rows of different lengths.
        y: labels ``(rows,)`` or ``None``.
        columns: names of the columns of a table, or none.
    """

    x: Any
    y: Any = None
    columns: tuple[str, ...] = ()


def rows_of(data: Any, name: str = "the data") -> Rows:
    """The rows of an array, tensor, data frame (pandas, polars), map-style torch data set, or pair (X, y).

    Raises:
        UserError: for anything else, saying what to give.
    """
    if isinstance(data, tuple) and len(data) == 2:
        pair: Any = data
        return rows_of(pair[0], name)._replace(y=_labels(pair[1], name))
    if isinstance(data, TensorDataset):
        tensors: Any = data.tensors
        if len(tensors) > 2:
            raise UserError(f"{name} has {len(tensors)} tensors a row: give (X, y), or X alone.")
        return Rows(_array(tensors[0]), *(_array(each) for each in tensors[1:]))
    if isinstance(data, DataLoader):
        raise UserError(f"{name} is a DataLoader: batches are made here.", hint="give its rows: loader.dataset.")
    if isinstance(data, IterableDataset):
        raise UserError(f"{name} is an iterable data set, which has no rows by number.", hint="give a map-style one.")
    if isinstance(data, TorchDataset):
        return _items(data, name)
    if hasattr(data, "toarray") and hasattr(data, "tocsr"):
        raise UserError(f"{name} is a sparse matrix, and rows are taken from dense arrays.", hint="give X.toarray().")
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        frame: Any = data
        return Rows(_numbers(frame, name), None, tuple(str(column) for column in frame.columns))
    if data is None or isinstance(data, str):
        hint = f"load a named set first: vk.data.load({data!r})." if data else ""
        raise UserError(f"{name} must be rows (an array, a tensor, a data frame …), not {data!r}.", hint=hint)
    if isinstance(data, np.ma.MaskedArray):
        raise UserError(
            f"{name} is a masked array.",
            hint="fit(model, vk.data.as_dataset(x.filled(0), mask=~np.ma.getmaskarray(x))) names missing cells.",
        )
    if isinstance(data, list):
        axes = [getattr(each, "ndim", 0) for each in data]
        if len(data) == 2 and min(axes) > 0 and axes[0] != axes[1]:
            raise UserError(f"{name} is a list of two arrays.", hint="rows and labels are a tuple: (X, y).")
        return Rows([_array(each) for each in data])
    return Rows(_array(data))


def _array(x: Any) -> Any:
    """A tensor as an array, without its graph; anything else as it is."""
    if not isinstance(x, torch.Tensor):
        return x
    x = x.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy()


def _labels(y: Any, name: str) -> Any:
    """Labels, if none of them is masked.

    Raises:
        UserError: if some are masked: the values under a mask would be taken for classes.
    """
    if isinstance(y, np.ma.MaskedArray):
        raise UserError(f"the labels of {name} are a masked array.", hint="y.filled(-1) marks unknown labels.")
    return y.to_numpy() if hasattr(y, "to_numpy") else _array(y)


def _numbers(frame: Any, name: str) -> np.ndarray:
    """The values of a data frame ``(rows, columns)``.

    Raises:
        UserError: for a column that holds no numbers.
    """
    array = frame.to_numpy()
    if array.dtype.kind in "buif":
        return array
    for column in frame.columns:
        values = np.asarray(frame[column].to_numpy())
        if values.dtype.kind not in "buif":
            raise UserError(
                f"the column '{column}' of {name} holds {values.dtype} values, and only numbers can be used.",
                hint="leave it out, number its categories, or give it as labels: (X, y).",
            )
    return np.column_stack([np.asarray(frame[column].to_numpy()) for column in frame.columns])


def _items(data: Any, name: str) -> Rows:
    """All items of a map-style torch data set: x, or pairs of x and a label."""
    if not hasattr(data, "__len__") or not len(data):
        raise UserError(f"{name} is a torch data set without rows (or without a length).")
    items = [data[index] for index in range(len(data))]
    paired = isinstance(items[0], Sequence) and not isinstance(items[0], str)
    if paired and len(items[0]) > 2:
        raise UserError(f"a row of {name} has {len(items[0])} items: x, or x and a label, are wanted.")
    x = [item[0] for item in items] if paired else items
    label = _label([item[1] for item in items], name) if paired and len(items[0]) == 2 else None
    if any(not isinstance(row, torch.Tensor | np.ndarray) for row in x):
        raise UserError(
            f"a row of {name} is a {type(x[0]).__name__}, and tensors or arrays are wanted.",
            hint="give the data set a transform that makes tensors.",
        )
    arrays = [_array(row) for row in x]
    if len({row.shape for row in arrays}) > 1:
        return Rows(arrays, label)
    return Rows(np.stack(arrays), label)


def _label(labels: list[Any], name: str) -> np.ndarray:
    """Labels of rows as an array: whole numbers, or words.

    Raises:
        UserError: if they are anything else.
    """
    try:
        y = np.asarray([_array(each) for each in labels])
    except ValueError:  # boxes, captions: of another length in each row
        y = np.empty(0, object)
    whole = y.dtype.kind in "biuU" or (y.dtype.kind == "f" and bool((y == np.round(y)).all()))
    if y.ndim != 1 or not whole:
        raise UserError(
            f"the second item of a row of {name} is no label: a whole number or a word is wanted, not {labels[0]!r}.",
            hint="give x alone, or the number of the class.",
        )
    return y


def dataset_of(data: Any, validation: Any = None, *, bits: bool = False, name: str = "X") -> Dataset:
    """A data set of what :func:`rows_of` takes; one that is a data set already stays what it is.

    Without ``validation`` a tenth of the rows each is set aside for validation and test. Numbers are what
    :func:`vaekit.data.as_dataset` takes them for; where the likelihood is one of bits, grey levels (bytes, numbers
    from 0 to 1) are probabilities from which bits are drawn anew at every use.

    Args:
        data: the rows.
        validation: rows by which epochs are compared; they are the test rows too.
        bits: whether the likelihood is over zeros and ones.
        name: what error messages call the data.

    Raises:
        UserError: if it cannot be used: what, where, what to do.
    """
    if isinstance(data, Dataset):
        if validation is not None:
            raise UserError("a data set has validation rows of its own; give arrays to name others.")
        return data
    train = rows_of(data, name)
    options: dict[str, Any] = {"columns": train.columns, "name": name, "missing": _missing(train.x)}
    x, y = train.x, train.y
    if validation is not None:
        held = rows_of(validation, "validation")
        x = {"train": x, "validation": held.x, "test": held.x}
        if (y is None) != (held.y is None):
            raise UserError(
                "labels are given for some rows alone.",
                hint="give both with theirs: fit(model, (X, y), validation=(X_val, y_val)).",
            )
        y = None if y is None else {"train": y, "validation": held.y, "test": held.y}
    if bits and _are_shades(train.x):
        say(f"{name} holds grey levels: bits are drawn from them at every use (binarization='dynamic')")
        options["binarization"] = "dynamic"
    return as_dataset(x, y, **options)


def rows_for(data: Any, kind: Kind, name: str = "X") -> Dataset:
    """Rows for a finished model, in their order, read as what the model was made for (see :func:`rows_of`)."""
    if isinstance(data, Dataset):
        return data
    rows = rows_of(data, name)
    options: dict[str, Any] = {"columns": rows.columns, "name": name, "missing": _missing(rows.x)}
    # Of a kind that draws bits, numbers from 0 to 1 are probabilities as they were in training.
    drawn = kind.binarization == "dynamic" and _are_shades(rows.x)
    options |= {"binarization": "dynamic"} if drawn else {"kind": kind}
    return as_dataset(rows.x, rows.y, whole=True, **options)


def _missing(x: Any) -> str | None:
    """``nan`` where some values are: a data frame writes a missing cell so."""
    return "nan" if isinstance(x, np.ndarray) and x.dtype.kind == "f" and np.isnan(x).any() else None


def _are_shades(x: Any) -> bool:
    """Whether the values are grey levels, 0 to 255 in bytes or numbers from 0 to 1, and not only 0 and 1."""
    if not isinstance(x, np.ndarray) or not x.size:
        return False
    array = x
    if array.dtype == np.uint8:
        return find(array, lambda chunk: chunk > 1) is not None
    if array.dtype.kind != "f" or find(array, lambda chunk: (chunk < 0) | (chunk > 1)) is not None:
        return False
    return find(array, lambda chunk: (chunk > 0) & (chunk < 1)) is not None
