"""Student-t likelihood of real data with outliers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import counts as large
from vaekit.likelihoods.location_scale import LocationScale
from vaekit.networks.network import positive
from vaekit.parts.record import part

LEAST = 2.0
START = 10.0


@part("likelihood/student-t", paper="Takahashi et al. 2018")
class StudentT(LocationScale):
    """p(x|z) = Π_d StudentT(x_d; ν, μ_d(z), s_d): a Gaussian for ν → ∞.

    A learned ν starts at 10 and stays above 2, where the variance s² ν/(ν − 2) is finite.

    Args:
        network: from latents to features.
        shape: shape of one example.
        scale: where s comes from: a number, ``learned``, ``per-dimension`` or ``network``.
        degrees: ν, the degrees of freedom: a number above 1 (the mean must exist), ``learned`` or ``per-dimension``.
        minimum_scale: smallest s.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.StudentT(vk.networks.MLP(20), (7,), degrees=4)(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = False

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        scale: float | str = "learned",
        degrees: float | str = "learned",
        minimum_scale: float = 1e-3,
    ) -> None:
        super().__init__(network, shape, scale, minimum_scale)
        self.degrees = _degrees(degrees, shape)

    def element(self, loc: Tensor, scale: Tensor) -> large.StudentT:
        return large.StudentT(self.degrees(), loc, scale)


class FixedDegrees(nn.Module):
    """A constant."""

    value: Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(float(value)), persistent=False)

    def forward(self) -> Tensor:
        return self.value


class LearnedDegrees(nn.Module):
    """A parameter of the given shape, above 2."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return LEAST + (START - LEAST) * positive(self.raw)


def _degrees(degrees: float | str, shape: tuple[int, ...]) -> FixedDegrees | LearnedDegrees:
    if isinstance(degrees, (int, float)) and degrees > 1:
        return FixedDegrees(degrees)
    shapes = {"learned": (), "per-dimension": shape}
    if degrees not in shapes:
        raise ValueError(f"degrees must be a number above 1, 'learned' or 'per-dimension', got '{degrees}'")
    return LearnedDegrees(shapes[degrees])  # type: ignore[index]
