"""Named data sets: each is a function that returns a :class:`Dataset`, with its options as keywords."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import numpy as np

from vaekit.data.arrays import binarize_once
from vaekit.data.dataset import Dataset, Split
from vaekit.data.download import fetch, say
from vaekit.data.kinds import Binary, GreyLevels, Kind
from vaekit.errors import UserError, unknown

Pair = tuple[np.ndarray, np.ndarray]  # of the training and of the test file

_SETS: dict[str, Callable[..., Dataset]] = {}


class Option(NamedTuple):
    """An option of a named data set: its default and, if they are few, all its values."""

    default: Any
    choices: tuple[Any, ...]


def named(name: str) -> Callable[[Callable[..., Dataset]], Callable[..., Dataset]]:
    """Put a function into the catalogue.

    The first line of its docstring is what listings print. Options with a ``Literal`` type are checked before
    the function runs, and an option given as ``None`` (``none`` on the command line) is the word ``none``.
    """

    def mark(function: Callable[..., Dataset]) -> Callable[..., Dataset]:
        @functools.wraps(function)
        def checked(**given: Any) -> Dataset:
            known = options(name)
            for key, value in given.items():
                if key not in known:
                    raise unknown(f"option of the data set '{name}'", key, known)
                given[key] = value = "none" if value is None else value
                if known[key].choices and value not in known[key].choices:
                    raise unknown(f"{key} of the data set '{name}'", f"{value}", known[key].choices)
            return function(**given)

        _SETS[name] = checked
        return checked

    return mark


def names() -> dict[str, Callable[..., Dataset]]:
    """The named data sets in alphabetical order."""
    return dict(sorted(_SETS.items()))


def options(name: str) -> dict[str, Option]:
    """The options of a named data set, for listing.

    Raises:
        UserError: for an unknown name.
    """
    if name not in _SETS:
        raise unknown("data set", name, _SETS)
    function = inspect.unwrap(_SETS[name])
    hints = get_type_hints(function)
    return {
        key: Option(parameter.default, get_args(hints[key]))
        for key, parameter in inspect.signature(function).parameters.items()
    }


@named("mnist")
def mnist(binarization: Literal["dynamic", "static", "none"] = "dynamic") -> Dataset:
    """MNIST handwritten digits, 28×28: 50000 training, 10000 validation, 10000 test images.

    ``dynamic`` and ``none``: the last 10000 training images are the validation set; with labels. ``static``: the
    binary images of Larochelle & Murray (2011), which have no labels.

    Raises:
        UserError: if the files cannot be had.
    """
    if binarization == "static":
        return _static_mnist()
    images, source = _idx("mnist", "images")
    labels, _ = _idx("mnist", "labels")
    return _images("mnist", images, labels, binarization, source)


@named("fashion-mnist")
def fashion_mnist(binarization: Literal["none", "dynamic"] = "none") -> Dataset:
    """Fashion-MNIST clothes, 28×28 grey: 50000 training, 10000 validation, 10000 test images.

    The labels are left out, with a word on stderr, where only the images can be had.

    Raises:
        UserError: if the images cannot be had.
    """
    images, source = _idx("fashion_mnist", "images")
    try:
        labels, _ = _idx("fashion_mnist", "labels")
    except UserError as error:
        say(f"fashion-mnist has no labels here: {error.message}")
        labels = None
    return _images("fashion-mnist", images, labels, binarization, source)


@named("omniglot")
def omniglot(binarization: Literal["dynamic", "none"] = "dynamic") -> Dataset:
    """Omniglot's handwritten characters, 28×28: 23000 training, 1345 validation, 8115 test images.

    Made from the 105×105 drawings: a grey level is the share of ink on its area of 3.75×3.75. Of the 20 drawings of
    each of the 1623 characters 5 are test images. The 28×28 file of Burda et al. (2016) has nearly as many rows, but
    they are not the same: figures are not comparable digit for digit with those on that file.

    Raises:
        UserError: if the files cannot be had.
    """
    drawings, source = [], ""
    for part in ("background", "evaluation"):
        content, place = fetch("omniglot", f"images_{part}.npz")
        source = source or place
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            drawings += list(archive["images"])
    grey = np.stack([_smaller(~character) for character in drawings])
    # RandomState: frozen by NumPy's policy.
    random = np.random.RandomState(0)
    order = np.stack([random.permutation(20) for _ in drawings])
    mixed = np.take_along_axis(grey, order[:, :, None, None], axis=1)
    seen, test = mixed[:, :15].reshape(-1, 1, 28, 28), mixed[:, 15:].reshape(-1, 1, 28, 28)
    seen = seen[random.permutation(len(seen))]
    return _grey("omniglot", [Split(seen[:-1345]), Split(seen[-1345:]), Split(test)], 256, binarization, source)


def _smaller(ink: np.ndarray) -> np.ndarray:
    """Drawings ``(n, 105, 105)`` of 0 and 1 as ``(n, 28, 28)``, 256 levels: the share of ink on each pixel's area."""
    # A new pixel is 15 quarters of an old one wide: whole numbers, which float32 holds exactly.
    old, new = 4 * np.arange(105), 15 * np.arange(28)[:, None]
    quarters = (np.minimum(old + 4, new + 15) - np.maximum(old, new)).clip(0).astype(np.float32)
    filled = quarters @ (ink.astype(np.float32) @ quarters.T)
    return np.rint(filled.astype(np.float64) * 255 / 225).astype(np.uint8)


@named("frey-faces")
def frey_faces() -> Dataset:
    """Frey faces, 28×20 grey: 1565 training, 200 validation, 200 test images of one video.

    The rows are mixed, so that test images have neighbours in the training set: figures are optimistic.

    Raises:
        UserError: if the file cannot be had.
    """
    content, source = fetch("frey_faces", "freyfaces.npz")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        x = archive["images"].reshape(-1, 1, 28, 20)
    x = x[np.random.RandomState(0).permutation(len(x))]
    return _grey("frey-faces", [Split(x[:1565]), Split(x[1565:1765]), Split(x[1765:])], 256, "none", source)


@named("digits")
def digits(binarization: Literal["dynamic", "none"] = "dynamic") -> Dataset:
    """Handwritten digits, 8×8 with 17 grey levels, embedded in scikit-learn: 1257 + 270 + 270 images."""
    table = _digits()
    x, label = table[:, :-1], table[:, -1]
    order = np.random.RandomState(0).permutation(len(x))  # frozen by NumPy's policy, unlike default_rng
    x = x[order].astype(np.uint8).reshape(-1, 1, 8, 8)
    label = label[order].astype(np.int64)
    cuts = [slice(0, 1257), slice(1257, 1527), slice(1527, 1797)]
    return _grey("digits", [Split(x[cut], label[cut]) for cut in cuts], 17, binarization, "scikit-learn")


def _digits() -> np.ndarray:
    """The 1797 rows of scikit-learn's file, ``(1797, 65)``: 64 grey levels and the label.

    Its package is only looked for: importing it takes a second.
    """
    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    return np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", np.uint8, delimiter=",")


def _images(name: str, images: Pair, labels: Pair | None, binarization: str, source: str) -> Dataset:
    """MNIST and its likenesses: the last 10000 training images are the validation set."""
    cuts = [(0, slice(0, 50_000)), (0, slice(50_000, 60_000)), (1, slice(None))]
    splits = [Split(images[file][cut], None if labels is None else labels[file][cut]) for file, cut in cuts]
    return _grey(name, splits, 256, binarization, source)


def _grey(name: str, splits: list[Split], levels: int, binarization: str, source: str) -> Dataset:
    """Grey levels as they are, or as probabilities with validation and test drawn once."""
    kind: Kind = GreyLevels(levels)
    if binarization == "dynamic":
        kind = Binary(levels=levels, binarization="dynamic")
        once = binarize_once([split.x for split in splits[1:]], levels)
        splits = [splits[0], *(Split(x, split.label) for split, x in zip(splits[1:], once, strict=True))]
    num_classes = 0 if splits[0].label is None else 10
    return Dataset(name, kind, *splits, num_classes=num_classes, source=source)


def _idx(collection: str, what: str) -> tuple[Pair, str]:
    """Training and test ``images`` ``(n, 1, 28, 28)`` uint8 or ``labels`` ``(n,)`` int64, and where they came from."""
    axes, shape, dtype = {"images": (3, (-1, 1, 28, 28), np.uint8), "labels": (1, (-1,), np.int64)}[what]
    arrays, source = [], ""
    for part in ("train", "t10k"):
        content, place = fetch(collection, f"{part}-{what}-idx{axes}-ubyte")
        source = source or place  # a package puts its other files into the cache: the first one tells
        # astype copies: an array over bytes cannot be written to, and torch warns of that.
        arrays.append(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape).astype(dtype))
    return (arrays[0], arrays[1]), source


def _static_mnist() -> Dataset:
    splits, source = [], ""
    for part in ("train", "valid", "test"):
        content, place = fetch("binarized_mnist", f"binarized_mnist_{part}.amat")
        source = source or place
        splits.append(Split(_bits(content).reshape(-1, 1, 28, 28)))
    return Dataset("mnist:binarization=static", Binary(levels=2, binarization="static"), *splits, source=source)


def _bits(content: bytes) -> np.ndarray:
    """0/1 rows of the original text (``0 1 … 0``, one character and one blank or line end each) or of MATLAB's."""
    if content.startswith(b"MATLAB"):
        from scipy.io import loadmat

        return np.ascontiguousarray(loadmat(io.BytesIO(content))["X"])
    return np.frombuffer(content, np.uint8).reshape(-1, 2 * 784)[:, ::2] - np.uint8(ord("0"))
