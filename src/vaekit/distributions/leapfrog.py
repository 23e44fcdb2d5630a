"""Samples that are moved towards a target by Hamiltonian dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions.flow import POINTS, spread_out


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
