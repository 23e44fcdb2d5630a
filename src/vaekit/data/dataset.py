"""Data set: three splits of stored arrays and the kind of their values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from vaekit.data.kinds import Categories, Counts, Kind, Real
from vaekit.data.labels import Classes, as_written, renumbering
from vaekit.data.mapped import take
from vaekit.data.missing import fill
from vaekit.errors import UserError
from vaekit.parts.record import to_document

LABELS = "they come from a column (FILE.csv:label=COLUMN), from y in a .npz, or from a folder of images for each class."


class Split(NamedTuple):
    """Rows of a data set as they are stored (in memory or memory-mapped).

    Attributes:
        x: ``(rows, *stored_shape)``.
        label: ``(rows,)`` integers, −1 where unknown; ``None`` if the set has no labels.
        order: row numbers that make one epoch; ``None`` for each row once.
        Rows that are to be seen more often (few labelled ones, say) are listed more often.
        condition: ``(rows, *shape)``, what the model is conditioned on, or ``None``.
        mask: ``(rows, *stored_shape)``, true where x is observed, or ``None`` if all of it is. Elsewhere x holds
        the neutral value of its kind.
        length: ``(rows,)`` integers, steps of the first axis before the padding, where the mask is false; or ``None``.
    """

    x: np.ndarray
    label: np.ndarray | None = None
    order: np.ndarray | None = None
    condition: np.ndarray | None = None
    mask: np.ndarray | None = None
    length: np.ndarray | None = None

    @property
    def num_rows(self) -> int:
        """Rows that make one epoch."""
        return len(self.x if self.order is None else self.order)

    def first(self, count: int) -> Split:
        """The first ``count`` rows."""
        return self._rows(slice(count))

    def spread(self, count: int) -> Split:
        """``count`` rows at even distances: in some data the first ones are of a sort. All of them if there are fewer.

        Of a file that is not in memory it is every n-th row, so that it need not be read at once.
        """
        rows = len(self.x)
        if count >= rows:
            return self.first(rows)
        step = rows // count
        return self._rows(
            slice(0, count * step, step) if isinstance(self.x, np.memmap) else np.arange(count) * rows // count
        )

    def _rows(self, which: slice | np.ndarray) -> Split:
        beside = (self.label, self.condition, self.mask, self.length)
        label, condition, mask, length = (column if column is None else column[which] for column in beside)
        return Split(self.x[which], label, None, condition, mask, length)

    def columns_in(self, order: list[int]) -> Split:
        """The columns of a table in another order."""
        return self._replace(x=self.x[:, order], mask=None if self.mask is None else self.mask[:, order])

    def refilled(self, kind: Kind) -> Split:
        """With the neutral value of a kind where nothing is observed."""
        return self if self.mask is None else self._replace(x=fill(self.x, self.mask, kind.neutral))


@dataclass(frozen=True)
class Dataset:
    """A named data set.

    Attributes:
        name: how it was asked for (a catalogue name or a path, with its options).
        kind: what the numbers are.
        train, validation, test: the splits; models are chosen on ``validation``, reported on ``test``.
        num_classes: number of label classes, 0 without labels.
        classes: what they are called in the data, in the order of their numbers: words, or whole numbers; by default
        the numbers themselves.
        source: where the bytes came from, for people.
        by_name: whether ``vaekit.data.load(name)`` gives it again (false for arrays given in Python).
        labelled: fingerprint of the set with all of its labels, where some are hidden.
    """

    name: str
    kind: Kind
    train: Split
    validation: Split
    test: Split
    num_classes: int = 0
    source: str = ""
    by_name: bool = True
    classes: Classes = ()
    labelled: str = ""

    def __post_init__(self) -> None:
        # Either tells the other.
        object.__setattr__(self, "classes", self.classes or tuple(range(self.num_classes)))
        object.__setattr__(self, "num_classes", len(self.classes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example as the model sees it."""
        return self.kind.event_shape(tuple(self.train.x.shape[1:]))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a table; empty where there are none."""
        return self.kind.columns

    def describe(self) -> str:
        """What an example is, in a line: ``28 × 28 grey images, 256 levels``."""
        stored, kind = tuple(self.train.x.shape[1:]), self.kind
        sizes = " × ".join(f"{size:,}" for size in stored)
        if self.columns:
            what = f"table of {sizes} {kind.adjective} column{'s' if stored != (1,) else ''}"
        elif len(stored) == 3 and not isinstance(kind, (Counts, Categories)):
            what = f"{stored[1]} × {stored[2]} {_images(kind.adjective, stored[0])}"
        else:
            what = f"{sizes} {kind.unit}"
        mask, length = self.train.mask, self.train.length
        if length is not None:
            what = f"sequences of up to {sizes} {kind.unit}"
        gaps = "" if mask is None or length is not None else f"{1 - mask.mean():.0%} missing"
        return ", ".join(piece for piece in (what, kind.detail, gaps) if piece)

    @property
    def document(self) -> dict[str, Any]:
        """What a run writes down about its data."""
        return {
            "name": self.name,
            "by_name": self.by_name,
            "kind": to_document(self.kind),
            "shape": list(self.shape),
            "condition_dim": self.condition_dim,
            **({"condition_shape": list(self.condition_shape)} if self.conditioned_on == "array" else {}),
            "classes": list(self.classes),
            "fingerprint": self.fingerprint,
            "loaded": self.labelled or self.fingerprint,
        }

    def each(self, change: Callable[[Split], Split]) -> Dataset:
        """The same with all splits changed; splits that are one and the same stay so."""
        once: dict[int, Split] = {}
        for split in (self.train, self.validation, self.test):
            if id(split.x) not in once:
                once[id(split.x)] = change(split)
        train, validation, test = (once[id(split.x)] for split in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)

    def refilled(self) -> Dataset:
        """The same with the neutral value of its kind where nothing is observed."""
        return self.each(lambda split: split.refilled(self.kind))

    def read_as(self, kind: Kind) -> Dataset:
        """The same rows as a model of another run sees them: with the mean and scale of its ``kind``.

        Columns are put into the order of ``kind`` where both have names. Data of another sort or width stays what
        it is: it does not fit the model, and the model says so.

        Raises:
            UserError: if columns are missing or not known.
        """
        if type(kind) is not type(self.kind):
            return self
        order = column_order(self.columns, kind.columns, self.name)
        if not isinstance(kind, Real):
            kind = replace(self.kind, columns=kind.columns or self.columns)
        elif not kind.fits(tuple(self.train.x.shape[1:])):
            return self
        ordered = self if order is None else self.each(lambda split: split.columns_in(order))
        return replace(ordered, kind=kind).refilled()

    def numbered_as(self, classes: Classes, *, others: bool = False) -> Dataset:
        """The same with its classes numbered as those of a model; unchanged if the model or the data knows none.

        Args:
            classes: of the model.
            others: whether further classes get the numbers after those of the model; they are refused if not.

        Raises:
            UserError: for a class that is refused, naming the nearest known ones.
        """
        if not classes or not self.classes or classes == self.classes:
            return self
        table, known = renumbering(self.classes, classes, self.name, others=others)
        changed = self.each(lambda split: split if split.label is None else split._replace(label=table[split.label]))
        return replace(changed, classes=known)

    def written(self, label: np.ndarray) -> np.ndarray:
        """Labels ``(rows,)`` as they stand in the data: words, or numbers."""
        return as_written(label, self.classes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, types and a fixed sample of rows; it tells whether a run still has the same data."""
        digest = hashlib.sha256(repr(self.kind).encode())
        digest.update("\0".join(self.columns).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(f"{split.x.shape}{split.x.dtype}".encode())
            rows = np.linspace(0, len(split.x) - 1, num=min(len(split.x), 256)).astype(int)
            digest.update(take(split.x, rows).tobytes())
            if split.label is not None:
                digest.update(np.ascontiguousarray(split.label).tobytes())
            if split.mask is not None:
                digest.update(np.packbits(split.mask[rows]).tobytes())
            if split.length is not None:
                digest.update(split.length.tobytes())
            if split.condition is not None and not _is_label(split):
                digest.update(f"{split.condition.shape}".encode())
                digest.update(np.ascontiguousarray(split.condition[rows]).tobytes())
        return digest.hexdigest()

    def has(self, split: str) -> bool:
        """Whether there is such a split, and not the rows of another under its name."""
        if split != "train":
            return self.split(split).x is not self.train.x
        return self.has("validation") or self.has("test")

    def split(self, name: str) -> Split:
        """One split by name: ``train``, ``validation``, ``test``, or ``all`` of them in that order, each row once."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if name != "all":
            return splits[name]
        distinct = list({id(split.x): split for split in splits.values()}.values())
        if len(distinct) == 1:
            return distinct[0]

        def joined(columns: list[np.ndarray | None]) -> np.ndarray | None:
            there = [column for column in columns if column is not None]
            return np.concatenate(there) if len(there) == len(columns) else None

        return Split(
            np.concatenate([split.x for split in distinct]),
            joined([split.label for split in distinct]),
            None,
            joined([split.condition for split in distinct]),
            joined([split.mask for split in distinct]),
            joined([split.length for split in distinct]),
        )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition of a row, 0 without one."""
        return math.prod(self.condition_shape) if self.condition_shape else 0

    @property
    def condition_shape(self) -> tuple[int, ...]:
        """Shape of the condition of a row, empty without one."""
        return () if self.train.condition is None else self.train.condition.shape[1:]

    @property
    def conditioned_on(self) -> str | None:
        """``label`` where the condition is the label, ``array`` where it was given, ``None`` without one."""
        if self.train.condition is None:
            return None
        return "label" if _is_label(self.train) else "array"

    def conditioned(self, num_classes: int = 0) -> Dataset:
        """The same data with the label, one-hot, as its condition; zeros where a label is not known.

        Args:
            num_classes: length of the condition; as many as there are classes by default.

        Raises:
            UserError: if there are no labels, or more classes than ``num_classes``.
        """
        num_classes = num_classes or self.num_classes
        if self.num_classes > num_classes:
            raise UserError(f"{self.name} has {self.num_classes} classes and the model knows {num_classes}.")
        if not self.num_classes or any(split.label is None for split in (self.train, self.validation, self.test)):
            raise UserError(f"{self.name} has no labels that a model could be conditioned on.", hint=LABELS)
        rows = np.concatenate([np.eye(num_classes, dtype=np.float32), np.zeros((1, num_classes), np.float32)])

        # Row −1 of the table is the one of zeros.
        return self.each(lambda split: split._replace(condition=rows[split.label]))

    def with_labels(self, num_labelled: int, *, share: float = 0.5, seed: int = 0) -> Dataset:
        """Keep the labels of ``num_labelled`` training rows, as many of each class as can be; hide the others.

        Args:
            num_labelled: how many training labels stay.
            share: labelled rows are repeated so that they are about this share of an epoch.
            seed: which rows.

        Raises:
            UserError: if the set has no labels or too few.
        """
        label = self.train.label
        if label is None or not (label >= 0).any():
            raise UserError(f"the training rows of {self.name} have no labels.", hint=LABELS)
        known = int((label >= 0).sum())
        if not 0 < num_labelled <= known:
            raise UserError(
                f"num_labelled must be between 1 and {known}, as many as {self.name} has for training, got "
                f"{num_labelled}.",
                hint=f"say how many are used: --recipe m2:num_labelled={max(1, known // 2)}.",
            )
        # RandomState: its stream is frozen for good, so that a seed names the same rows tomorrow.
        shuffled = np.random.RandomState(seed).permutation(len(label))
        shuffled = shuffled[label[shuffled] >= 0]
        # The rank of each row within its class: taking rows by rank takes the classes in turn.
        rank = np.empty(len(shuffled), int)
        for value in np.unique(label[shuffled]):
            rows = label[shuffled] == value
            rank[rows] = np.arange(rows.sum())
        kept = shuffled[np.argsort(rank, kind="stable")[:num_labelled]]
        partly = np.full_like(label, -1)
        partly[kept] = label[kept]
        repeats = max(0, round(share / (1 - share) * len(label) / num_labelled) - 1)
        order = np.concatenate([np.arange(len(label)), np.tile(np.sort(kept), repeats)])
        train = self.train._replace(label=partly, order=order)
        return replace(self, train=train, labelled=self.labelled or self.fingerprint)


def _is_label(split: Split) -> bool:
    """Whether the condition of some rows is their label, one-hot, as :meth:`Dataset.conditioned` makes it."""
    label, condition = split.label, split.condition
    if label is None or condition is None or condition.ndim != 2 or label.max(initial=-1) >= condition.shape[1]:
        return False
    return bool(np.array_equal(condition, np.arange(condition.shape[1]) == label[:, None]))


def column_order(columns: tuple[str, ...], wanted: tuple[str, ...], name: str) -> list[int] | None:
    """Which column stands where in the order that is wanted; ``None`` if nothing is to be done.

    Raises:
        UserError: if both have names and not the same ones.
    """
    if not columns or not wanted or columns == wanted:
        return None
    missing = [column for column in wanted if column not in set(columns)]
    extra = [column for column in columns if column not in set(wanted)]
    if missing or extra:
        differences = [f"{_some(missing)} missing"] * bool(missing) + [f"{_some(extra)} not known to it"] * bool(extra)
        raise UserError(
            f"{name} does not have the columns that the model was made for: {'; '.join(differences)}.",
            hint=f"if '{extra[0]}' is the label, say so: label={extra[0]}." if len(extra) == 1 and not missing else "",
        )
    places = {column: place for place, column in enumerate(columns)}
    return [places[column] for column in wanted]


def _some(names: list[str]) -> str:
    """The first three names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more + (" is" if len(names) == 1 else " are")


def _images(adjective: str, channels: int) -> str:
    if channels == 1:
        return f"{adjective} images"
    if channels == 3:
        return "colour images" if adjective == "grey" else f"{adjective} colour images"
    return f"{adjective} images of {channels} channels"


def checked(data: Any) -> Dataset:
    """The same data set, if it is one.

    Raises:
        TypeError: if it is not a data set.
    """
    if not isinstance(data, Dataset):
        raise TypeError(
            f"the data must be a Dataset, not a {type(data).__name__}: vaekit.data.as_dataset makes one of arrays"
        )
    return data
