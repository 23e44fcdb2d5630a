"""Normal distributions of special form: N(0, 1), and one whose variance is fitted to the value."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, constraints


class UnitNormal(Normal):
    """N(0, 1) for each element; loc and scale are zeros and ones."""

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        """As torch's, but no GPU is asked whether the scales are positive."""
        return torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)


class OptimalNormal(Distribution):
    """N(loc, σ²I) with σ² = mean (x − loc)² over everything in the value, the maximum-likelihood choice.

    With σ² at its optimum, −log p = D/2 · (1 + log 2πσ²) (Rybkin et al. 2021, section 4.2). It is a
    distribution for training only, because it looks at the value; ``variance_seen`` is called with
    σ² so that a fixed variance can be kept for evaluation.

    Args:
        loc: ``(*batch, *event)``.
        event_dims: how many trailing axes form one event.
        variance_seen: called with the σ² of each value.
        minimum: smallest σ².
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, loc: Tensor, event_dims: int, variance_seen, minimum: float = 1e-8) -> None:
        self.loc = loc
        self.minimum = minimum
        self._variance_seen = variance_seen
        split = loc.dim() - event_dims
        super().__init__(loc.shape[:split], loc.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, value: Tensor) -> Tensor:
        squared = (value - self.loc).square()
        # At the optimum the derivative through σ² is zero, so it may as well be cut.
        variance = squared.detach().mean().clamp_min(self.minimum)
        self._variance_seen(variance)
        log_prob = -0.5 * (squared / variance + torch.log(2 * math.pi * variance))
        return log_prob.flatten(len(self._batch_shape)).sum(-1)
