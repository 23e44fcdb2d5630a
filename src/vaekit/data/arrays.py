"""Data sets from arrays: kind, storage, splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vaekit.data.checks import Checked
from vaekit.data.chunks import Array, chunks, is_mapped
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary, Categories, Counts, Kind, Real
from vaekit.data.labels import numbered
from vaekit.data.missing import observed, refuse_empty_columns
from vaekit.data.ragged import inside, is_ragged, padded
from vaekit.data.splits import cut
from vaekit.data.standardize import standardized, warn_of_duplicates
from vaekit.errors import UserError, unknown

PARTS = ("train", "validation", "test")


def as_dataset(
    x: Any,
    y: Any = None,
    *,
    kind: str | Kind | None = None,
    binarization: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    split_seed: int = 0,
    standardize: bool | None = None,
    columns: Iterable[str] = (),
    mask: Any = None,
    missing: Any = None,
    condition: Any = None,
    longest: int = 0,
    whole: bool = False,
    name: str = "array",
    source: str = "",
) -> Dataset:
    """Make a data set of arrays.

    Args:
        x: numpy array or torch tensor, ``(rows, …)``; or a map of ``train`` and maybe ``validation`` and ``test``
            to arrays. Images ``(rows, H, W)`` get a channel axis, ``(rows, H, W, C)`` with 1 or 3 channels are
            turned to ``(rows, C, H, W)``. A list of sequences of different lengths, ``(steps, channels)`` or whole
            numbers ``(steps,)``, is padded: the model sees a mask, and the lengths.
        y: labels ``(rows,)``, numbers or words, −1 for unknown; or a map like ``x``. Classes are numbered in order.
        kind: ``binary``, ``grey``, ``real``, ``counts``, ``categories`` or a kind itself; by default 0/1 is binary,
            ``uint8`` is grey levels, floating point is real, and non-negative integers are counts.
            ``grey`` turns numbers in [0, 1] into 256 levels.
        binarization: ``dynamic`` takes grey levels (or numbers in [0, 1]) for probabilities, drawn anew at every
            use; the validation and test rows are drawn once. ``static`` wants 0/1.
        validation: share of the rows, or a number of rows, that is set aside where ``x`` has no such part.
        test: the same for the test rows.
        split_seed: which rows. A memory-mapped array over 2 GiB is cut in its order instead: train first.
        standardize: whether the model sees real numbers with mean 0 and scale 1 over the training rows: each column
            of a table by its own, anything else by one mean and scale. The default is yes, except for a ``kind``
            that is a kind itself: it has its mean and scale.
        columns: names of the columns of a table ``(rows, columns)``.
        mask: of the shape of ``x``, true where it is observed; or a map like ``x``.
        missing: ``nan`` if NaN stands for what was not observed; without it NaN is refused.
        condition: what the model is conditioned on, ``(rows, …)``: attributes, an image, as the network sees them; or
            a map like ``x``. A label is made a condition by :meth:`Dataset.conditioned`.
        longest: steps that sequences are padded to; those of the longest one by default.
        whole: do not cut: all rows, in their order, are every split that ``x`` does not give.
        name: what error messages call it.
        source: where it came from, for people.

    Raises:
        UserError: if the data cannot be used: what, where, what to do.
    """
    given, lengths = _parts(x, name), {}
    titles = {part: _called(name, part, x) for part in given}
    if is_ragged(given):
        if mask is not None:
            raise UserError(f"a mask is given for {name}, whose rows differ in length: write NaN for missing values.")
        given, lengths = padded(given, titles, longest)
        mask = {part: inside(lengths[part], array.shape) for part, array in given.items()}
    arrays = {part: _array(value, titles[part]) for part, value in given.items()}
    if len({array.shape[1:] for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{part} {array.shape[1:]}" for part, array in arrays.items())
        raise UserError(f"the rows of {name} differ in shape: {shapes}.")
    columns = _columns(columns, arrays["train"], name)
    labels, classes = numbered(arrays, {} if y is None else _parts(y, f"the labels of {name}"), name)
    conditions = _conditions({} if condition is None else _parts(condition, f"the condition of {name}"), arrays, name)
    arrays, masks = observed(arrays, mask, missing, titles)
    chosen = replace(Checked(arrays, titles, columns).choose(kind, binarization), columns=columns)
    scales = _standardizes(standardize, chosen, kind, name)
    # Only a kind asked for by its word takes numbers in [0, 1] for grey levels.
    factor = 1 if isinstance(kind, Kind) else 255

    def layout(array: Array) -> Array:
        return array if lengths else _image_layout(array, chosen)

    splits = {
        part: Split(
            layout(_stored(array, chosen, factor, titles[part])),
            labels.get(part),
            condition=conditions.get(part),
            mask=layout(masks[part]) if masks else None,
            length=lengths.get(part),
        )
        for part, array in arrays.items()
    }
    left = {part: share for part, share in (("validation", validation), ("test", test)) if part not in splits}
    if left and whole:
        splits |= dict.fromkeys(left, splits["train"])
    elif left:
        warn_of_duplicates(splits["train"].x, name)
        splits |= cut(splits["train"], left, split_seed, name)
    if isinstance(chosen, Binary) and chosen.binarization == "dynamic":
        once = binarize_once([splits[part].x for part in PARTS[1:]], chosen.levels)
        splits |= {part: splits[part]._replace(x=drawn) for part, drawn in zip(PARTS[1:], once, strict=True)}
    if whole and len(left) == 2:
        splits = dict.fromkeys(PARTS, splits["test"])
    # A finished model may be asked for a column of which nothing is known.
    if not whole and not lengths:
        refuse_empty_columns(splits["train"].mask, columns, name)
    if scales:
        chosen = standardized(splits["train"].x, columns, name, splits["train"].mask)
    three = (splits[part] for part in PARTS)
    result = Dataset(
        name, chosen, *three, num_classes=len(classes), source=source or name, by_name=False, classes=classes
    )
    return result.refilled()


def _conditions(given: dict[str, Any], arrays: dict[str, Array], name: str) -> dict[str, Array]:
    """Conditions as the network sees them, by part.

    Raises:
        UserError: if they are not there for each row of each part, or differ in shape.
    """
    if given and given.keys() != arrays.keys():
        raise UserError(f"conditions of {name} are given for {', '.join(given)}, and rows for {', '.join(arrays)}.")
    result = {part: _array(value, f"the condition of {name}").astype(np.float32) for part, value in given.items()}
    for part, array in result.items():
        if len(array) != len(arrays[part]):
            raise UserError(f"{name} has {len(arrays[part])} rows and {len(array)} conditions beside them.")
        if not np.isfinite(array).all():
            raise UserError(f"the condition of {name} has values that are not finite.")
    if len({array.shape[1:] for array in result.values()}) > 1:
        raise UserError(f"the conditions of {name} differ in shape.")
    return result


def _columns(columns: Iterable[str], x: Array, name: str) -> tuple[str, ...]:
    columns = tuple(columns)
    if columns and (x.ndim != 2 or x.shape[1] != len(columns)):
        raise UserError(
            f"{len(columns)} names of columns are given for {name}, whose rows have the shape {x.shape[1:]}."
        )
    check_names(columns, name)
    return columns


def check_names(columns: tuple[str, ...], name: str) -> None:
    """Check that the columns of a table have names of their own.

    Raises:
        UserError: if two columns have one name.
    """
    places: dict[str, int] = {}
    for place, column in enumerate(columns, start=1):
        if places.setdefault(column, place) != place:
            raise UserError(f"{name} has two columns called '{column}' ({places[column]} and {place}, counted from 1).")


def _standardizes(standardize: bool | None, chosen: Kind, kind: str | Kind | None, name: str) -> bool:
    """Whether to standardise: real numbers are, unless that is declined or their kind is given ready-made."""
    if standardize not in (None, True, False):
        raise UserError(f"standardize must be true or false, got {standardize}.")
    if standardize and not isinstance(chosen, Real):
        raise UserError(
            f"standardize=true needs real numbers, and {name} holds {chosen.describe()}.",
            hint="say kind=real as well.",
        )
    return isinstance(chosen, Real) and (not isinstance(kind, Kind) if standardize is None else bool(standardize))


def binarize_once(arrays: list[Array], levels: int) -> list[Array]:
    """Draw 0 or levels − 1 from grey levels, once and for all: evaluation must see the same data every time.

    One stream with seed 777 goes through the arrays in turn. For MNIST's validation and test rows that gives,
    bit for bit, the images of Tomczak & Welling (2018), who drew ``numpy.random.binomial(1, x)`` with that seed.
    """
    stream = np.random.RandomState(777)  # frozen by NumPy's policy, unlike default_rng
    drawn = []
    for array in arrays:
        result = np.empty(array.shape, np.uint8)
        for start, chunk in chunks(array):
            probability = (chunk.astype(np.float32) / (levels - 1)).astype(np.float64)
            uniform = stream.random_sample(chunk.shape)
            # What binomial(1, p) does with the same uniform numbers, five times faster.
            ones = np.where(probability <= 0.5, uniform > 1 - probability, uniform <= probability)
            result[start : start + len(chunk)] = ones * np.uint8(levels - 1)
        drawn.append(result)
    return drawn


def _parts(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"train": value}
    for part in value:
        if part not in PARTS:
            raise unknown(f"part of {name}", f"{part}", PARTS)
    if "train" not in value:
        raise UserError(f"there is no part called train in {name}.")
    return dict(value)


def _called(name: str, part: str, x: Any) -> str:
    return f"{name} ({part})" if isinstance(x, Mapping) else name


def _array(value: Any, name: str) -> Array:
    """A numpy array of numbers with rows and columns."""
    if isinstance(value, np.ma.MaskedArray):
        raise UserError(
            f"{name} is a masked array.",
            hint="give values and mask: as_dataset(x.filled(0), mask=~np.ma.getmaskarray(x)).",
        )
    if isinstance(value, torch.utils.data.Dataset):
        raise UserError(
            f"{name} is a torch {type(value).__name__}, and rows are taken from arrays and tensors.",
            hint="give all of its rows at once: as_dataset(x, y).",
        )
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError as error:
        raise UserError(f"{name} is no array: its rows differ in length.") from error
    if array.dtype.hasobject:
        raise objects(name)
    if array.dtype.kind not in "buif":
        raise UserError(f"{name} holds values of type {array.dtype}, but only numbers can be used.")
    if array.ndim == 0 or array.size == 0:
        raise UserError(f"{name} is empty: its shape is {array.shape}.")
    return array[:, None] if array.ndim == 1 else array


def objects(name: str) -> UserError:
    return UserError(
        f"{name} holds Python objects, which are never loaded because unpickling could run foreign code.",
        hint="save plain numbers: numpy.save(file, array.astype('float32')).",
    )


def _stored(array: Array, kind: Kind, scale: int, name: str) -> Array:
    """The array in the type it is kept in; a large mapped array must already have it."""
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    levels = getattr(kind, "levels", 0)
    wanted = array.dtype.newbyteorder("=")
    if 0 < levels <= 256:
        wanted = np.dtype(np.uint8)
    elif array.dtype.kind == "u" and array.dtype != np.uint8:
        wanted = np.dtype(np.int64)  # torch hardly computes with wider unsigned integers
    elif array.dtype.itemsize > 8:
        wanted = np.dtype(np.float64)
    if array.dtype == wanted and array.dtype.isnative:
        return array
    if is_mapped(array):
        raise UserError(
            f"{name} is too large to be turned from {array.dtype} into {wanted} in memory.",
            hint=f"store it as {wanted}" + (" with values 0 … 255." if levels == 256 else "."),
        )
    scaled = levels == 256 and scale > 1 and array.dtype.kind == "f"
    result = np.empty(array.shape, wanted)
    for start, chunk in chunks(array):
        result[start : start + len(chunk)] = np.rint(chunk * scale) if scaled else chunk
    return result


def _image_layout(array: Array, kind: Kind) -> Array:
    """``(n, H, W)`` and ``(n, H, W, C)`` as ``(n, C, H, W)``, without a copy; anything else as it is."""
    if isinstance(kind, (Counts, Categories)):
        return array
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[-1] in (1, 3) and array.shape[1] not in (1, 3):
        return np.moveaxis(array, -1, 1)
    return array
