"""Training step: for each player value → gradient → finite? → clip → optimiser; then the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vaekit.data.loader import Loader, RowSelection
from vaekit.errors import TrainingFailed, UserError
from vaekit.kernels.buffers import persistent_buffers, restore, snapshot
from vaekit.kernels.precision import rounding
from vaekit.objectives.objective import Player, Value
from vaekit.run.state import State
from vaekit.schedules import Schedule, Step, at
from vaekit.training.loss_scale import LossScale
from vaekit.training.microbatches import OBJECTIVE, Microbatch, Microbatches, WholeBatch, means
from vaekit.training.non_finite import name_the_cause
from vaekit.training.optimizers import clip_gradients, gradient_norm
from vaekit.training.settings import Settings


@dataclass(frozen=True)
class StepContext:
    """What the steps of a phase work on.

    Args:
        model: what is trained.
        players: parameter groups by name, each with the value that it climbs.
        state: optimisers (one a player), weight average and counters, which a step moves.
        microbatches: how a batch is cut, and gradients are accumulated.
        settings: of the training.
        learning_rate: of the phase.
        batches: the training rows.
    """

    model: nn.Module
    players: Mapping[str, Player]
    state: State
    microbatches: WholeBatch | Microbatches
    settings: Settings
    learning_rate: float | Schedule
    batches: Loader

    @cached_property
    def buffers(self) -> list[tuple[nn.Module, str]]:
        """What a forward pass moves beside the parameters."""
        return persistent_buffers(self.model)

    @cached_property
    def loss_scale(self) -> LossScale | None:
        """Of ``float16``, whose smallest number is 6e-8."""
        return LossScale(self.state.counters) if self.settings.precision == "float16" else None

    @cached_property
    def rounding(self) -> Any:
        """Makes the context in which the factors of products are rounded as the settings say."""
        precision = self.settings.precision
        return nullcontext if precision == "float32" else partial(rounding, self.batches.device, precision)


class StepResult(NamedTuple):
    """What a step reports.

    Attributes:
        index: its number in the phase, from 0.
        rows: of its batch.
        metrics: means over the batch of the objective and of each term, by player; of players that moved.
        cause: why the step was not taken, if something in it was not finite.
        taken: whether all players moved.
        requests: which of the requests any process made.
    """

    index: int
    rows: int
    metrics: dict[str, dict[str, Tensor]]
    cause: str = ""
    taken: bool = True
    requests: Sequence[bool] = ()


class PlainStep:
    """The step, operation by operation.

    Args:
        context: what it works on.
    """

    def __init__(self, context: StepContext) -> None:
        self.context = context

    def __call__(self, step: Step, selection: RowSelection, requests: Sequence[bool] = ()) -> list[StepResult]:
        """Take a step.

        Args:
            step: where training is, for schedules.
            selection: the rows of the batch.
            requests: of this process, for all of them to agree on.

        Returns:
            The reports that are there: here of this step, of a captured one later and several at once.
        """
        c, scale = self.context, self.context.loss_scale
        parts = c.microbatches.split(selection)
        metrics: dict[str, dict[str, Tensor]] = {}
        cause, overflowed = "", False
        for name, player in c.players.items():
            before = snapshot(c.buffers) if c.buffers else ()
            backward = partial(self.backward, player, step)
            found = c.microbatches.accumulate(backward, parts, player.parameters, before, requests)
            norm = found.norm if scale is None else scale.undo(player.parameters, found.norm)
            if math.isfinite((found.means[OBJECTIVE] + norm).item()):
                if c.settings.clip_norm:
                    clip_gradients(player.parameters, norm, c.settings.clip_norm)
                optimizer = c.state.optimizers[name]
                optimizer.param_groups[0]["lr"] = at(c.learning_rate, step) * player.learning_rate
                optimizer.step()
                metrics[name] = found.means
            elif scale is not None and scale.may_have_overflowed and math.isfinite(found.means[OBJECTIVE].item()):
                restore(before)
                overflowed = True
            else:
                restore(before)
                cause = cause or c.microbatches.first_cause(parts, found.values, partial(self.cause, name))
                restore(before)
            for parameter in player.parameters:
                parameter.grad = None
            requests = found.requests
        if not cause and scale is not None:
            scale.update(not overflowed)
        taken = not cause and not overflowed
        if taken and c.state.average is not None:
            c.state.update_average()
        return [StepResult(step.index, len(selection.rows), metrics, cause, taken, requests)]

    def backward(self, player: Player, step: Step, part: Microbatch) -> Value:
        """A player's value of a microbatch; its gradient is added to that of the player's parameters, and no others."""
        with self.context.rounding():
            with _distributions_may_refuse():
                value = checked(player.value(self.context.model, part.batch, step))
            scale = 1.0 if self.context.loss_scale is None else self.context.loss_scale.value
            # The gradient of −mean; only into the player's own parameters: nobody else feels this value.
            down = torch.full_like(value.objective, -scale / len(value.objective))
            down = down if part.weight is None else down * part.weight
            # As a product: to be handed a gradient, torch loads its symbolic shapes, half a second of every start.
            torch.dot(value.objective, down).backward(inputs=player.parameters)
        return value

    def cause(self, player: str, part: Microbatch, value: Value) -> str:
        """Why a player's value of a microbatch, or its gradient, is not finite."""
        return name_the_cause(self.context.model, part.batch, value, part.rows, player)

    def drain(self) -> list[StepResult]:
        """Reports that are still to come: none of plain steps."""
        return []

    # The same pieces make captured steps (vaekit.acceleration), which report in the same form.
    part, means = partial(Microbatch, 0, weight=None), staticmethod(means)
    norm, clip = staticmethod(gradient_norm), staticmethod(clip_gradients)
    report = StepResult


@contextmanager
def _distributions_may_refuse() -> Iterator[None]:
    """Context that gives a distribution's refusal its sentence.

    Raises:
        TrainingFailed: if a distribution that validates its arguments refuses them, as one of the user's own may when
            weights are no numbers any more.
    """
    try:
        yield
    except ValueError as error:
        if "satisfy the constraint" not in str(error):
            raise
        raise TrainingFailed(f"a distribution refuses what it is given: {str(error).splitlines()[0]}") from error


def checked(value: object) -> Value:
    """The answer of an objective, if it is one.

    Raises:
        UserError: if an objective answers with something else than a number for each row.
    """
    shape = tuple(value.objective.shape) if isinstance(value, Value) else None
    if not isinstance(value, Value) or len(value.objective.shape) != 1:
        raise UserError(
            "an objective answers with a Value whose objective has the shape (batch,), and this one answered "
            + (f"with a {type(value).__name__}." if shape is None else f"with the shape {shape}."),
            hint="take the mean over draws and leave that over rows to the loop: Value(draw.elbo.mean(0), {}).",
        )
    return value
