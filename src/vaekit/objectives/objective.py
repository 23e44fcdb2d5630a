"""The contract of an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.schedules import Step


class Value(NamedTuple):
    """What an objective says of a batch.

    Attributes:
        objective: to be maximised, in nats, ``(batch,)``; the loop takes the mean and the sign.
        terms: what is worth logging, by name; each ``(batch,)`` or a scalar.
    """

    objective: Tensor
    terms: dict[str, Tensor]


class Player(NamedTuple):
    """A group of parameters and the value they climb. The loop steps players one after the other.

    Gradients of a player's value reach its own parameters and no others: the loop sees to it.
    """

    parameters: Sequence[nn.Parameter]
    value: Callable[[Any, Batch, Step], Value]


class Objective:
    """Base of objectives: one player, who owns all of the model and climbs the objective itself."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        """The value of each example.

        Args:
            model: what to draw from.
            batch: rows of data.
            step: where training is, for schedules.
        """
        raise TypeError(f"{type(self).__name__} must define __call__")

    def players(self, model: nn.Module) -> dict[str, Player]:
        """The players, by name, in the order in which they move."""
        return {"model": Player(list(model.parameters()), self)}
