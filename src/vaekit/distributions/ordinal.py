"""Ordered levels: a logistic variable cut at ordered thresholds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid, softplus

from vaekit.distributions.discretized_logistic import Levels, every_level, log_sigmoid_difference


class Ordinal(Distribution):
    """P(x ≤ k/(levels − 1)) = σ(θ_k − η) for k = 0 … levels − 2: the proportional odds of McCullagh 1980.

    Args:
        location: η, ``(*batch,)``: the larger, the higher the levels.
        thresholds: θ, ``(*batch, levels − 1)`` or what broadcasts to it, increasing along the last axis.
    """

    arg_constraints = {}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(self, location: Tensor, thresholds: Tensor) -> None:
        self.location = location
        self.thresholds = thresholds
        self.levels = thresholds.shape[-1] + 1
        super().__init__(location.shape, validate_args=False)

    @property
    def support(self) -> Levels:  # type: ignore[override]
        return Levels(self.levels)

    @property
    def log_probs(self) -> Tensor:
        """log P of every level, ``(*batch, levels)``."""
        above = self.thresholds - self.location.unsqueeze(-1)
        first, last = logsigmoid(above[..., :1]), -softplus(above[..., -1:])
        middle = log_sigmoid_difference(above[..., 1:], above[..., :-1], self.thresholds.diff(dim=-1))
        return torch.cat([first, middle, last], dim=-1)

    @property
    def mean(self) -> Tensor:
        return self.log_probs.exp() @ every_level(self.levels, self.location)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = every_level(self.levels, self.location).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values

    def log_prob(self, value: Tensor) -> Tensor:
        level = torch.round(value * (self.levels - 1)).long().clamp(0, self.levels - 1)
        log_probs, level = torch.broadcast_tensors(self.log_probs, level.unsqueeze(-1))
        return log_probs.gather(-1, level[..., :1]).squeeze(-1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            drawn = torch.distributions.Categorical(logits=self.log_probs, validate_args=False).sample(sample_shape)
            return drawn.to(self.location.dtype) / (self.levels - 1)
