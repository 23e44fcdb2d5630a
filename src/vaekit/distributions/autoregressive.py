"""A distribution over images by the chain rule, place after place."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

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
