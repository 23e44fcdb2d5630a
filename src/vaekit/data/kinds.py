"""What the numbers of a data set are. The kind picks the default likelihood and prepares batches.

A kind turns stored values (``uint8`` grey levels, integer categories …) into the tensor that the
model sees, on the device of the batch: ``kind.prepare(raw)``, shapes ``(batch, *stored)`` to
``(batch, *kind.event_shape(stored))``. ``kind.restore(x)`` goes the other way, for what a model
gives back: into the units of the data, shapes ``(…, *event)`` to ``(…, *stored)``.

The columns of a table have names; they are part of the kind, so that a run remembers them.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaekit.config import part

Numbers = float | tuple[float, ...]


FURTHEST = 1e18  # its square is still a number in single precision


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

    @property
    def detail(self) -> str:
        """What :meth:`~vaekit.data.Dataset.describe` adds."""
        return f"{self.binarization} binarisation from {self.levels} levels" if self.levels > 2 else ""

    def prepare(self, raw: Tensor) -> Tensor:
        """Stored values as 0 and 1, or as probabilities if grey levels are not binarised."""
        probability = raw.to(torch.get_default_dtype()) / (self.levels - 1)
        return torch.bernoulli(probability) if self.binarization == "dynamic" else probability

    def restore(self, x: Tensor) -> Tensor:
        """As they are: 0 and 1, or a probability."""
        return x

    def log_scale(self, stored: tuple[int, ...]) -> float:
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

    def log_scale(self, stored: tuple[int, ...]) -> float:
        """0: the likelihood of levels is a probability, not a density."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return f"{self.levels} grey levels"


@functools.lru_cache(maxsize=16)
def _tensor(numbers: Numbers, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=dtype, device=device)


@part("kind/real")
@dataclass(frozen=True)
class Real:
    """Real numbers; the model sees (x − mean) / scale.

    A density of what the model sees becomes one in the data's own units by
    ``log p_own = log p − kind.log_scale(stored_shape)``.

    Args:
        mean: one number, or one for each column (the last axis).
        scale: the same; positive.
        columns: names of the columns of a table.

    Raises:
        ValueError: if the scale is not positive or the lengths do not agree.
    """

    mean: Numbers = 0.0
    scale: Numbers = 1.0
    columns: tuple[str, ...] = field(default=(), repr=False)
    binarization = "none"
    default_likelihood = "gaussian:scale=learned"
    adjective = "real"
    unit = "real numbers"

    def __post_init__(self) -> None:
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        if not all(0 < scale < math.inf for scale in scales):
            raise ValueError("scale must be positive")
        lengths = {len(numbers) for numbers in (self.mean, self.scale) if isinstance(numbers, tuple)}
        if len(lengths | ({len(self.columns)} if self.columns and lengths else set())) > 1:
            raise ValueError("mean, scale and columns must be of one length")

    def fits(self, stored: tuple[int, ...]) -> bool:
        """Whether there are as many means and scales as an example of shape ``stored`` has columns."""
        lengths = {len(numbers) for numbers in (self.mean, self.scale) if isinstance(numbers, tuple)}
        return lengths <= {stored[-1]}

    @property
    def standardized(self) -> bool:
        """Whether the model sees other numbers than those stored."""
        return self.mean != 0 or self.scale != 1

    @property
    def detail(self) -> str:
        return "standardised" if self.standardized else ""

    def prepare(self, raw: Tensor) -> Tensor:
        """(raw − mean) / scale, computed in double precision where the device has it.

        Nothing is further out than ``FURTHEST`` scales: a row may be absurd beside the training rows, and its
        likelihood must be absurdly small then, not infinite or no number.
        """
        if not self.standardized:
            return raw.to(torch.get_default_dtype())
        wide, mean, scale = self._wide(raw)
        scaled = (wide - mean) / scale
        # What is infinite in the data stays so: training names its row.
        near = torch.where(wide.isfinite(), scaled.clamp(-FURTHEST, FURTHEST), scaled)
        return near.to(torch.get_default_dtype())

    def restore(self, x: Tensor) -> Tensor:
        """x · scale + mean, in the type of x."""
        if not self.standardized:
            return x
        wide, mean, scale = self._wide(x)
        return (wide * scale + mean).to(x.dtype)

    def _wide(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dtype = torch.float32 if x.device.type == "mps" else torch.float64
        return x.to(dtype), _tensor(self.mean, dtype, x.device), _tensor(self.scale, dtype, x.device)

    def log_scale(self, stored: tuple[int, ...]) -> float:
        """Σ log scale over the elements of an example of shape ``stored``."""
        if isinstance(self.scale, tuple):
            return sum(map(math.log, self.scale)) * math.prod(stored[:-1])
        return math.log(self.scale) * math.prod(stored)

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return "real numbers"


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
    detail = ""

    def prepare(self, raw: Tensor) -> Tensor:
        """As they are."""
        return raw.to(torch.get_default_dtype())

    def restore(self, x: Tensor) -> Tensor:
        """As they are: a count, or the mean of one."""
        return x

    def log_scale(self, stored: tuple[int, ...]) -> float:
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

    @property
    def detail(self) -> str:
        return f"{self.num_categories} categories"

    def prepare(self, raw: Tensor) -> Tensor:
        """One-hot, ``(batch, *stored, num_categories)``."""
        return one_hot(raw.long(), self.num_categories).to(torch.get_default_dtype())

    def restore(self, x: Tensor) -> Tensor:
        """The number of the category, the most probable one of probabilities."""
        return x.argmax(-1)

    def log_scale(self, stored: tuple[int, ...]) -> float:
        """0: nothing is rescaled."""
        return 0.0

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return (*stored, self.num_categories)

    def describe(self) -> str:
        return f"{self.num_categories} categories"


Kind = Binary | GreyLevels | Real | Counts | Categories
