"""What the numbers of a data set are. The kind picks the default likelihood and prepares batches.

A kind turns stored values (``uint8`` grey levels, integer categories …) into the tensor that the
model sees, on the device of the batch: ``kind.prepare(raw)``, shapes ``(batch, *stored)`` to
``(batch, *kind.event_shape(stored))``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaekit.config import part


@part("kind/binary")
@dataclass(frozen=True)
class Binary:
    """Values in {0, 1}, stored as they are (``levels=2``) or as grey levels to be binarised.

    Args:
        levels: number of stored levels; a stored value v stands for the probability v / (levels − 1).
        binarization: ``static`` (stored values are final) or ``dynamic`` (a fresh Bernoulli draw
            from the grey level at every use; Salakhutdinov & Murray 2008).
    """

    levels: int = 2
    binarization: str = "static"
    default_likelihood = "bernoulli"

    def prepare(self, raw: Tensor) -> Tensor:
        probability = raw.to(torch.get_default_dtype()) / (self.levels - 1)
        return torch.bernoulli(probability) if self.binarization == "dynamic" else probability

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        source = f" from {self.levels} grey levels" if self.levels > 2 else ""
        return f"binary, {self.binarization} binarisation{source}"


@part("kind/grey-levels")
@dataclass(frozen=True)
class GreyLevels:
    """Ordered discrete levels 0 … levels − 1; the model sees v / (levels − 1) in [0, 1]."""

    levels: int = 256
    binarization = "none"

    @property
    def default_likelihood(self) -> str:
        return f"discretized-logistic:levels={self.levels}"

    def prepare(self, raw: Tensor) -> Tensor:
        return raw.to(torch.get_default_dtype()) / (self.levels - 1)

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return f"{self.levels} grey levels"


@part("kind/real")
@dataclass(frozen=True)
class Real:
    """Real numbers, seen by the model as they are stored."""

    binarization = "none"
    default_likelihood = "gaussian:scale=learned"

    def prepare(self, raw: Tensor) -> Tensor:
        return raw.to(torch.get_default_dtype())

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return "real numbers"


@part("kind/counts")
@dataclass(frozen=True)
class Counts:
    """Non-negative integers without an upper end."""

    binarization = "none"
    default_likelihood = "negative-binomial"

    def prepare(self, raw: Tensor) -> Tensor:
        return raw.to(torch.get_default_dtype())

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return "counts"


@part("kind/categories")
@dataclass(frozen=True)
class Categories:
    """Integers 0 … num_categories − 1 without an order; the model sees them one-hot, last axis."""

    num_categories: int
    binarization = "none"
    default_likelihood = "categorical"

    def prepare(self, raw: Tensor) -> Tensor:
        return one_hot(raw.long(), self.num_categories).to(torch.get_default_dtype())

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return (*stored, self.num_categories)

    def describe(self) -> str:
        return f"{self.num_categories} categories"


Kind = Binary | GreyLevels | Real | Counts | Categories
