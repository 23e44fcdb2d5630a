"""Real numbers, standardised."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vaekit.data.missing import sum_observed
from vaekit.kernels.double import double, widest
from vaekit.parts.record import part

Numbers = float | tuple[float, ...]

FURTHEST = 1e18  # its square is still a number in single precision


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
    adjective = "real"
    unit = "real numbers"
    low = high = None

    def __post_init__(self) -> None:
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        if not all(0 < scale < math.inf for scale in scales):
            raise ValueError("scale must be positive")
        lengths = {len(numbers) for numbers in (self.mean, self.scale) if isinstance(numbers, tuple)}
        if len(lengths | ({len(self.columns)} if self.columns and lengths else set())) > 1:
            raise ValueError("mean, scale and columns must be of one length")

    @property
    def default_likelihood(self) -> str:
        """One learned σ; for a table, whose columns were scaled one by one, a σ for each cell, by the network.

        The floor of a tenth of a column's spread keeps columns of few values from being worth any number of nats.
        """
        if isinstance(self.scale, tuple):
            return "gaussian:scale=network,minimum_scale=0.1"
        return "gaussian:scale=learned"

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

    @property
    def neutral(self) -> Numbers:
        """The mean: the model sees 0 where nothing was observed."""
        return self.mean

    def nearest(self, x: Tensor) -> Tensor:
        """x · scale + mean, in double precision where the device has it."""
        return self.restore(double(x))

    def _wide(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        dtype = widest(x.device)
        return x.to(dtype), _tensor(self.mean, dtype, x.device), _tensor(self.scale, dtype, x.device)

    def log_scale(self, stored: tuple[int, ...], mask: np.ndarray | None = None) -> float:
        """Σ log scale over the elements of an example of shape ``stored``.

        Args:
            stored: the shape.
            mask: ``(rows, *stored)``: only over the observed elements, mean over the rows.
        """
        if mask is not None:
            scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
            return sum_observed(mask, tuple(map(math.log, scales)))
        if isinstance(self.scale, tuple):
            return sum(map(math.log, self.scale)) * math.prod(stored[:-1])
        return math.log(self.scale) * math.prod(stored)

    def event_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored

    def describe(self) -> str:
        return "real numbers"
