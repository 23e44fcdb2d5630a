"""Scale of a likelihood: a constant, a parameter, one per dimension, or the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.networks.network import checked_minimum, positive


class FixedScale(nn.Module):
    """A constant."""

    maps = 0
    value: Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        if value <= 0:
            raise ValueError(f"a fixed scale must be positive, got {value}")
        self.register_buffer("value", torch.tensor(float(value)), persistent=False)

    def forward(self, raw: list[Tensor]) -> Tensor:
        return self.value


class LearnedScale(nn.Module):
    """A parameter of the given shape: ``()`` for one scalar, the event shape for one per dimension."""

    maps = 0

    def __init__(self, shape: tuple[int, ...], minimum: float) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(shape))
        self.minimum = checked_minimum(minimum)

    def forward(self, raw: list[Tensor]) -> Tensor:
        return positive(self.raw, self.minimum)


class NetworkScale(nn.Module):
    """One more map of the decoder's head."""

    maps = 1

    def __init__(self, minimum: float) -> None:
        super().__init__()
        self.minimum = checked_minimum(minimum)

    def forward(self, raw: list[Tensor]) -> Tensor:
        return positive(raw[0], self.minimum)


def make_scale(scale: float | str, shape: tuple[int, ...], minimum: float) -> FixedScale | LearnedScale | NetworkScale:
    """A number is fixed; ``learned`` is one scalar; ``per-dimension`` a parameter each; ``network`` p(x|z)'s own.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(scale, (int, float)):
        return FixedScale(scale)
    if scale == "learned":
        return LearnedScale((), minimum)
    if scale == "per-dimension":
        return LearnedScale(shape, minimum)
    if scale == "network":
        return NetworkScale(minimum)
    raise ValueError(f"scale must be a number, 'learned', 'per-dimension' or 'network', got '{scale}'")
