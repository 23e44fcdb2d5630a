"""Contract of an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.errors import UserError
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

    Attributes:
        parameters: what it moves.
        value: what it climbs.
        learning_rate: factor on the learning rate of the phase.
        options: of its optimiser, such as ``betas``, beside those of the settings.
    """

    parameters: Sequence[nn.Parameter]
    value: Callable[[Any, Batch, Step], Value]
    learning_rate: float = 1.0
    options: Mapping[str, Any] = {}


class Objective:
    """Base of objectives: one player, who owns all of the model and climbs the objective itself.

    Attributes:
        differentiable: whether its gradient is the derivative of its value for the same noise; not so where another
            estimate of the gradient of its expectation stands in (DReG).
        needs_density: whether it refuses a posterior without density.
        trains: the parts of a model that it is for, and a phase must name; empty where it is for all of it.
    """

    differentiable: ClassVar[bool] = True
    needs_density: ClassVar[bool] = False
    trains: ClassVar[tuple[str, ...]] = ()

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

    def networks(self) -> tuple[nn.Module, ...]:
        """Networks of the objective's own: moved to the device and kept in the state, but no part of the model."""
        return (self,) if isinstance(self, nn.Module) else ()

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        """The figure by which epochs are compared, higher is better; ``None`` if none would do and the last is kept.

        Args:
            figures: means over the validation split in nats: ``log_px`` and, where there is a density,
                ``kl`` and ``elbo``.
            last: the last step of the phase, for schedules: an epoch is judged by the goal, not by the warm-up.
        """
        return figures.get("elbo", figures["log_px"])


class Matching(Objective):
    """Base of objectives that lead the codes of all data to the prior, and not those of a row."""

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        """No figure of the validation split knows how well the codes match the prior: the last epoch is kept."""
        return None


def sides(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that infer latents and those that make data. What both use (VampPrior's encoder) infers.

    Raises:
        UserError: if the model does not say which is which.
    """
    if not hasattr(model, "recognition"):
        raise UserError(f"this objective trains inference by itself, and {type(model).__name__} is of one piece.")
    infers = {id(p): p for module in model.recognition for p in module.parameters()}  # type: ignore[union-attr]
    return list(infers.values()), [p for p in model.parameters() if id(p) not in infers]


def from_prior(model: Any, batch: Batch) -> dict[str, Tensor]:
    """As many independent draws of the latents from the prior as the batch has rows, by name; without gradient."""
    draw = getattr(model, "independent_latents", model.sample_latents)
    with torch.no_grad():
        return draw(len(batch.x), batch.condition)
