"""Distributions of transformed noise: normalising flows, and draws moved by Hamiltonian leapfrog steps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.quasirandom import SobolEngine

Map = Callable[[Tensor], tuple[Tensor, Tensor]]
POINTS = 128  # at which a map is looked at for its moments


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


class Moved(NamedTuple):
    """Where a start was moved to.

    Attributes:
        z: ``(*samples, *batch, latent)``.
        momentum: ρ, the same shape.
        log_q: log q(z, ρ | x) of both together, ``(*samples, *batch)``.
    """

    z: Tensor
    momentum: Tensor
    log_q: Tensor


class Leapfrog:
    """(z, ρ) moved through K leapfrog steps for the energy U(z) = −log p(x, z), the momentum scaled after each.

    One step is ρ ← ρ − ε/2 ∇U(z), z ← z + ε ρ, ρ ← ρ − ε/2 ∇U(z): a shear each, so that the volume is kept; then
    ρ ← α_k ρ (Caterini et al. 2018, section 3.2).

    Args:
        log_joint: log p(x, z) of z ``(*samples, *batch, latent)``, ``(*samples, *batch)``.
        step_sizes: ε for each step and dimension, ``(K, latent)``.
        cooling: α_1 … α_K, ``(K,)``.
    """

    def __init__(self, log_joint: Callable[[Tensor], Tensor], step_sizes: Tensor, cooling: Tensor) -> None:
        self.log_joint, self.step_sizes, self.cooling = log_joint, step_sizes, cooling

    def forward(self, z: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        for step, factor in zip(self.step_sizes, self.cooling, strict=True):
            momentum = momentum + 0.5 * step * self._slope(z)
            z = z + step * momentum
            momentum = factor * (momentum + 0.5 * step * self._slope(z))
        return z, momentum

    def inverse(self, z: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        for step, factor in zip(self.step_sizes.flip(0), self.cooling.flip(0), strict=True):
            momentum = momentum / factor - 0.5 * step * self._slope(z)
            z = z - step * momentum
            momentum = momentum - 0.5 * step * self._slope(z)
        return z, momentum

    def _slope(self, z: Tensor) -> Tensor:
        """∇ log p(x, z), itself differentiable in training; in evaluation nothing else is kept of it."""
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            z = z if training and z.requires_grad else z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.log_joint(z).sum(), z, create_graph=training)
        return slope


class Evolved(Distribution):
    """The law of z after a start z_0 ~ q_0 and a momentum ρ_0 ~ N(0, I / β_0) were moved by :class:`Leapfrog`.

    The density of z by itself is not known; that of z and its momentum together is (:meth:`move`). With
    Π α_k = √β_0 the scaling of the momentum and its wider start cancel in it:
    log q(z_K, ρ_K) = log q_0(z_0) + log N(√β_0 ρ_0; 0, I).

    Mean and variance are those of the images of fixed quasi-random points, drawn from the Gaussian with the mean and
    variances of q_0: exact but for their number if q_0 is that Gaussian, near it otherwise.

    Args:
        start: q_0(z|x).
        leapfrog: the moves.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True
    has_density = False

    def __init__(self, start: Distribution, leapfrog: Leapfrog) -> None:
        self.start, self.leapfrog = start, leapfrog
        super().__init__(start.batch_shape, start.event_shape, validate_args=False)

    def move(self, sample_shape: torch.Size = torch.Size()) -> Moved:
        """Draws of z and ρ with log q of both."""
        z = self.start.rsample(sample_shape)
        noise = torch.randn_like(z)
        log_noise = -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))
        return Moved(*self._moved(z, noise), self.start.log_prob(z) + log_noise)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.move(sample_shape).z

    @property
    def mean(self) -> Tensor:
        return self._images.mean(0)

    @property
    def variance(self) -> Tensor:
        return self._images.var(0, correction=0)

    @property
    def _images(self) -> Tensor:
        loc, scale = self.start.mean, self.start.stddev
        points = spread_out(POINTS, 2 * loc.shape[-1]).to(loc).reshape(POINTS, *[1] * len(self._batch_shape), -1)
        place, noise = points.expand(POINTS, *self._batch_shape, -1).chunk(2, dim=-1)
        return self._moved(loc + scale * place, noise)[0]

    def _moved(self, z: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        # ρ_0 = noise / √β_0, and Π α_k = √β_0. By logarithms: a product's gradient looks for zeros, and a GPU waits.
        return self.leapfrog.forward(z, noise / self.leapfrog.cooling.log().sum().exp())


@functools.lru_cache(maxsize=8)
def spread_out(count: int, dims: int) -> Tensor:
    """``count`` points that cover N(0, I) evenly, ``(count, dims)``, always the same.

    In pairs of opposite ones, and each coordinate with the variance 1, so that straight maps have their exact moments.
    """
    uniform = SobolEngine(dims, scramble=True, seed=0).draw(count // 2, dtype=torch.float64)
    half = torch.special.ndtri(uniform.clamp(1e-9, 1 - 1e-9))
    half = half / half.square().mean(0).sqrt()
    return torch.cat([half, -half])
