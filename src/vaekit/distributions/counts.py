"""Counts and heavy tails: log-probabilities that are exact at large numbers, and zero inflation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributions
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid

from vaekit.kernels.double import double


class Poisson(distributions.Poisson):
    """Its log-probabilities are computed in float64 and rounded to the type of what is given."""

    def log_prob(self, value: Tensor) -> Tensor:
        exact = distributions.Poisson(double(self.rate), validate_args=False).log_prob(double(value))
        return exact.to(torch.result_type(self.rate, value))


class NegativeBinomial(distributions.NegativeBinomial):
    """Its log-probabilities are computed in float64 and rounded to the type of what is given.

    Args:
        total_count: r > 0, of any shape that broadcasts with the logits: log Γ(r) is computed before it is spread.
        logits: log μ − log r, ``(*batch,)``.
    """

    def __init__(self, total_count: Tensor, logits: Tensor) -> None:
        self.inverse_dispersion = total_count
        super().__init__(total_count, logits=logits, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> NegativeBinomial:
        return NegativeBinomial(self.total_count.expand(batch_shape), self.logits.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        r, x, logits = double(self.inverse_dispersion), double(value), double(self.logits)
        ways = torch.lgamma(r + x) - torch.lgamma(x + 1) - torch.lgamma(r)
        exact = ways + r * logsigmoid(-logits) + x * logsigmoid(logits)
        return exact.to(torch.result_type(self.logits, value))


class StudentT(distributions.StudentT):
    """Its normaliser, the same for all rows, is computed in float64 once, before ν is spread over them.

    Args:
        df: ν, degrees of freedom, of any shape that broadcasts with the others.
        loc: μ, ``(*batch,)``.
        scale: s > 0, of any shape that broadcasts with the others.
    """

    def __init__(self, df: Tensor, loc: Tensor, scale: Tensor) -> None:
        self.log_factor = _log_factor(df)
        super().__init__(df, loc, scale, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> StudentT:
        return StudentT(self.df.expand(batch_shape), self.loc.expand(batch_shape), self.scale.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        deviation = (value - self.loc) / self.scale
        falls = 0.5 * (self.df + 1) * torch.log1p(deviation.square() / self.df)
        return self.log_factor - self.scale.log() - falls


def _log_factor(df: Tensor) -> Tensor:
    """log Γ((ν + 1)/2) − log Γ(ν/2) − ½ log(πν)."""
    wide = double(df)
    return (torch.lgamma(0.5 * (wide + 1)) - torch.lgamma(0.5 * wide) - 0.5 * (math.pi * wide).log()).to(df.dtype)


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
