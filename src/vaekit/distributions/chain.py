"""A joint distribution over several named latents, each conditioned on those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

Conditional = Callable[[dict[str, Tensor]], Distribution]


class Chain(Distribution):
    """p(z₁, …, z_L) = Π_l p(z_l | z_<l): a distribution over a dict of latents, in drawing order.

    Args:
        levels: for each latent, in order, a function from the latents before it to its distribution.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, levels: Mapping[str, Conditional]) -> None:
        names = list(levels)
        first = levels[names[0]]({})
        self.levels: dict[str, Conditional] = {**levels, names[0]: lambda before: first}
        super().__init__(first.batch_shape, validate_args=False)

    def _walk(self, choose: Callable[[Distribution], Tensor]) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        for name, conditional in self.levels.items():
            values[name] = choose(conditional(values))
        return values

    def _left(self, level: Distribution, sample_shape: torch.Size) -> torch.Size:
        """The sample axes that a level must still add: none if it has them from the latents before it."""
        return sample_shape if len(level.batch_shape) == len(self._batch_shape) else torch.Size()

    @property
    def mean(self) -> dict[str, Tensor]:
        """The mean of each level given the means of the levels before it."""
        return self._walk(lambda level: level.mean)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        return self._walk(lambda level: level.rsample(self._left(level, sample_shape)))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        with torch.no_grad():
            return self._walk(lambda level: level.sample(self._left(level, sample_shape)))

    def log_prob(self, value: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        total: Tensor | float = 0.0
        before: dict[str, Tensor] = {}
        for name, conditional in self.levels.items():
            total = total + conditional(before).log_prob(value[name])
            before[name] = value[name]
        return torch.as_tensor(total)


def levels(distribution: Distribution) -> Mapping[str, Conditional]:
    """The levels of a chain; any other distribution is a chain of one level called ``z``."""
    return distribution.levels if isinstance(distribution, Chain) else {"z": lambda before: distribution}
