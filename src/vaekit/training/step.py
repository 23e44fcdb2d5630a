"""The steps of a phase: every player in turn, plainly or from a recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from vaekit.acceleration.captured import CapturedStep
from vaekit.acceleration.sync_free import SyncFreeStep
from vaekit.data.loader import Loader, RowSelection
from vaekit.distributed.microbatches import OBJECTIVE, Microbatch, Microbatches
from vaekit.errors import TrainingFailed, UserError
from vaekit.kernels import rounding
from vaekit.objectives.objective import Player, Value
from vaekit.run.state import State
from vaekit.schedules import Step, at
from vaekit.training.finite import clip, copies, name_the_cause, places_of_buffers, put_back
from vaekit.training.loss_scale import Scale
from vaekit.training.settings import Phase, Settings


class Stepper:
    """Takes the steps of a phase.

    Args:
        model: what is trained.
        phase: with its learning rate.
        players: who steps, by name; each has an optimiser in the state.
        state: counters, optimisers, sums of figures and averages: what a step moves.
        microbatches: how a batch is computed.
        settings: of the training.
        batches: the training rows.
        skip: told of a step that was not taken: why, and its number in the phase.
        wishes: what this process would have all of them do after a step.
        say: told what a person should know.
    """

    def __init__(
        self,
        model: nn.Module,
        phase: Phase,
        players: Mapping[str, Player],
        state: State,
        microbatches: Microbatches,
        settings: Settings,
        batches: Loader,
        skip: Callable[[str, int], None] = lambda cause, step: None,
        wishes: Callable[[], list[bool]] = list,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.model, self.phase, self.players, self.state = model, phase, players, state
        self.microbatches, self.settings, self.batches = microbatches, settings, batches
        self.skip, self.wishes, self.say = skip, wishes, say
        self.agreed: list[bool] = []  # what any process wished at the last plain step
        self.scale = Scale(state.counters, settings.precision)
        self.buffers = places_of_buffers(model)
        self.replay = self.recording() if self._may_replay else None
        if settings.compile and self.replay is None:
            say(
                "warning: the steps are not compiled: that needs one microbatch, adam, a precision other than float16, "
                "and on a GPU all rows in memory."
            )

    @property
    def _may_replay(self) -> bool:
        """Whether steps can be recorded: with all of a batch at once, and on a GPU where all rows are there."""
        on_gpu = self.batches.device.type == "cuda"
        return (
            (on_gpu or bool(self.settings.compile))
            and not (on_gpu and self.batches.mapped)
            and self.microbatches.count == 1
            and self.settings.may_be_silent
        )

    def recording(self) -> CapturedStep:
        """What records these steps and plays them again."""
        settings, rate = self.settings, self.phase.learning_rate
        step = SyncFreeStep(self.model, self.players, self.state, self._share, rate, settings.clip_norm, self.buffers)
        around = self._rounding if self.batches.device.type == "cpu" else nullcontext
        full = min(settings.batch_size, self.batches.num_rows)
        return CapturedStep(step, full, bool(settings.compile), self.say, around)

    def _rounding(self) -> AbstractContextManager[None]:
        return rounding(self.batches.device, self.settings.precision)

    def take(self, selection: RowSelection) -> None:
        """A step on these rows: from the recording where there is one, else plainly."""
        counters = self.state.counters
        step = Step(counters.step, counters.epoch + counters.batch / len(self.batches), self.phase.epochs)
        if self.replay is not None and self.replay.plays(selection, step):
            self.replay.play(selection, step)
            if self.replay.full:
                self.drain()
        else:
            self.drain()
            self._plainly(step, selection)
        counters.batch += 1
        counters.step += 1

    def drain(self) -> None:
        """Take note of what the steps said that were played since the last time."""
        counters = self.state.counters
        for said in self.replay.read() if self.replay is not None else ():
            for name, told in said.figures.items():
                if told is not None:
                    self._log(
                        name, told.keys(), torch.tensor([*told.values()], dtype=torch.float64), len(said.selection.rows)
                    )
            if None in said.figures.values():
                assert self.replay is not None
                self.skip(self.replay.cause(said), said.step)
            else:
                counters.skipped_in_a_row = 0
                counters.averaged += self.state.average is not None

    def close(self) -> None:
        """Leave what processes have in common; no step comes after it."""

    def _plainly(self, step: Step, selection: RowSelection) -> None:
        """Each player in turn: value of each example, mean, gradient, step."""
        counters = self.state.counters
        cause, size, fitted = "", len(selection.rows), True
        microbatches = self.microbatches.of(*self.microbatches.take(selection), size)
        for name, player in self.players.items():
            # What moves in a forward pass (a code book) must be put back if the step is not taken.
            before = copies(self.buffers)
            one = partial(self._share, player, step)
            figures, values, self.agreed, norm = self.microbatches.compute(
                one, microbatches, player.parameters, before, self.wishes()
            )
            norm = self.scale.undo(player.parameters, norm)
            optimizer = self.state.optimizers[name]
            if math.isfinite((figures[OBJECTIVE] + norm).item()):
                if self.settings.clip_norm:
                    clip(player.parameters, norm, self.settings.clip_norm)
                optimizer.param_groups[0]["lr"] = at(self.phase.learning_rate, step) * player.learning_rate
                optimizer.step()
                self._log(name, figures.keys(), torch.stack([*figures.values()]), size)
            elif self.scale.may_have_overflowed and math.isfinite(figures[OBJECTIVE].item()):
                put_back(before)
                fitted = False
            else:
                put_back(before)
                cause = cause or self.microbatches.cause(
                    microbatches,
                    values,
                    lambda microbatch, value, name=name: name_the_cause(
                        self.model, microbatch.batch, value, microbatch.rows, name
                    ),
                )
                put_back(before)
            for parameter in player.parameters:
                parameter.grad = None
        if cause:
            self.skip(cause, counters.step)
            return
        self.scale.update(fitted)
        if fitted:
            counters.skipped_in_a_row = 0
            self.state.update_average()

    def _share(self, player: Player, step: Step, microbatch: Microbatch) -> Value:
        """A player's value of a microbatch of the batch, its gradient added to that of the other microbatches."""
        with self._rounding():
            with _told_by_distributions():
                value = _checked(player.value(self.model, microbatch.batch, step))
            # The gradient of −mean; only into the player's own parameters: nobody else feels this value.
            down = torch.full_like(value.objective, -self.scale.value / len(value.objective))
            down = down if microbatch.weight is None else down * microbatch.weight
            # As a product: to be handed a gradient, torch loads its symbolic shapes, half a second of every start.
            torch.dot(value.objective, down).backward(inputs=player.parameters)
        return value

    def _log(self, player: str, figures: Iterable[str], means: Tensor, rows: int) -> None:
        names = (f"{player}_objective" if name == OBJECTIVE else name for name in figures)
        self.state.add(tuple(names), means, rows)


@contextmanager
def _told_by_distributions() -> Iterator[None]:
    """
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


def _checked(value: object) -> Value:
    """
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
