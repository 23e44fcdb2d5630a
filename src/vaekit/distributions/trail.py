"""The latents of one draw, with what has been computed of them on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor

State = TypeVar("State")


class Trail(dict[str, Tensor]):
    """The latents drawn so far, by name, and the states that networks have reached along them.

    The levels of a chain are called with the latents before them. Where a network goes along these step by step (the
    deterministic path of a ladder), prior, posterior and likelihood find here what another of them has computed. It
    lives as long as one draw: nothing is kept in a module.
    """

    def __init__(self, latents: Mapping[str, Tensor] | None = None, states: dict[Hashable, Any] | None = None) -> None:
        super().__init__(latents or {})
        self.states: dict[Hashable, Any] = {} if states is None else states

    def again(self) -> Trail:
        """An empty trail that finds the states of this one: for going along the same latents once more."""
        return Trail(states=self.states)


def follow(
    latents: Mapping[str, Tensor],
    names: Sequence[str],
    who: Hashable,
    start: Callable[[], State],
    step: Callable[[int, State, Tensor], State],
) -> State:
    """The state after those of ``names``, in this order, that have been drawn; on a :class:`Trail` each is made once.

    Args:
        latents: a trail, or any mapping (then nothing is known beforehand).
        names: of the latents, in the order in which they are gone along; it ends before the first that is missing.
        who: whose states they are.
        start: makes the state before all latents.
        step: makes a state from its number, the state before it and the latent between them.
    """
    known: list[tuple[Tensor | None, State]] = []
    if isinstance(latents, Trail):
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
