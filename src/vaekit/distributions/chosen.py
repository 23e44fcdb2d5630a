"""Each row's own of a few distributions that many rows share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution


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
    def support(self) -> torch.distributions.constraints.Constraint:  # type: ignore[override]
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
