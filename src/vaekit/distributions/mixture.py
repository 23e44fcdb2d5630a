"""Mixtures: of components, of components each row chooses among, and marginals over a latent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, Normal, constraints
from torch.nn.functional import log_softmax, one_hot

from vaekit.distributions.full_covariance import CholeskyNormal

Formula = Callable[[Distribution, Tensor], Tensor | None]
F = TypeVar("F", bound=Formula)

PIECE = 1 << 22  # elements of one piece where every value meets every component in every dimension
NEGLIGIBLE = -80.0  # nats below the largest term of a sum

_FORMULAS: dict[type, Formula] = {}


def register_each(kind: type) -> Callable[[F], F]:
    """Enter a formula for the densities of all values under all components of one class of distributions.

    It is called with the components, batch shape ``(*batch, components)``, and values ``(*batch, values, latent)``,
    and returns ``(*batch, values, components)`` in nats, or ``None`` where it does not apply.
    """

    def enter(formula: F) -> F:
        _FORMULAS[kind] = formula
        return formula

    return enter


def log_prob_each(components: Distribution, value: Tensor) -> Tensor:
    """log p_k(value) for every component k.

    Args:
        components: the p_k, batch shape ``(*batch, components)``, events of one axis.
        value: ``(*leading, *batch, latent)``.

    Returns:
        ``(*leading, *batch, components)``.
    """
    axes = len(components.batch_shape) - 1
    batch = components.batch_shape[:axes]
    # Axes before the batch become one axis after it, so that each place of the batch is one matrix product.
    value = value.expand(*value.shape[: -1 - axes], *batch, value.shape[-1]) if axes else value
    leading = value.shape[: value.dim() - 1 - axes]
    values = value.reshape(-1, *batch, value.shape[-1]).movedim(0, -2)
    formula = _FORMULAS.get(type(components), _one_by_one)
    log_p = formula(components, values)
    log_p = _one_by_one(components, values) if log_p is None else log_p
    return log_p.movedim(-2, 0).reshape(*leading, *batch, -1)


def _one_by_one(components: Distribution, values: Tensor) -> Tensor:
    """By the distribution's own density, some values at a time."""
    at_once = max(1, PIECE // max(1, components.batch_shape.numel() * values.shape[-1]))
    pieces = [components.log_prob(piece.unsqueeze(-2).movedim(-3, 0)) for piece in values.split(at_once, -2)]
    return torch.cat(pieces).movedim(0, -2)


@register_each(Independent)
def _diagonal(components: Distribution, values: Tensor) -> Tensor | None:
    """Σ_d log N(z_d; μ_kd, σ_kd²) = [−½ z², z] · [1/σ², μ/σ²] − a number for each k: one matrix product.

    The terms are of the size z²/σ², their sum may be small, and so they are computed in double precision: that is
    quicker than the differences one by one, and exact for σ down to the smallest in use.
    """
    assert isinstance(components, Independent)
    base = components.base_dist
    if type(base) is not Normal or components.reinterpreted_batch_ndims != 1 or values.device.type == "mps":
        return None
    loc, scale, z = (each.double() for each in (cast(Tensor, base.loc), cast(Tensor, base.scale), values))
    inverse = scale.reciprocal()
    ratio = loc * inverse
    own = (0.5 * ratio.square() + scale.log()).sum(-1) + 0.5 * loc.shape[-1] * math.log(2 * math.pi)
    products = torch.cat([-0.5 * z.square(), z], -1) @ torch.cat([inverse.square(), ratio * inverse], -1).mT
    return (products - own.unsqueeze(-2)).to(values.dtype)


@register_each(CholeskyNormal)
def _full(components: Distribution, values: Tensor) -> Tensor:
    """log N(L⁻¹(z − μ); 0, I) − Σ log Lᵢᵢ with each L inverted once: a matrix product for each component."""
    assert isinstance(components, CholeskyNormal)
    identity = torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
    inverse = torch.linalg.solve_triangular(components.scale_tril, identity, upper=False)
    own = components.log_det_scale + 0.5 * values.shape[-1] * math.log(2 * math.pi)
    at_once = max(1, PIECE // max(1, components.loc.numel()))
    pieces = []
    for piece in values.split(at_once, -2):
        centred = piece.unsqueeze(-3) - components.loc.unsqueeze(-2)  # (*batch, components, values, latent)
        pieces.append((centred @ inverse.mT).square().sum(-1))
    return (-0.5 * torch.cat(pieces, -1) - own.unsqueeze(-1)).mT


class Mixture(Distribution):
    """p(z) = Σ_k π_k p_k(z).

    It answers as ``torch.distributions.MixtureSameFamily`` does. The components' densities come from
    :func:`~vaekit.distributions.mixture.log_prob_each`, which for Gaussians is a matrix product.

    Args:
        logits: log π_k up to a constant, ``(*batch, components)``, or without the axes of ``batch``.
        components: the p_k, batch shape ``(*batch, components)`` and events of one axis.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, logits: Tensor, components: Distribution) -> None:
        self.log_weights = log_softmax(logits, -1)
        self.components = components
        super().__init__(components.batch_shape[:-1], components.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint | None:  # type: ignore[override]
        return self.components.support

    @property
    def num_components(self) -> int:
        return self.components.batch_shape[-1]

    def log_prob(self, value: Tensor) -> Tensor:
        if value.dim() == 1 + len(self._batch_shape):
            return self._log_prob(value)
        # As many values at a time as make a tensor of values and components that is not too large.
        each = value[0, ..., 0].numel() * self.num_components
        return torch.cat([self._log_prob(some) for some in value.split(max(1, PIECE // max(1, each)))])

    def _log_prob(self, value: Tensor) -> Tensor:
        return _logsumexp(self.log_weights + log_prob_each(self.components, value))

    @property
    def _weights(self) -> Tensor:
        return self.log_weights.exp().unsqueeze(-1)

    @property
    def mean(self) -> Tensor:
        return (self._weights * self.components.mean).sum(-2)

    @property
    def variance(self) -> Tensor:
        """The mean of the components' variances and the variance of their means."""
        spread = self.components.mean - self.mean.unsqueeze(-2)
        return (self._weights * (self.components.variance + spread.square())).sum(-2)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        weights = self.log_weights.expand(*self._batch_shape, -1)
        chosen = Categorical(logits=weights, validate_args=False).sample(sample_shape)
        draws = chosen.reshape(-1, self._batch_shape.numel())
        # At worst one component is chosen everywhere, and there are as many draws of every other one.
        at_once = max(1, PIECE // max(1, self.components._extended_shape().numel()))
        pieces = [self._sample_chosen(piece) for piece in draws.split(at_once)] or [self._sample_chosen(draws)]
        return torch.cat(pieces).reshape(*chosen.shape, *self._event_shape)

    def _sample_chosen(self, chosen: Tensor) -> Tensor:
        """A draw of the component that is chosen, ``(draws, batch)``, for each of them: ``(draws, batch, *event)``.

        As many draws of all components are made as the most popular one is asked for, and no more.
        """
        one = one_hot(chosen, self.num_components)
        # How many draws of the same component come before each.
        rank = (one.cumsum(0) - one).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        most = 1 + int(rank.max()) if rank.numel() else 0
        drawn = self.components.sample(torch.Size([most]))
        drawn = drawn.reshape(most, chosen.shape[1], self.num_components, *self._event_shape)
        return drawn[rank, torch.arange(chosen.shape[1], device=chosen.device), chosen]


def _logsumexp(log_p: Tensor) -> Tensor:
    """log Σ exp over the last axis.

    Most components are hundreds of nats from most values, and an exponential that underflows takes a processor twenty
    times as long. What is less than e^−80 of the largest term is taken to be that: no sum of floats can tell.
    """
    peak = log_p.detach().amax(-1, keepdim=True)
    return (log_p - peak).clamp_min(NEGLIGIBLE).exp().sum(-1).log() + peak.squeeze(-1)


class Chosen(Distribution):
    """For row i the distribution ``distributions[which[i]]``: what several rows have in common is computed once.

    Args:
        distributions: batch shape ``(some,)``, events of one axis.
        which: ``(batch,)`` indices.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, distributions: Distribution, which: Tensor) -> None:
        self.distributions = distributions
        self.which = which
        super().__init__(which.shape, distributions.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint | None:  # type: ignore[override]
        return self.distributions.support

    def log_prob(self, value: Tensor) -> Tensor:
        every = self.distributions.log_prob(value.unsqueeze(-2))  # (*leading, batch, some)
        return every.gather(-1, self.which.expand(*every.shape[:-1]).unsqueeze(-1)).squeeze(-1)

    @property
    def mean(self) -> Tensor:
        return self.distributions.mean[self.which]

    @property
    def variance(self) -> Tensor:
        return self.distributions.variance[self.which]

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        rows = torch.arange(len(self.which), device=self.which.device)
        drawn = self.distributions.sample(torch.Size([*sample_shape, len(rows)]))  # (*sample, batch, some, latent)
        return drawn[..., rows, self.which, :]


class Marginal(Distribution):
    """p(z) = ∫ p(u) p(z|u) du, its density estimated with draws from q(u|z).

    ``log_prob`` is log (1/K) Σ_k p(u_k) p(z|u_k) / q(u_k|z), u_k ~ q(u|z) anew at each call: exp of it has the mean
    p(z), so that it is at most log p(z) in the mean, and the closer the larger K.

    Args:
        latent: p(u), batch shape ``()``.
        generate: from u ``(*leading, inner)`` to p(z|u).
        infer: from z ``(*leading, latent)`` to q(u|z).
        event_shape: of z.
        samples: K.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    is_bound = True

    def __init__(
        self,
        latent: Distribution,
        generate: Callable[[Tensor], Distribution],
        infer: Callable[[Tensor], Distribution],
        event_shape: torch.Size,
        samples: int = 1,
    ) -> None:
        self.latent, self.generate, self.infer, self.samples = latent, generate, infer, samples
        super().__init__(torch.Size(), event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        q = self.infer(value)
        u = q.rsample(torch.Size([self.samples]))
        log_w = self.latent.log_prob(u) + self.generate(u).log_prob(value) - q.log_prob(u)
        return torch.logsumexp(log_w, 0) - math.log(self.samples)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.generate(self.latent.sample(sample_shape)).sample()
