"""Autoregressive distributions: over the places of an image, and over dimensions as mixtures of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints

# From p(x_i | x_<i), event shape (channels, 1, 1), to what the places after i see there, and what is kept.
Choose = Callable[[Distribution], tuple[Tensor, Tensor]]


class Places(NamedTuple):
    """p(x_i | x_<i) at every place i of a grid, in reading order.

    Attributes:
        given: from images ``(*leading, channels, height, width)`` to all p(x_i | x_<i) at once.
        grow: one place after the other: from the sample axes and how to choose to what was kept,
            ``(*sample_shape, *batch, channels, height, width)``.
    """

    given: Callable[[Tensor], Distribution]
    grow: Callable[[torch.Size, Choose], Tensor]


class Autoregressive(Distribution):
    """p(x) = Π_i p(x_i | x_<i): the density in one pass, samples in one step for each place.

    Args:
        places: the conditional distributions.
        batch_shape: of the distribution.
        grid: ``(channels, height, width)``.
        event_shape: of one example, with as many elements as the grid.
        levels: number of values of an element, evenly from 0 to 1.
        support: of an element.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(
        self,
        places: Places,
        batch_shape: torch.Size,
        grid: tuple[int, ...],
        event_shape: tuple[int, ...],
        levels: int,
        support: constraints.Constraint,
    ) -> None:
        self.places = places
        self.grid = grid
        self.levels = levels
        self._element_support = support
        super().__init__(batch_shape, torch.Size(event_shape), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        return constraints.independent(self._element_support, len(self._event_shape))

    def _grow(self, sample_shape: torch.Size, choose: Choose) -> Tensor:
        with torch.no_grad():
            return self.places.grow(sample_shape, choose).reshape(self._extended_shape(sample_shape))

    @property
    def mean(self) -> Tensor:
        """The mean of each place given the values nearest to the means of the places before it.

        The mean over all images has no formula; this is what a reconstruction shows.
        """

        def choose(p: Distribution) -> tuple[Tensor, Tensor]:
            return torch.round(p.mean * (self.levels - 1)) / (self.levels - 1), p.mean

        return self._grow(torch.Size(), choose)

    def log_prob(self, value: Tensor) -> Tensor:
        images = value.reshape(*value.shape[: value.dim() - len(self._event_shape)], *self.grid)
        return self.places.given(images).log_prob(images)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        def choose(p: Distribution) -> tuple[Tensor, Tensor]:
            drawn = p.sample()
            return drawn, drawn

        return self._grow(sample_shape, choose)


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
