"""A density carried along by an invertible map."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.quasirandom import SobolEngine

Map = Callable[[Tensor], tuple[Tensor, Tensor]]
POINTS = 128  # at which the map is looked at for its mean


class Flow(Distribution):
    """The law of z = T(ε) with ε ~ N(0, I): log q(z) = log N(ε; 0, I) − log|det ∂T/∂ε|.

    Of the z that was just drawn ε and the determinant are at hand, so that its density costs nothing; any other z is
    taken back through the inverse. Mean and variance have no formula: they are those of the images of a fixed set of
    quasi-random points, so that they are a function of the map alone and involve no chance.

    Args:
        like: any tensor ``(*batch, latent)`` of the type and on the device of z.
        forward: ε ``(*samples, *batch, latent)`` to z and log|det ∂T/∂ε|, ``(*samples, *batch)``.
        inverse: z to ε and the same log-determinant, that of the map from ε to z.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, like: Tensor, forward: Map, inverse: Map) -> None:
        self._like, self._forward, self._inverse = like, forward, inverse
        self._drawn: tuple[Tensor, Tensor, Tensor] | None = None
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._images.mean(0)

    @property
    def variance(self) -> Tensor:
        return self._images.var(0, correction=0)

    @property
    def _images(self) -> Tensor:
        points = spread_out(POINTS, self._like.shape[-1]).to(self._like)
        points = points.reshape(POINTS, *[1] * len(self._batch_shape), -1)
        return self._forward(points.expand(self._extended_shape(torch.Size([POINTS]))))[0]

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self._like.dtype, device=self._like.device)
        value, log_det = self._forward(noise)
        self._drawn = (value, noise, log_det)
        return value

    def log_prob(self, value: Tensor) -> Tensor:
        if self._drawn is not None and self._drawn[0] is value:
            _, noise, log_det = self._drawn
        else:
            noise, log_det = self._inverse(value)
        return -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi)) - log_det


@functools.lru_cache(maxsize=8)
def spread_out(count: int, dims: int) -> Tensor:
    """``count`` points that cover N(0, I) evenly, ``(count, dims)``, always the same.

    In pairs of opposite ones, and each coordinate with the variance 1, so that straight maps have their exact moments.
    """
    uniform = SobolEngine(dims, scramble=True, seed=0).draw(count // 2, dtype=torch.float64)
    half = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
    half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])
