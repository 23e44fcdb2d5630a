"""Kinds of data: what the numbers of a data set are, and how batches are prepared from them.

A kind turns stored values (``uint8`` grey levels, integer categories …) into the tensor that the
model sees, on the device of the batch: ``kind.prepare(raw)``, shapes ``(batch, *stored)`` to
``(batch, *kind.event_shape(stored))``. ``kind.restore(x)`` goes the other way, for what a model
gives back: into the units of the data, shapes ``(…, *event)`` to ``(…, *stored)``. ``kind.nearest(x)``
does the same and ends at a value that the data itself could hold: a bit, a level, a count.

``kind.neutral`` is what is stored where nothing was observed, and what the encoder therefore sees. ``kind.low`` and
``kind.high`` are the ends of what the model sees, ``None`` where there is none.

The columns of a table have names; they are part of the kind, so that a run remembers them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaekit.data.real import FURTHEST, Real
from vaekit.parts.record import part

__all__ = ["FURTHEST", "Binary", "Categories", "Counts", "GreyLevels", "Kind", "Real"]


@part("kind/binary")
@dataclass(frozen=True)
class Binary:
    """Values in {0, 1}, stored as they are (``levels=2``) or as grey levels to be binarised.

    Args:
        levels: number of stored levels; a stored value v stands for the probability v / (levels − 1).
        binarization: ``static`` (stored values are final) or ``dynamic`` (a fresh Bernoulli draw
            from the grey level at every use; Salakhutdinov & Murray 2008).
        columns: names of the columns of a table.
    """

    levels: int = 2
    binarization: str = "static"
    columns: tuple[str, ...] = field(default=(), repr=False)
    default_likelihood = "bernoulli"
    adjective = "binary"
    unit = "binary values"
    low, high = 0.0, 1.0
    neutral = 0

    @property
    def detail(self) -> str:
        """What :meth:`~vaekit.data.Dataset.describe` adds."""
        return f"{self.binarization} binarisation from {self.levels} levels" if self.levels > 2 else ""

    def prepare(self, raw: Tensor) -> Tensor:
        """Stored values as 0 and 1, or as probabilities if grey levels are not binarised."""
        probability = raw.to(torch.get_default_dtype())
        probability = probability / (self.levels - 1) if self.levels > 2 else probability
        if self.binarization != "dynamic":
            return probability
        return (uniform_like(probability) < probability).to(probability.dtype)  # torch.bernoulli is slow

    def restore(self, x: Tensor) -> Tensor:
        """As they are: 0 and 1, or a probability."""
        return x

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest stored level: of bits the more probable one."""
        return (x * (self.levels - 1)).round().clamp(0, self.levels - 1).to(torch.int64)

    def log_scale(self, stored: tuple[int, ...], mask: np.ndarray | None = None) -> float:
        """0: nothing is rescaled."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        source = f" from {self.levels} grey levels" if self.levels > 2 else ""
        return f"binary, {self.binarization} binarisation{source}"


@part("kind/grey-levels")
@dataclass(frozen=True)
class GreyLevels:
    """Ordered discrete levels 0 … levels − 1; the model sees v / (levels − 1) in [0, 1].

    Args:
        levels: how many.
        columns: names of the columns of a table.
    """

    levels: int = 256
    columns: tuple[str, ...] = field(default=(), repr=False)
    binarization = "none"
    adjective = "grey"
    unit = "grey values"
    low, high = 0.0, 1.0
    neutral = 0

    @property
    def detail(self) -> str:
        return f"{self.levels} levels"

    @property
    def default_likelihood(self) -> str:
        return f"discretized-logistic:levels={self.levels}"

    def prepare(self, raw: Tensor) -> Tensor:
        """Levels as numbers in [0, 1]."""
        return raw.to(torch.get_default_dtype()) / (self.levels - 1)

    def restore(self, x: Tensor) -> Tensor:
        """The nearest level, ``uint8`` where the levels allow it."""
        level = (x * (self.levels - 1)).round().clamp(0, self.levels - 1)
        return level.to(torch.uint8 if self.levels <= 256 else torch.int64)

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest level."""
        return self.restore(x)

    def log_scale(self, stored: tuple[int, ...], mask: np.ndarray | None = None) -> float:
        """0: the likelihood of levels is a probability, not a density."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return f"{self.levels} grey levels"


@part("kind/counts")
@dataclass(frozen=True)
class Counts:
    """Non-negative integers without an upper end.

    Args:
        columns: names of the columns of a table.
    """

    columns: tuple[str, ...] = field(default=(), repr=False)
    binarization = "none"
    default_likelihood = "negative-binomial"
    input_network = "log-input"
    adjective = "count"
    unit = "counts"
    low, high = 0.0, None
    neutral = 0
    detail = ""

    def prepare(self, raw: Tensor) -> Tensor:
        """As they are."""
        return raw.to(torch.get_default_dtype())

    def restore(self, x: Tensor) -> Tensor:
        """As they are: a count, or the mean of one."""
        return x

    def nearest(self, x: Tensor) -> Tensor:
        """The nearest count."""
        return x.round().clamp_min(0).to(torch.int64)

    def log_scale(self, stored: tuple[int, ...], mask: np.ndarray | None = None) -> float:
        """0: nothing is rescaled."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return "counts"


@part("kind/categories")
@dataclass(frozen=True)
class Categories:
    """Integers 0 … num_categories − 1 without an order; the model sees them one-hot, last axis.

    Args:
        num_categories: how many.
        columns: names of the columns of a table.
    """

    num_categories: int
    columns: tuple[str, ...] = field(default=(), repr=False)
    binarization = "none"
    default_likelihood = "categorical"
    adjective = "categorical"
    unit = "categorical values"
    low, high = 0.0, 1.0
    neutral = -1

    @property
    def detail(self) -> str:
        return f"{self.num_categories} categories"

    def prepare(self, raw: Tensor) -> Tensor:
        """One-hot, ``(batch, *stored, num_categories)``; zeros where a category is missing (−1)."""
        category = raw.long()
        known = category >= 0
        one = one_hot(category.clamp_min(0), self.num_categories) * known.unsqueeze(-1)
        return one.to(torch.get_default_dtype())

    def restore(self, x: Tensor) -> Tensor:
        """The number of the category, the most probable one of probabilities."""
        return x.argmax(-1)

    def nearest(self, x: Tensor) -> Tensor:
        """The most probable category."""
        return x.argmax(-1)

    def log_scale(self, stored: tuple[int, ...], mask: np.ndarray | None = None) -> float:
        """0: nothing is rescaled."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return (*stored, self.num_categories)

    def describe(self) -> str:
        return f"{self.num_categories} categories"


Kind = Binary | GreyLevels | Real | Counts | Categories


def uniform_like(x: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), as many as in ``x``; of float32 each is a multiple of 2⁻²⁴, as torch's are.

    On a processor torch makes them one by one, and a word of 63 bits in the time of one: it gives two numbers.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return torch.rand_like(x)
    count = x.numel()
    words = torch.empty((count + 1) // 2, dtype=torch.int64).random_()
    halves = words.view(torch.int32)[:count].view(x.shape)
    return (halves & 0xFFFFFF).to(torch.float32) * 2**-24
