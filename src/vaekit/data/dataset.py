"""A data set: three splits of stored arrays and the kind of their values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from vaekit.data.kinds import Kind


class Split(NamedTuple):
    """Rows of a data set as they are stored (in memory or memory-mapped).

    Attributes:
        x: ``(rows, *stored_shape)``.
        label: ``(rows,)`` integers, −1 where unknown; ``None`` if the set has no labels.
        order: row numbers that make one epoch; ``None`` for each row once.
        Rows that are to be seen more often (few labelled ones, say) are listed more often.
    """

    x: np.ndarray
    label: np.ndarray | None = None
    order: np.ndarray | None = None


@dataclass(frozen=True)
class Dataset:
    """A named data set.

    Attributes:
        name: how it was asked for (a catalogue name or a path, with its options).
        kind: what the numbers are.
        train, validation, test: the splits; models are chosen on ``validation``, reported on ``test``.
        num_classes: number of label classes, 0 without labels.
        source: where the bytes came from, for people.
        by_name: whether ``vaekit.data.load(name)`` gives it again (false for arrays given in Python).
    """

    name: str
    kind: Kind
    train: Split
    validation: Split
    test: Split
    num_classes: int = 0
    source: str = ""
    by_name: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example as the model sees it."""
        return self.kind.event_shape(tuple(self.train.x.shape[1:]))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, types and a fixed sample of rows: tells whether a resumed run has the same data."""
        digest = hashlib.sha256(repr(self.kind).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(f"{split.x.shape}{split.x.dtype}".encode())
            rows = np.linspace(0, len(split.x) - 1, num=min(len(split.x), 256)).astype(int)
            digest.update(np.ascontiguousarray(split.x[rows]).tobytes())
            if split.label is not None:
                digest.update(np.ascontiguousarray(split.label).tobytes())
        return digest.hexdigest()

    def split(self, name: str) -> Split:
        """One split by name: ``train``, ``validation``, ``test``, or ``all`` of them in that order, each row once."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if name != "all":
            return splits[name]
        distinct = list({id(split.x): split for split in splits.values()}.values())
        if len(distinct) == 1:
            return distinct[0]
        labels = [split.label for split in distinct if split.label is not None]
        x = np.concatenate([split.x for split in distinct])
        return Split(x, np.concatenate(labels) if len(labels) == len(distinct) else None)

    def with_labels(self, num_labelled: int, *, share: float = 0.5, seed: int = 0) -> Dataset:
        """Keep the labels of ``num_labelled`` training rows, as many of each class as can be; hide the others.

        Args:
            num_labelled: how many training labels stay.
            share: labelled rows are repeated so that they are about this share of an epoch.
            seed: which rows.

        Raises:
            ValueError: if the set has no labels or too few.
        """
        label = self.train.label
        if label is None:
            raise ValueError(f"the data set '{self.name}' has no labels")
        if not 0 < num_labelled <= int((label >= 0).sum()):
            raise ValueError(f"num_labelled must be between 1 and {int((label >= 0).sum())}, got {num_labelled}")
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
        return replace(self, train=self.train._replace(label=partly, order=order))
