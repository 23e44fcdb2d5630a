"""A joint distribution over several named latents, each conditioned on those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions.trail import Trail

Conditional = Callable[[Trail], Distribution]


class Chain(Distribution):
    """p(z₁, …, z_L) = Π_l p(z_l | z_<l): a distribution over a dict of latents, in drawing order.

    Args:
        levels: for each latent, in order, a function from the latents before it to its distribution.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, levels: Mapping[str, Conditional]) -> None:
        name = next(iter(levels))
        # Made when it is first asked for, on the trail of whoever asks, so that it can share what is computed there.
        self.levels: dict[str, Conditional] = {**levels, name: _once(levels[name])}
        super().__init__(validate_args=False)

    @property
    def batch_shape(self) -> torch.Size:
        """That of the first level."""
        return self._opening(Trail()).batch_shape

    def _opening(self, trail: Trail) -> Distribution:
        return next(iter(self.levels.values()))(trail)

    def _walk(self, trail: Trail, choose: Callable[[Distribution], Tensor]) -> dict[str, Tensor]:
        for name, conditional in self.levels.items():
            trail[name] = choose(conditional(trail))
        return dict(trail)

    def _left(self, level: Distribution, sample_shape: torch.Size) -> torch.Size:
        """The sample axes that a level must still add: none if it has them from the latents before it."""
        return sample_shape if len(level.batch_shape) == len(self.batch_shape) else torch.Size()

    @property
    def mean(self) -> dict[str, Tensor]:
        """The mean of each level given the means of the levels before it."""
        return self._walk(Trail(), lambda level: level.mean)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        return self._walk(Trail(), lambda level: level.rsample(self._left(level, sample_shape)))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        trail = Trail()
        self._opening(trail)  # it is kept, so it is not made without gradients
        with torch.no_grad():
            return self._walk(trail, lambda level: level.sample(self._left(level, sample_shape)))

    def log_prob(self, value: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        total: Tensor | float = 0.0
        before = Trail()
        for name, conditional in self.levels.items():
            total = total + conditional(before).log_prob(value[name])
            before[name] = value[name]
        return torch.as_tensor(total)


def _once(conditional: Conditional) -> Conditional:
    """A first level that is made once; there is nothing before it that could differ."""
    made: list[Distribution] = []

    def distribution(before: Trail) -> Distribution:
        if not made:
            made.append(conditional(before))
        return made[0]

    return distribution


def levels(distribution: Distribution) -> Mapping[str, Conditional]:
    """The levels of a chain; any other distribution is a chain of one level called ``z``."""
    return distribution.levels if isinstance(distribution, Chain) else {"z": lambda before: distribution}
