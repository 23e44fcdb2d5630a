"""Laws of a density: it integrates to one, and samples follow it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, constraints

from vaekit.distributions.comparison import support_of_one
from vaekit.distributions.von_mises_fisher import UnitVectors
from vaekit.testing.statistics import assert_equal, assert_mean, assert_within, reproducible, seeded

POINTS = {1: 4001, 2: 401}  # along each axis; numbers of intervals that can be halved twice


class Rule(NamedTuple):
    """Points and weights with ∫ f(z) dz ≈ Σ w f(z).

    Attributes:
        points: ``(points, dims)``.
        weights: ``(points,)``.
        coarse: weights of rules half and a quarter as fine at the same points, which tell the error;
            none if the points are random, where the spread tells it.
    """

    points: Tensor
    weights: Tensor
    coarse: tuple[Tensor, ...] = ()

    def integrate(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """∫ of values ``(points, *more)`` and its error, each ``(*more,)``."""
        total = torch.tensordot(self.weights, values, 1)
        if not self.coarse:
            weights = self.weights.reshape(-1, *[1] * (values.dim() - 1))
            return total, (values * weights * len(values)).std(0) / len(values) ** 0.5
        # Two of them: with a cusp between two points, one may agree by accident.
        off = [(total - torch.tensordot(rough, values, 1)).abs() for rough in self.coarse]
        return total, torch.stack(off).amax(0)


def rule_for(samples: Tensor, log_prob: Callable[[Tensor], Tensor]) -> Rule:
    """A rule for a density that these samples ``(samples, dims)`` are said to come from.

    Trapezia over three times the range of the samples in one and two dimensions. Above, half of the
    samples and as many points from a Gaussian r of the others' mean and covariance, each with the weight
    1 / (½ p + ½ r): where p is right and the samples follow it, that is importance sampling whose weights
    cannot grow, however narrow p is in places. Where either is wrong, the integral of p is not one.
    """
    dims = samples.shape[-1]
    samples = samples.detach().double()
    if dims not in POINTS:
        fitted, used = samples.chunk(2)
        gaussian = MultivariateNormal(fitted.mean(0), torch.cov(fitted.T))
        with seeded(1):  # other noise than that of the samples
            points = torch.cat([used, gaussian.sample(torch.Size([len(used)]))])
        log_half = math.log(0.5)
        log_mixture = torch.logaddexp(log_half + log_prob(points).detach(), log_half + gaussian.log_prob(points))
        return Rule(points, (-log_mixture).exp() / len(points))
    low, high = samples.amin(0), samples.amax(0)
    low, high = low - (high - low), high + (high - low)
    axes = [torch.linspace(a, b, POINTS[dims], dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    fine, *coarse = (_trapezia(axes, every) for every in (1, 2, 4))
    return Rule(torch.cartesian_prod(*axes).reshape(-1, dims), fine, tuple(coarse))


def _trapezia(axes: list[Tensor], every: int) -> Tensor:
    """Weights at the points of a grid of the trapezium rule on every first, second … point of each axis."""
    product = torch.ones((), dtype=torch.float64)
    for axis in axes:
        weights = torch.zeros_like(axis)
        weights[::every] = every * (axis[1] - axis[0])
        weights[[0, -1]] /= 2
        product = product[..., None] * weights
    return product.flatten()


@reproducible
def check_density(log_prob: Callable[[Tensor], Tensor], samples: Tensor, what: str) -> None:
    """∫ p = 1, and means over the samples are integrals over p: of z, z zᵀ, waves cos z and sin z, and −log p.

    Args:
        log_prob: of points ``(points, dims)`` in nats, shape ``(points,)``; in float64.
        samples: ``(samples, dims)``, independent.
        what: names the density in the message.

    Raises:
        AssertionError: if the density is not normalised or the samples do not follow it.
    """
    # Two halves, where the rule is made of samples: one for the rule, one to be held against it.
    samples = samples.detach().double()
    kept = samples if samples.shape[-1] in POINTS else samples[: len(samples) // 2]
    rule = rule_for(kept, log_prob)
    samples = samples if kept is samples else samples[len(samples) // 2 :]
    log_p = log_prob(rule.points).detach()
    total, error = rule.integrate(log_p.exp())
    # Beyond the box there is less than 1e-8 of a Gaussian's or Laplace's mass.
    assert_within(total - 1, error + 1e-8, f"the integral of {what} minus one")
    location, scale = samples.mean(0), samples.std(0)
    exact, error = rule.integrate(log_p.exp()[:, None] * _statistics((rule.points - location) / scale, log_p))
    seen = _statistics((samples - location) / scale, log_prob(samples).detach())
    assert_mean(seen, exact, f"moments and entropy of samples of {what}", error + 1e-8)


def _statistics(points: Tensor, log_p: Tensor) -> Tensor:
    """What the law of z is judged by, side by side, ``(points, statistics)``.

    Moments alone would take a Laplace for a Gaussian of the same variance, whose −log p is a moment too.
    """
    products = points[:, :, None] * points[:, None, :]
    upper = torch.triu_indices(points.shape[1], points.shape[1])
    information = torch.where(log_p > -torch.inf, -log_p, torch.zeros_like(log_p))
    waves = [wave(frequency * points) for wave in (torch.cos, torch.sin) for frequency in (1, 2)]
    return torch.cat([points, products[:, upper[0], upper[1]], *waves, information[:, None]], dim=1)


def check_mass(log_p: Tensor, drawn: Tensor, what: str) -> None:
    """Σ p = 1 over the whole support, and every value is drawn as often as its probability says.

    Args:
        log_p: log-probability of every value of the support, ``(support,)``, in nats.
        drawn: which value each sample is, ``(samples,)`` integers.
        what: names the distribution in the message.

    Raises:
        AssertionError: if the masses do not sum to one or the samples do not follow them.
    """
    probability = log_p.detach().double().exp()
    assert_equal(probability.sum(), 1.0, f"the sum of {what} over its support")
    assert (probability[drawn] > 0).all(), f"samples of {what} have values whose probability is 0"
    frequency = torch.bincount(drawn, minlength=len(log_p)).double() / len(drawn)
    # Of each value, and of all up to it, which notices a small shift of ordered ones.
    expected, seen = (torch.cat([mass, mass.cumsum(0)]) for mass in (probability, frequency))
    # One count more than the binomial's standard error: rare values are not normally distributed.
    error = (expected * (1 - expected).clamp_min(0) / len(drawn)).sqrt() + 1 / len(drawn)
    assert_within(seen - expected, error, f"frequencies of {what}")


@reproducible
def check_on_sphere(log_prob: Callable[[Tensor], Tensor], samples: Tensor, what: str) -> None:
    """The same as :func:`check_density` for unit vectors: a density with respect to the area of the sphere.

    A grid of angles on the circle and the sphere; above, uniform points and half of the samples, as there.

    Args:
        log_prob: of unit vectors ``(points, dims)`` in nats, shape ``(points,)``; in float64.
        samples: ``(samples, dims)``, independent.
        what: names the density in the message.

    Raises:
        AssertionError: if samples have another length than 1, the density is not normalised, or they do not follow it.
    """
    samples = samples.detach().double()
    length = samples.norm(dim=-1)
    assert_equal(length, torch.ones_like(length), f"the length of samples of {what}")
    dims = samples.shape[-1]
    kept, used = samples, samples
    if dims > 3:
        kept, used = samples.chunk(2)
    rule = _sphere_rule(dims, kept, log_prob)
    log_p = log_prob(rule.points).detach()
    total, error = rule.integrate(log_p.exp())
    assert_within(total - 1, error + 1e-8, f"the integral of {what} minus one")
    exact, error = rule.integrate(log_p.exp()[:, None] * _statistics(rule.points, log_p))
    seen = _statistics(used, log_prob(used).detach())
    assert_mean(seen, exact, f"moments and entropy of samples of {what}", error + 1e-8)


def _sphere_rule(dims: int, samples: Tensor, log_prob: Callable[[Tensor], Tensor]) -> Rule:
    log_area = math.log(2) + 0.5 * dims * math.log(math.pi) - math.lgamma(0.5 * dims)
    if dims > 3:
        with seeded(1):  # other noise than that of the samples
            uniform = torch.nn.functional.normalize(torch.randn_like(samples), dim=-1)
        points = torch.cat([samples, uniform])
        log_p = log_prob(points).detach()
        log_mixture = math.log(0.5) + torch.logaddexp(log_p, torch.full_like(log_p, -log_area))
        return Rule(points, (-log_mixture).exp() / len(points))
    # Equal steps of longitude, which are exact to rounding for what is smooth, and Gauss's heights on the sphere.
    heights, weights = np.polynomial.legendre.leggauss(200) if dims == 3 else (np.zeros(1), np.full(1, 2.0))
    angle = torch.arange(800, dtype=torch.float64) * (2 * math.pi / 800)
    h, a = torch.meshgrid(torch.from_numpy(heights), angle, indexing="ij")
    radius = (1 - h.square()).sqrt()
    points = torch.stack([radius * a.cos(), radius * a.sin(), h][:dims], dim=-1).reshape(-1, dims)
    fine = torch.from_numpy(weights / 2)[:, None] * torch.full_like(h, math.exp(log_area) / 800)
    coarse = []
    for every in (2, 4):
        thinned = torch.zeros_like(fine)
        thinned[:, ::every] = every * fine[:, ::every]
        coarse.append(thinned.flatten())
    return Rule(points, fine.flatten(), tuple(coarse))


def check_law(q: Distribution, log_prob: Callable[[Tensor], Tensor], samples: Tensor, what: str) -> None:
    """:func:`check_density`, :func:`check_on_sphere` or :func:`check_mass`, by the space that a distribution is over.

    Args:
        q: tells the space.
        log_prob: of flat events ``(points, elements)`` in nats, shape ``(points,)``; in float64.
        samples: ``(samples, elements)``, independent.
        what: names the distribution in the message.

    Raises:
        AssertionError: if its mass is not one or the samples do not follow it.
    """
    if q.has_enumerate_support:
        values = q.enumerate_support(expand=False).reshape(-1, samples.shape[-1])
        nearest = torch.cdist(samples, values).min(-1)
        assert_equal(nearest.values, torch.zeros_like(nearest.values), f"samples of {what}, against its values")
        check_mass(log_prob(values), nearest.indices, what)
    elif isinstance(support_of_one(q), UnitVectors):
        check_on_sphere(log_prob, samples, what)
    else:
        check_density(_on_support(q, log_prob, samples[0]), samples, what)


def _on_support(q: Distribution, log_prob: Callable[[Tensor], Tensor], inside: Tensor) -> Callable[[Tensor], Tensor]:
    """−∞ outside of an interval, where a density need not be defined."""
    support = support_of_one(q)
    if support is None or support is constraints.real or support.event_dim:
        return log_prob

    def extended(points: Tensor) -> Tensor:
        within = support.check(points).all(-1)
        log_p = log_prob(torch.where(within[:, None], points, inside))
        return torch.where(within, log_p, -torch.inf)

    return extended
