"""The distribution of what is generated from a latent that nobody sees."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


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
