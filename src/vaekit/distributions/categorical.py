"""Categorical and ordinal variables: one-hot vectors with a relaxed sample, ordered levels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints, register_kl
from torch.nn.functional import logsigmoid, one_hot, softplus

from vaekit.distributions.logistic import Levels, every_level, log_sigmoid_difference


class OneHotVectors(constraints.Constraint):
    """One-hot vectors of the same length side by side on the last axis.

    Args:
        categories: length of each.
    """

    is_discrete = True
    event_dim = 1

    def __init__(self, categories: int) -> None:
        self.categories = categories
        self.words = f"one-hot vectors of {categories} categories, side by side,"

    def check(self, value: Tensor) -> Tensor:
        each = value.unflatten(-1, (-1, self.categories))
        return (((each == 0) | (each == 1)).all(-1) & (each.sum(-1) == 1)).all(-1)


class OneHots(Distribution):
    """Π_n Categorical(z_n; π_n) over N one-hot vectors of K categories, side by side: events ``(N K,)``.

    log p(z) = Σ z · log π, which for a z that is not one-hot is the value in between.

    ``rsample`` perturbs the logits by Gumbel noise g. The category of the largest has the probability π, whatever the
    temperature; softmax((log π + g) / τ) is a smooth stand-in for its one-hot vector (Jang et al. 2017, equation 2;
    Maddison et al. 2017). A *hard* sample is the one-hot vector itself with the gradient of the stand-in
    (straight-through), a soft one is the stand-in.

    Args:
        logits: ``(*batch, N, K)``, of any offset.
        temperature: τ.
        hard: whether ``rsample`` gives one-hot vectors.
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = True
    has_enumerate_support = True

    def __init__(self, logits: Tensor, temperature: float | Tensor = 1.0, hard: bool = True) -> None:
        self.logits = logits.log_softmax(-1)
        self.temperature, self.hard = temperature, hard
        batch, (variables, self.categories) = logits.shape[:-2], logits.shape[-2:]
        super().__init__(batch, torch.Size([variables * self.categories]), validate_args=False)

    @property
    def support(self) -> OneHotVectors:  # type: ignore[override]
        return OneHotVectors(self.categories)

    @property
    def mean(self) -> Tensor:
        return self.logits.exp().flatten(-2)

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.mean)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        perturbed = self._perturbed(sample_shape)
        soft = (perturbed / self.temperature).softmax(-1)
        # In this order the value is one-hot to the bit.
        value = one_hot_of(perturbed) + (soft - soft.detach()) if self.hard else soft
        return value.flatten(-2)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            return one_hot_of(self._perturbed(sample_shape)).flatten(-2)

    def _perturbed(self, sample_shape: torch.Size) -> Tensor:
        shape = torch.Size([*sample_shape, *self.logits.shape])
        noise = torch.empty(shape, dtype=self.logits.dtype, device=self.logits.device).exponential_()
        return self.logits - noise.log()

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.logits.flatten(-2)).sum(-1)

    def entropy(self) -> Tensor:
        return -(self.logits.exp() * self.logits).sum((-2, -1))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Every value, ``(K ** N, *batch, N K)`` (ones in place of ``batch`` unless expanded)."""
        variables = self.logits.shape[-2]
        each = torch.cartesian_prod(*[torch.arange(self.categories, device=self.logits.device)] * variables)
        values = one_hot(each.reshape(-1, variables), self.categories).to(self.logits.dtype)
        values = values.flatten(-2).reshape(-1, *[1] * len(self._batch_shape), self._event_shape.numel())
        return values.expand(-1, *self._batch_shape, -1) if expand else values


@register_kl(OneHots, OneHots)
def _kl_one_hots(q: OneHots, p: OneHots) -> Tensor:
    """Σ_n Σ_k π_nk (log π_nk − log ρ_nk): of the discrete variables, whatever is drawn in their place."""
    return (q.logits.exp() * (q.logits - p.logits)).sum((-2, -1))


def one_hot_of(scores: Tensor) -> Tensor:
    """The one-hot vector of the largest on the last axis."""
    return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)


def variables_of(latent_dim: int, categories: int) -> int:
    """How many one-hot vectors make a latent of that length.

    Raises:
        ValueError: if they do not fill it, or there is nothing to choose between.
    """
    if categories < 2:
        raise ValueError(f"categories must be at least 2, got {categories}")
    if latent_dim % categories:
        nearest = categories * max(1, math.ceil(latent_dim / categories))
        raise ValueError(f"a latent of length {latent_dim} is no multiple of {categories} categories; take {nearest}")
    return latent_dim // categories


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
            drawn = Categorical(logits=self.log_probs, validate_args=False).sample(sample_shape)
            return drawn.to(self.location.dtype) / (self.levels - 1)
