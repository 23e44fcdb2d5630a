"""Chain: a joint distribution over named latents, each given those before it, with a cache of what was computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution

State = TypeVar("State")


class LatentCache(dict[str, Tensor]):
    """The latents drawn so far, by name, and the states that networks have reached along them.

    The levels of a chain are called with the latents before them. Where a network goes along these step by step (the
    deterministic path of a ladder), prior, posterior and likelihood find here what another of them has computed. It
    lives as long as one draw: nothing is kept in a module.
    """

    def __init__(self, latents: Mapping[str, Tensor] | None = None, states: dict[Hashable, Any] | None = None) -> None:
        super().__init__(latents or {})
        self.states: dict[Hashable, Any] = {} if states is None else states

    def again(self) -> LatentCache:
        """An empty cache that finds the states of this one: for going along the same latents once more."""
        return LatentCache(states=self.states)


def cached_state(
    latents: Mapping[str, Tensor],
    names: Sequence[str],
    who: Hashable,
    start: Callable[[], State],
    step: Callable[[int, State, Tensor], State],
) -> State:
    """The state after those of ``names``, in this order, that have been drawn; on a cache each is computed once.

    Args:
        latents: a cache, or any mapping (then nothing is known beforehand).
        names: of the latents, in the order in which they are gone along; it ends before the first that is missing.
        who: whose states they are.
        start: makes the state before all latents.
        step: makes a state from its number, the state before it and the latent between them.
    """
    known: list[tuple[Tensor | None, State]] = []
    if isinstance(latents, LatentCache):
        known = latents.states.setdefault(who, known)
    if not known:
        known.append((None, start()))
    position = 0
    for index, name in enumerate(names):
        if name not in latents:
            break
        z, position = latents[name], index + 1
        # A state holds for the very tensors that led to it.
        if len(known) > position and known[position][0] is not z:
            del known[position:]
        if len(known) == position:
            known.append((z, step(index, known[index][1], z)))
    return known[position][1]


Conditional = Callable[[LatentCache], Distribution]


class Chain(Distribution):
    """p(z₁, …, z_L) = Π_l p(z_l | z_<l): a distribution over a dict of latents, in drawing order.

    Args:
        levels: for each latent, in order, a function from the latents before it to its distribution.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, levels: Mapping[str, Conditional]) -> None:
        name = next(iter(levels))
        # Made when it is first asked for, on the cache of whoever asks, so that it can share what is computed there.
        self.levels: dict[str, Conditional] = {**levels, name: _once(levels[name])}
        super().__init__(validate_args=False)

    @property
    def batch_shape(self) -> torch.Size:
        """That of the first level."""
        return self._opening(LatentCache()).batch_shape

    def _opening(self, cache: LatentCache) -> Distribution:
        return next(iter(self.levels.values()))(cache)

    def _walk(self, cache: LatentCache, choose: Callable[[Distribution], Tensor]) -> dict[str, Tensor]:
        for name, conditional in self.levels.items():
            cache[name] = choose(conditional(cache))
        return dict(cache)

    def _left(self, level: Distribution, sample_shape: torch.Size) -> torch.Size:
        """The sample axes that a level must still add: none if it has them from the latents before it."""
        return sample_shape if len(level.batch_shape) == len(self.batch_shape) else torch.Size()

    @property
    def mean(self) -> dict[str, Tensor]:
        """The mean of each level given the means of the levels before it."""
        return self._walk(LatentCache(), lambda level: level.mean)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        return self._walk(LatentCache(), lambda level: level.rsample(self._left(level, sample_shape)))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> dict[str, Tensor]:  # type: ignore[override]
        cache = LatentCache()
        self._opening(cache)  # it is kept, so it is not made without gradients
        with torch.no_grad():
            return self._walk(cache, lambda level: level.sample(self._left(level, sample_shape)))

    def log_prob(self, value: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]
        total: Tensor | float = 0.0
        before = LatentCache()
        for name, conditional in self.levels.items():
            total = total + conditional(before).log_prob(value[name])
            before[name] = value[name]
        return torch.as_tensor(total)


def _once(conditional: Conditional) -> Conditional:
    """A first level that is made once; there is nothing before it that could differ."""
    made: list[Distribution] = []

    def distribution(before: LatentCache) -> Distribution:
        if not made:
            made.append(conditional(before))
        return made[0]

    return distribution


def levels(distribution: Distribution) -> Mapping[str, Conditional]:
    """The levels of a chain; any other distribution is a chain of one level called ``z``."""
    return distribution.levels if isinstance(distribution, Chain) else {"z": lambda before: distribution}
