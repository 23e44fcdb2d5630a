"""Von Mises–Fisher distribution and the uniform one, on the unit sphere."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Beta, Distribution, constraints, register_kl

NODES = 128  # of the quadrature over angles


class UnitVectors(constraints.Constraint):
    """Vectors of length 1 on the last axis; densities are with respect to the area of the sphere."""

    event_dim = 1
    words = "unit vectors"

    def check(self, value: Tensor) -> Tensor:
        return (value.norm(dim=-1) - 1).abs() < 1e-3


unit_vectors = UnitVectors()


class VonMisesFisher(Distribution):
    """q(z) ∝ exp(κ μᵀz) on the unit sphere of R^m, with respect to its area.

    The angle θ between z and μ has the density exp(κ cos θ) sin^(m−2) θ / Z(κ) on [0, π], where
    Z(κ) = √π Γ((m−1)/2) (2/κ)^ν I_ν(κ), ν = m/2 − 1: the modified Bessel function in the form of an integral. That
    integral is what is computed here, with exp(−κ) taken out, by Gauss–Legendre quadrature over the angles that
    matter; it is smooth for every m ≥ 2 and κ ≥ 0, and so are its derivatives.

    Samples take θ by rejection (Wood 1994) and a uniform direction around μ. Their gradient is that of the values
    themselves: θ moves with κ so that its distribution function stays (the implicit derivative −∂_κF / f), and the
    direction is carried along where μ turns. The score-function correction of Davidson et al. 2018 is not needed.

    Args:
        loc: μ, unit vectors ``(*batch, m)``.
        concentration: κ, positive, ``(*batch,)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = unit_vectors
    has_rsample = True

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        self.loc, self.concentration = loc, concentration
        self._angles = Angles(loc.shape[-1], concentration)
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """A(κ) μ, inside the sphere."""
        return (1 - self._angles.mean_of(versine)).unsqueeze(-1) * self.loc

    @property
    def variance(self) -> Tensor:
        """Of each coordinate: that of cos θ along μ, and E sin² θ / (m − 1) across it."""
        along = self._angles.mean_of(lambda angle: versine(angle).square()) - self._angles.mean_of(versine).square()
        across = self._angles.mean_of(lambda angle: angle.sin().square()) / (self.loc.shape[-1] - 1)
        share = self.loc.square()
        return share * along.unsqueeze(-1) + (1 - share) * across.unsqueeze(-1)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        concentration = self.concentration.expand(shape[:-1])
        with torch.no_grad():
            angle = drawn_angles(shape[-1], concentration)
            slope = self._angles.slope(angle)
            noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
            around = noise - (noise * self.loc).sum(-1, keepdim=True) * self.loc
            around = torch.nn.functional.normalize(around, dim=-1)
        angle = (angle + slope * (concentration - concentration.detach())).unsqueeze(-1)
        # Zero but for its gradient: the smallest rotation that takes μ along takes the direction along.
        around = around - (around * self.loc).sum(-1, keepdim=True) * self.loc
        return angle.cos() * self.loc + angle.sin() * around

    def log_prob(self, value: Tensor) -> Tensor:
        # μᵀz − 1, without the cancellation.
        versine_of_angle = 0.5 * (value - self.loc).square().sum(-1)
        return -self.concentration * versine_of_angle - self._log_normalizer

    def entropy(self) -> Tensor:
        return self.concentration * self._angles.mean_of(versine) + self._log_normalizer

    @property
    def _log_normalizer(self) -> Tensor:
        """log ∫ exp(κ (μᵀz − 1)) over the sphere."""
        return log_area(self.loc.shape[-1] - 1) + self._angles.log_normalizer


class HypersphericalUniform(Distribution):
    """The same density everywhere on the unit sphere of R^m.

    Args:
        like: a vector ``(m,)`` of the type and on the device of z.
    """

    arg_constraints = {}  # noqa: RUF012
    support = unit_vectors

    def __init__(self, like: Tensor) -> None:
        self.like = like
        super().__init__(torch.Size(), like.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.zeros_like(self.like)

    @property
    def variance(self) -> Tensor:
        return torch.full_like(self.like, 1 / len(self.like))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = torch.randn(shape, dtype=self.like.dtype, device=self.like.device)
        return torch.nn.functional.normalize(noise, dim=-1)

    def log_prob(self, value: Tensor) -> Tensor:
        return value.new_full(value.shape[:-1], -log_area(len(self.like)))

    def entropy(self) -> Tensor:
        return self.like.new_tensor(log_area(len(self.like)))


@register_kl(VonMisesFisher, HypersphericalUniform)
def _kl_to_uniform(q: VonMisesFisher, p: HypersphericalUniform) -> Tensor:
    """log area of the sphere − H(q)."""
    return p.entropy() - q.entropy()


@register_kl(VonMisesFisher, VonMisesFisher)
def _kl_von_mises_fisher(q: VonMisesFisher, p: VonMisesFisher) -> Tensor:
    """−H(q) − E_q log p, the latter by the mean of q."""
    versine_between = 1 - (q.mean * p.loc).sum(-1)
    return p.concentration * versine_between + p._log_normalizer - q.entropy()


@register_kl(HypersphericalUniform, HypersphericalUniform)
def _kl_uniform_uniform(q: HypersphericalUniform, p: HypersphericalUniform) -> Tensor:
    return q.like.new_zeros(())


def log_area(dims: int) -> float:
    """log of the area of the unit sphere in R^dims: 2 π^(dims/2) / Γ(dims/2).

    >>> round(math.exp(log_area(3)) / math.pi, 6)
    4.0
    """
    return math.log(2) + 0.5 * dims * math.log(math.pi) - math.lgamma(0.5 * dims)


def versine(angle: Tensor) -> Tensor:
    """1 − cos θ, exact for small angles."""
    return 2 * (angle / 2).sin().square()


class Angles:
    """The density f(θ) ∝ exp(−κ (1 − cos θ)) sin^(m−2) θ on [0, π] by quadrature.

    Args:
        dims: m.
        concentration: κ, ``(*batch,)``.
    """

    def __init__(self, dims: int, concentration: Tensor) -> None:
        self.dims, self.concentration = dims, concentration
        # The mode is at tan²(θ/2) = m₂ (1 + m₂ / (h + 2κ)) / (h + m₂ + 2κ) with m₂ = m − 2, and −h is the second
        # derivative of log f there, −κ if m = 2. Outside the interval the density is less than exp(−48) of its peak.
        kappa = concentration.detach().clamp_min(torch.finfo(concentration.dtype).tiny)
        power = dims - 2
        curvature = (4 * kappa.square() + power**2).sqrt()
        mode = 2 * (power * (1 + power / (curvature + 2 * kappa)) / (curvature + power + 2 * kappa)).sqrt().atan()
        reach = 20 * curvature.rsqrt()
        self.least, self.most = (mode - reach).clamp_min(0), (mode + reach).clamp_max(math.pi)
        width = (self.most - self.least).unsqueeze(-1)
        nodes, weights = legendre(concentration)
        self.angles = self.least.unsqueeze(-1) + width * nodes
        log_density = -concentration.unsqueeze(-1) * versine(self.angles) + power * self.angles.sin().log()
        self._log_masses = log_density + weights.log() + width.log()

    @property
    def log_normalizer(self) -> Tensor:
        """log ∫ exp(−κ (1 − cos θ)) sin^(m−2) θ dθ, ``(*batch,)``."""
        return self._log_masses.logsumexp(-1)

    def mean_of(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """E f(θ), ``(*batch,)``."""
        return (self._log_masses.softmax(-1) * function(self.angles)).sum(-1)

    @torch.no_grad()
    def slope(self, angle: Tensor) -> Tensor:
        """dθ/dκ at fixed F(θ; κ): −∂_κ F / f = ∫_0^θ (A − cos φ) f(φ) / f(θ) dφ, and minus the same from θ to π.

        Of the two the one on the side of θ that is away from the mass, where f(φ) / f(θ) does not grow.
        """
        nodes, weights = legendre(self.concentration, NODES // 2)
        mean = self.mean_of(versine)
        above = versine(angle) > mean
        end = torch.where(above, torch.maximum(self.most, angle), torch.minimum(self.least, angle))
        between = end.unsqueeze(-1) + (angle - end).unsqueeze(-1) * nodes
        ratio = self._log_ratio(between, angle.unsqueeze(-1)).exp()
        integrand = (versine(between) - mean.unsqueeze(-1)) * ratio
        return (angle - end) * (weights * integrand).sum(-1)

    def _log_ratio(self, other: Tensor, angle: Tensor) -> Tensor:
        """log f(φ) / f(θ)."""
        power = (self.dims - 2) * (other.sin() / angle.sin()).log() if self.dims > 2 else 0.0  # else 0 · log 0
        # cos φ − cos θ, without the cancellation.
        difference = 2 * ((angle + other) / 2).sin() * ((angle - other) / 2).sin()
        return self.concentration.unsqueeze(-1) * difference + power


def drawn_angles(dims: int, concentration: Tensor) -> Tensor:
    """Angles to the mean direction by rejection from a transformed Beta (Wood 1994), in the shape of κ."""
    kappa = concentration.flatten()
    shape = (dims - 1) / 2
    # b = (m − 1) / (2κ + √(4κ² + (m − 1)²)), x₀ = (1 − b) / (1 + b).
    b = (dims - 1) / (2 * kappa + (4 * kappa.square() + (dims - 1) ** 2).sqrt())
    beta = Beta(kappa.new_tensor(shape), kappa.new_tensor(shape), validate_args=False)
    versines = torch.empty_like(kappa)
    pending = torch.arange(len(kappa), device=kappa.device)
    while len(pending):
        k, c = kappa[pending], b[pending]
        e = beta.sample(pending.shape)
        # 1 − w of the proposal w = (1 − (1 + b) e) / (1 − (1 − b) e), and how it is to be judged.
        proposed = 2 * c * e / (1 - (1 - c) * e)
        # log of the density over that of the proposal, against its largest value, which is at w = x₀ = 1 − short.
        short = 2 * c / (1 + c)
        log_accept = (
            k * (short - proposed) + (dims - 1) * ((short + (1 - short) * proposed) * (1 + c) ** 2 / (4 * c)).log()
        )
        accepted = torch.rand_like(k).log() <= log_accept
        versines[pending[accepted]] = proposed[accepted]
        pending = pending[~accepted]
    return 2 * (versines / 2).clamp(0, 1).sqrt().asin().reshape(concentration.shape)


@functools.cache
def _legendre(count: int) -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


def legendre(like: Tensor, count: int = NODES) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = _legendre(count)
    return nodes.to(like), weights.to(like)
