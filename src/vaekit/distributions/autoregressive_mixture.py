"""One dimension after the other, each a mixture of Gaussians given those before it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints

# From values (*leading, latent) to the logits, locations and scales of every dimension, each (*leading, latent,
# components), those of dimension d made from the values before d.
Conditionals = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


class AutoregressiveMixture(Distribution):
    """p(z) = Π_d Σ_m π_dm(z_<d) N(z_d; μ_dm(z_<d), σ_dm²(z_<d)).

    Args:
        conditionals: what one dimension is given those before it.
        like: ``(*batch, latent)``, of the shape, type and device of a draw.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, conditionals: Conditionals, like: Tensor) -> None:
        self.conditionals = conditionals
        self.like = like
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        logits, loc, scale = self.conditionals(value)
        error = (value.unsqueeze(-1) - loc) / scale
        log_p = -0.5 * error.square() - scale.log() - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(logits.log_softmax(-1) + log_p, -1).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        value = self.like.new_zeros(self._extended_shape(sample_shape))
        for dim in range(value.shape[-1]):
            logits, loc, scale = (each[..., dim, :] for each in self.conditionals(value))
            chosen = Categorical(logits=logits, validate_args=False).sample().unsqueeze(-1)
            mean, spread = (each.gather(-1, chosen).squeeze(-1) for each in (loc, scale))
            value[..., dim] = mean + spread * torch.randn_like(mean)
        return value
