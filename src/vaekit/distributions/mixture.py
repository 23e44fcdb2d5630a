"""A mixture over the last batch axis of any distribution, without a tensor of every value, component and dimension."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution
from torch.nn.functional import log_softmax, one_hot

from vaekit.distributions.each import PIECE, log_prob_each

NEGLIGIBLE = -80.0


class Mixture(Distribution):
    """p(z) = Σ_k π_k p_k(z).

    It answers as ``torch.distributions.MixtureSameFamily`` does. The components' densities come from
    :func:`~vaekit.distributions.each.log_prob_each`, which for Gaussians is a matrix product.

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
    def support(self) -> torch.distributions.constraints.Constraint:  # type: ignore[override]
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
