"""Own arrays and files as a data set: ``.npy``, ``.npz``, numpy arrays, torch tensors."""

from __future__ import annotations

import difflib
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaekit.data.dataset import Dataset, Split
from vaekit.data.download import say
from vaekit.data.kinds import Binary, Categories, Counts, GreyLevels, Kind, Real
from vaekit.errors import UserError, unknown

ENDINGS = (".npy", ".npz")
KINDS = ("binary", "grey", "real", "counts", "categories")
BINARIZATIONS = ("none", "static", "dynamic")
PARTS = ("train", "validation", "test")
KEEP_MAPPED_BYTES = 2 << 30  # a mapped array larger than this is never copied into memory
CHUNK_BYTES = 64 << 20

Array = np.ndarray
Parts = dict[str, Array]


def read(
    path: str | Path,
    *,
    kind: str | Kind | None = None,
    binarization: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    split_seed: int = 0,
    whole: bool = False,
) -> Dataset:
    """Read an own file.

    A ``.npy`` file holds one array. A ``.npz`` file holds ``x`` (or one array of any name) and maybe ``y`` or
    ``label``; or ``x_train``, ``x_validation``, ``x_test`` with ``y_train`` …: a part that is not there is cut
    from ``x_train``. Nothing is ever unpickled. The options are those of :func:`as_dataset`.

    Raises:
        UserError: if the file or its content cannot be used: what, where, what to do.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{path} does not end in one of the supported endings {' '.join(ENDINGS)}.")
    try:
        x, y = _read_npy(path) if path.suffix.lower() == ".npy" else _read_npz(path)
    except FileNotFoundError as error:
        siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"{path} does not exist.", hint=hint) from error
    except MemoryError as error:
        raise UserError(
            f"{path} does not fit into memory.", hint="store it as .npy, which is read in place."
        ) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ValueError) and "object" in str(error).lower():
            raise _objects(f"{path}") from error
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise UserError(f"{path} cannot be read: {reason.rstrip('.')}.") from error
    dataset = as_dataset(
        x,
        y,
        kind=kind,
        binarization=binarization,
        validation=validation,
        test=test,
        split_seed=split_seed,
        whole=whole,
        name=f"{path}",
        source=f"{path.resolve()}",
    )
    return replace(dataset, by_name=True)


def _read_npy(path: Path) -> tuple[Array, None]:
    with path.open("rb") as file:
        start = file.read(20)
    if not start.startswith(b"\x93NUMPY"):
        found = f"begins with {start.decode(errors='replace')!r}" if start else "is empty"
        raise UserError(f"{path} is not a .npy file: it {found}.", hint="write it with numpy.save(file, array).")
    return np.load(path, mmap_mode="r", allow_pickle=False), None


def _read_npz(path: Path) -> tuple[Array | Parts, Array | Parts | None]:
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is not a .npz file.", hint="write it with numpy.savez(file, x=array).")
    with np.load(path, allow_pickle=False) as archive:
        names = {key.lower(): key for key in archive.files}
        if "x_train" in names:
            x, y = (
                {part: archive[names[f"{letter}_{part}"]] for part in PARTS if f"{letter}_{part}" in names}
                for letter in "xy"
            )
            return x, y or None
        labels = [key for lower, key in names.items() if lower in ("y", "label", "labels")]
        others = [key for key in archive.files if key not in labels]
        key = names.get("x") or (others[0] if len(others) == 1 else None)
        if key is None or len(labels) > 1:
            raise UserError(
                f"{path} holds the arrays {', '.join(archive.files) or 'none'}, and it is not clear which is which.",
                hint="name the data x and the labels y, or x_train, x_validation, x_test, y_train …",
            )
        return archive[key], archive[labels[0]] if labels else None


def as_dataset(
    x: Any,
    y: Any = None,
    *,
    kind: str | Kind | None = None,
    binarization: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    split_seed: int = 0,
    whole: bool = False,
    name: str = "array",
    source: str = "",
) -> Dataset:
    """Make a data set of arrays.

    Args:
        x: numpy array or torch tensor, ``(rows, …)``; or a map of ``train`` and maybe ``validation`` and ``test``
            to arrays. Images ``(rows, H, W)`` get a channel axis, ``(rows, H, W, C)`` with 1 or 3 channels are
            turned to ``(rows, C, H, W)``.
        y: labels ``(rows,)``, numbers or words, −1 for unknown; or a map like ``x``. Classes are numbered in order.
        kind: ``binary``, ``grey``, ``real``, ``counts``, ``categories`` or a kind itself; by default 0/1 is binary,
            ``uint8`` is grey levels, floating point is real, and non-negative integers are counts.
            ``grey`` turns numbers in [0, 1] into 256 levels.
        binarization: ``dynamic`` takes grey levels (or numbers in [0, 1]) for probabilities, drawn anew at every
            use; the validation and test rows are drawn once. ``static`` wants 0/1.
        validation: share of the rows, or a number of rows, that is set aside where ``x`` has no such part.
        test: the same for the test rows.
        split_seed: which rows. A memory-mapped array over 2 GiB is cut in its order instead: train first.
        whole: do not cut: all rows, in their order, are every split that ``x`` does not give.
        name: what error messages call it.
        source: where it came from, for people.

    Raises:
        UserError: if the data cannot be used: what, where, what to do.
    """
    arrays = {part: _array(value, _called(name, part, x)) for part, value in _parts(x, name).items()}
    if len({array.shape[1:] for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{part} {array.shape[1:]}" for part, array in arrays.items())
        raise UserError(f"the rows of {name} differ in shape: {shapes}.")
    labels, num_classes = _labels(arrays, {} if y is None else _parts(y, f"the labels of {name}"), name)
    titles = {part: _called(name, part, x) for part in arrays}
    chosen = _choose(arrays, titles, kind, binarization)
    # Only a kind asked for by its word takes numbers in [0, 1] for grey levels.
    scale = 1 if isinstance(kind, Kind) else 255
    stored = {
        part: _image_layout(_stored(array, chosen, scale, titles[part]), chosen) for part, array in arrays.items()
    }
    splits = {part: Split(stored[part], labels.get(part)) for part in stored}
    missing = {part: share for part, share in (("validation", validation), ("test", test)) if part not in splits}
    if missing and whole:
        splits |= dict.fromkeys(missing, splits["train"])
    elif missing:
        splits |= _cut(splits["train"], missing, split_seed, name)
    if chosen.binarization == "dynamic":
        once = binarize_once([splits[part].x for part in PARTS[1:]], chosen.levels)  # type: ignore[union-attr]
        splits |= {part: Split(drawn, splits[part].label) for part, drawn in zip(PARTS[1:], once, strict=True)}
    if whole and len(missing) == 2:
        splits = dict.fromkeys(PARTS, splits["test"])
    return Dataset(
        name,
        chosen,
        splits["train"],
        splits["validation"],
        splits["test"],
        num_classes=num_classes,
        source=source or name,
        by_name=False,
    )


def binarize_once(arrays: list[Array], levels: int) -> list[Array]:
    """Draw 0 or levels − 1 from grey levels, once and for all: evaluation must see the same data every time.

    One stream with seed 777 goes through the arrays in turn. For MNIST's validation and test rows that gives,
    bit for bit, the images of Tomczak & Welling (2018), who drew ``numpy.random.binomial(1, x)`` with that seed.
    """
    stream = np.random.RandomState(777)  # frozen by NumPy's policy, unlike default_rng
    drawn = []
    for array in arrays:
        result = np.empty(array.shape, np.uint8)
        for start, chunk in _chunks(array):
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
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.hasobject:
        raise _objects(name)
    if array.dtype.kind not in "buif":
        raise UserError(f"{name} holds values of type {array.dtype}, but only numbers can be used.")
    if array.ndim == 0 or array.size == 0:
        raise UserError(f"{name} is empty: its shape is {array.shape}.")
    return array[:, None] if array.ndim == 1 else array


def _objects(name: str) -> UserError:
    return UserError(
        f"{name} holds Python objects, which are never loaded because unpickling could run foreign code.",
        hint="save plain numbers: numpy.save(file, array.astype('float32')).",
    )


def _labels(arrays: Parts, given: dict[str, Any], name: str) -> tuple[Parts, int]:
    """Class numbers in the order of the values, −1 where unknown, and how many classes there are."""
    labels: Parts = {}
    for part, value in given.items():
        label = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        rows = len(arrays[part]) if part in arrays else 0
        if label.shape not in ((rows,), (rows, 1)):
            raise UserError(f"{name} has {rows} rows, but its labels have the shape {label.shape}.")
        label = label.reshape(-1)
        whole = label.dtype.kind in "buiUS" or (label.dtype.kind == "f" and bool((label == np.rint(label)).all()))
        if not whole:
            raise UserError(f"the labels of {name} must be whole numbers or words, and have type {label.dtype}.")
        labels[part] = label if label.dtype.kind in "US" else label.astype(np.int64)
    if not labels:
        return {}, 0
    values = np.unique(np.concatenate(list(labels.values())))
    known = values if values.dtype.kind in "US" else values[values >= 0]
    numbered = {
        part: np.where(np.isin(label, known), np.searchsorted(known, label), -1) for part, label in labels.items()
    }
    return numbered, len(known)


def _choose(arrays: Parts, titles: dict[str, str], kind: str | Kind | None, binarization: str | None) -> Kind:
    """The kind asked for, or the one that the values look like; checked against the values."""
    if binarization is not None and binarization not in BINARIZATIONS:
        raise unknown("binarization", binarization, BINARIZATIONS)
    if isinstance(kind, str) and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    for part, array in arrays.items():
        if array.dtype.kind == "f":
            _refuse(array, titles[part], lambda chunk: ~np.isfinite(chunk), "values that are not finite")
    if isinstance(kind, Kind):
        if not isinstance(kind, Real):
            top = getattr(kind, "levels", getattr(kind, "num_categories", math.inf)) - 1
            _check_whole(arrays, titles, f"the kind '{kind.describe()}'", top)
        return kind
    only_bits = all(_find(array, _not_a_bit) is None for array in arrays.values())
    if binarization == "dynamic":
        if kind not in (None, "binary", "grey"):
            raise UserError(f"binarization=dynamic needs grey levels, not kind={kind}.")
        if not only_bits:
            _check_grey(arrays, titles, "binarization=dynamic")
            return Binary(levels=256, binarization="dynamic")
        say(f"{next(iter(titles.values()))} holds only 0 and 1: there is nothing to draw, it is taken as static")
        return Binary()
    kind = kind or ("binary" if binarization == "static" else _guess(arrays, titles, only_bits))
    if kind == "real":
        return Real()
    if kind == "grey":
        _check_grey(arrays, titles, "kind=grey")
        return GreyLevels(256)
    if kind == "binary":
        _check_whole(arrays, titles, "kind=binary", 1, "binarization=dynamic draws 0 and 1 from grey levels.")
        return Binary()
    if kind == "counts":
        _check_whole(arrays, titles, "kind=counts", math.inf, "use kind=real.")
        return Counts()
    _check_whole(arrays, titles, "kind=categories", math.inf, "number the categories from 0.")
    return Categories(1 + max(int(chunk.max()) for array in arrays.values() for _, chunk in _chunks(array)))


def _guess(arrays: Parts, titles: dict[str, str], only_bits: bool) -> str:
    if only_bits:
        return "binary"
    types = {array.dtype.kind if array.dtype != np.uint8 else "grey" for array in arrays.values()}
    if types == {"grey"}:
        return "grey"
    if "f" in types:
        return "real"
    for part, array in arrays.items():
        _refuse(
            array,
            titles[part],
            lambda chunk: chunk < 0,
            "negative integers",
            "say what they are: kind=real for numbers, kind=categories after numbering them from 0.",
        )
    return "counts"


def _check_grey(arrays: Parts, titles: dict[str, str], why: str) -> None:
    for part, array in arrays.items():
        top = 1 if array.dtype.kind == "f" else 255
        _refuse(
            array,
            titles[part],
            lambda chunk, top=top: (chunk < 0) | (chunk > top),
            f"values outside 0 … {top}, which {why} does not allow",
            "scale the data first.",
        )


def _check_whole(arrays: Parts, titles: dict[str, str], why: str, top: float, hint: str = "") -> None:
    """Refuse values that are not whole numbers from 0 to ``top``."""
    allowed = "0 or 1" if top == 1 else "whole numbers from 0" + (f" to {top}" if top < math.inf else "")
    for part, array in arrays.items():
        bad = lambda chunk: (chunk < 0) | (chunk > top) | (chunk != np.rint(chunk))  # noqa: E731
        _refuse(array, titles[part], bad, f"values that are not {allowed}, as {why} needs", hint)


def _not_a_bit(chunk: Array) -> Array:
    return (chunk != 0) & (chunk != 1)


def _chunks(array: Array) -> Iterator[tuple[int, Array]]:
    """Consecutive rows in memory-sized pieces, with the number of the first: mapped files are read in order."""
    rows = max(1, CHUNK_BYTES // max(1, array.nbytes // len(array)))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _find(array: Array, bad: Callable[[Array], Array]) -> tuple[int, ...] | None:
    """Index of the first value that is bad; the rest is not read."""
    for start, chunk in _chunks(array):
        if chunk.dtype == np.bool_:
            return None
        mask = bad(chunk)
        if mask.any():
            index = np.unravel_index(int(mask.argmax()), mask.shape)
            return (start + int(index[0]), *(int(place) for place in index[1:]))
    return None


def _refuse(array: Array, name: str, bad: Callable[[Array], Array], what: str, hint: str = "") -> None:
    """Raise if there are bad values, saying how many and where the first is."""
    index = _find(array, bad)
    if index is None:
        return
    count = sum(int(bad(chunk).sum()) for _, chunk in _chunks(array))
    place = f"column {index[1]}" if len(index) == 2 else f"position {index[1:]}"
    raise UserError(
        f"{name} holds {what} ({count} of {array.size}); the first is {array[index].item()} "
        f"at row {index[0]}, {place} (counted from 0).",
        hint or "leave these rows out or fill in the values first.",
    )


def _is_mapped(array: Array) -> bool:
    return isinstance(array, np.memmap) and array.nbytes > KEEP_MAPPED_BYTES


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
    if _is_mapped(array):
        raise UserError(
            f"{name} is too large to be turned from {array.dtype} into {wanted} in memory.",
            hint=f"store it as {wanted}" + (" with values 0 … 255." if levels == 256 else "."),
        )
    scaled = levels == 256 and scale > 1 and array.dtype.kind == "f"
    result = np.empty(array.shape, wanted)
    for start, chunk in _chunks(array):
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


def _cut(split: Split, shares: dict[str, float], seed: int, name: str) -> dict[str, Split]:
    """Cut parts off a split: rows at random, or in order without copying if the array is large and mapped."""
    rows = len(split.x)
    if rows <= len(shares):
        raise UserError(
            f"{name} has {rows} rows, and at least {len(shares) + 1} are needed to set aside "
            f"{' and '.join(shares)} rows."
        )
    counts = {}
    for part, share in shares.items():
        is_share = isinstance(share, float) and 0 < share < 1
        if not is_share and not (isinstance(share, int) and share >= 1):
            raise UserError(f"{part} must be a share of the rows between 0 and 1 or a number of rows, got {share}.")
        counts[part] = max(1, round(share * rows)) if is_share else int(share)
    if sum(counts.values()) >= rows:
        wanted = " and ".join(f"{count} {part}" for part, count in counts.items())
        raise UserError(f"{name} has {rows} rows: with {wanted} rows set aside none are left for training.")
    mapped = _is_mapped(split.x)
    order = np.arange(rows) if mapped else np.random.RandomState(seed).permutation(rows)
    result, start = {}, 0
    for part, count in {"train": rows - sum(counts.values()), **counts}.items():
        piece = slice(start, start + count) if mapped else np.sort(order[start : start + count])
        x = split.x[piece] if mapped else np.ascontiguousarray(split.x[piece])
        result[part] = Split(x, None if split.label is None else split.label[piece])
        start += count
    return result
