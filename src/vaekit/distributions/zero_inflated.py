"""Counts with more zeros than a distribution of counts would give."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid


class ZeroInflated(Distribution):
    """P(x) = π [x = 0] + (1 − π) p(x): with probability π the count is lost.

    Args:
        gate: log-odds of π, ``(*batch,)``.
        counts: p, a distribution of counts with batch shape ``(*batch,)``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.nonnegative_integer

    def __init__(self, gate: Tensor, counts: Distribution) -> None:
        self.gate = gate
        self.counts = counts
        super().__init__(gate.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(-self.gate) * self.counts.mean

    @property
    def variance(self) -> Tensor:
        kept = torch.sigmoid(-self.gate)
        return kept * (self.counts.variance + (1 - kept) * self.counts.mean.square())

    def log_prob(self, value: Tensor) -> Tensor:
        counted = logsigmoid(-self.gate) + self.counts.log_prob(value)
        return torch.where(value == 0, torch.logaddexp(logsigmoid(self.gate), counted), counted)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            counts = self.counts.sample(sample_shape)
            lost = torch.bernoulli(torch.sigmoid(self.gate).expand(counts.shape))
            return counts * (1 - lost)
