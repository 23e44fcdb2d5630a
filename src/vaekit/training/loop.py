"""Training loop: phases, epochs, validation, saving. It knows nothing about models."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vaekit.acceleration import capture
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader, RowSelection
from vaekit.distributed.context import DistributedContext
from vaekit.errors import TrainingFailed, UserError
from vaekit.evaluation.doctor import TrainingMonitor
from vaekit.evaluation.fitness import check_likelihood_fits
from vaekit.evaluation.likelihood import bound
from vaekit.kernels import flushing_denormals, keep_pages, rounds_on_processors
from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import from_document, to_document
from vaekit.progress import Bar, say
from vaekit.run.checkpointer import Checkpointer, MemoryCheckpointer
from vaekit.run.state import State
from vaekit.schedules import Step
from vaekit.signals import Ended, listening
from vaekit.training.epoch_record import line_of, record_of
from vaekit.training.microbatches import OBJECTIVE, Microbatches, WholeBatch
from vaekit.training.model_checks import check_can_be_read
from vaekit.training.settings import OPTIMIZERS, Phase, Settings
from vaekit.training.step import PlainStep, StepContext, StepResult
from vaekit.training.trainable import TrainableParts

MOST_SKIPPED_IN_A_ROW = 20


class Training:
    """One training: the loop and its state.

    Args:
        model, data, phases, settings: as of :func:`fit`.
        folder: the run folder, open; ``None`` for a run in memory.
        quiet: show no progress.
        world: the processes that train together.
        initialize: as of :func:`fit`.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        phases: Sequence[Phase],
        settings: Settings,
        folder: Path | None,
        quiet: bool,
        world: DistributedContext | None = None,
        initialize: bool = True,
    ) -> None:
        self.world = world or DistributedContext()
        self.initialize = initialize
        device = self.world.device(settings.device)
        # Convolutions are faster with the channels last, on processors and on GPUs.
        self.model: Any = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.phases, self.settings = phases, settings
        self.quiet = quiet or not self.world.first
        count = settings.accumulate or self.world.size
        self.microbatches = Microbatches(self.world, count) if count > 1 else WholeBatch(self.world)
        self.batches = Loader(data.train, data.kind, device, settings.batch_size)
        self.validation = Loader(data.validation, data.kind, device, max(settings.batch_size, 500))
        self.state = State(self.model, settings.ema_decay, self.microbatches.rng)
        self.checkpointer: Checkpointer | MemoryCheckpointer = (
            MemoryCheckpointer(self.state) if folder is None else Checkpointer(folder, self.state)
        )
        self.stop_asked = False
        for phase in self.phases:
            TrainableParts.of(self.model, phase)

    def run(self) -> None:
        """Train until the end, from wherever the state is."""
        keep_pages()
        with flushing_denormals():
            self._run()

    def _run(self) -> None:
        torch.manual_seed(self.settings.seed)
        saved = self.checkpointer.begin()
        if saved is not None and self.state.document:
            self._grow_to(self.state.document)
        if saved is None:
            with closing(self.batches.epoch(self.settings.seed, 0)) as batches:
                first = next(batches).batch
            check_likelihood_fits(self.model, first, fitting=self.batches.kind.default_likelihood)
            self._begin_parts()
            self.microbatches.rng.begin()
        counters = self.state.counters
        for remark in self._remarks():
            self._say(f"warning: {remark}.")
        total = self._planned * len(self.batches)
        done = counters.epochs_total * len(self.batches) + counters.batch
        with listening(self._ask_to_stop), Bar("training", total, "steps", done=done, quiet=self.quiet) as bar:
            while counters.phase < len(self.phases):
                phase = self.phases[counters.phase]
                self.step = capture(self.plain_step(phase), self._say)
                if saved is not None:
                    self.state.restore(saved)
                    saved = None
                while counters.epoch < phase.epochs and not self._patience_is_over():
                    self._epoch(phase, bar)
                if counters.epoch < phase.epochs:
                    waited = f"{counters.waited} epoch{'s' * (counters.waited > 1)}"
                    self._say(f"stopped after epoch {counters.epochs_total}: none of the last {waited} was better.")
                self._check_figures()
                counters.phase, counters.epoch, counters.step = counters.phase + 1, 0, 0
                self.state.begin_phase()

    def _remarks(self) -> Iterator[str]:
        """What a person may not have meant."""
        rows, size, precision = self.batches.num_rows, self.settings.batch_size, self.settings.precision
        if size > rows:
            yield f"a batch of {size:,} rows is more than the {rows:,} training rows: each epoch is one step"
        if self.batches.device.type == "cpu":
            if precision == "bfloat16" and not rounds_on_processors():
                yield "this processor does not round products to bfloat16: training goes on in float32"
            if precision == "float16":
                yield "float16 is for GPUs: on a processor it is slower than float32"

    def plain_step(self, phase: Phase) -> PlainStep:
        """The step of a phase: its players, each with an optimiser."""
        objective = phase.objective
        device = next(self.model.parameters()).device
        self.state.networks = tuple(network.to(device) for network in objective.networks())
        self.trainable = TrainableParts.of(self.model, phase)
        players = self.trainable.players(objective)
        make = OPTIMIZERS[self.settings.optimizer]
        self.state.optimizers = {
            name: make(player.parameters, lr=0.0, weight_decay=self.settings.weight_decay, **player.options)
            for name, player in players.items()
        }
        return PlainStep(
            StepContext(
                self.model, players, self.state, self.microbatches, self.settings, phase.learning_rate, self.batches
            )
        )

    def _begin_parts(self) -> None:
        """Let parts that start from data (pseudo-inputs, say) see as many training rows as they want."""
        rows = partial(self.batches.some, self.settings.seed)
        with torch.no_grad():
            for module in self.model.modules():
                if self.initialize and hasattr(module, "initialize_from_data"):
                    module.initialize_from_data(self.model, rows)
            self.world.copy_first([*self.model.state_dict().values()])
            if self.state.average is not None:
                self.state.average.load_state_dict(self.model.state_dict())

    def _epoch(self, phase: Phase, bar: Bar) -> None:
        """From the batch where the state is to the end of the epoch."""
        counters, started = self.state.counters, time.monotonic()
        self.trainable.set_modes()
        order = self.settings.seed, counters.epochs_total, counters.batch
        with closing(self.batches.epoch(*order)) as batches:
            for selection in batches:
                agreed = self.take(selection)
                bar.advance()
                stop, save = agreed if self.world.size > 1 else self._requests()
                if stop or save:
                    self._note(self.step.drain())
                    now = time.monotonic()
                    counters.seconds, started = counters.seconds + now - started, now
                    self.checkpointer.save()
                if stop:
                    raise self.checkpointer.interrupted(counters.epochs_total + 1)
        self._note(self.step.drain())
        counters.epoch, counters.epochs_total, counters.batch = counters.epoch + 1, counters.epochs_total + 1, 0
        self._after_epoch(phase)
        self._report(phase, started)

    def _after_epoch(self, phase: Phase) -> None:
        """Let modules that grow or shrink change; optimiser state and average of what stays are kept."""
        now = Step(self.state.counters.step, self.state.counters.epoch, phase.epochs)
        hooks: list[Any] = [each for each in (phase.objective, *self.model.modules()) if hasattr(each, "after_epoch")]
        changed = [hook.after_epoch(self.model, now) for hook in hooks]
        if not any(changed):
            return
        device = next(self.model.parameters()).device
        self.model.to(device=device, memory_format=torch.channels_last)
        self.world.copy_first([*self.model.state_dict().values()])
        document = to_document(self.model)
        check_can_be_read(self.model, document)
        self.state.model_changed(json.dumps(document))
        before = self.state.optimizers
        self.step = capture(self.plain_step(phase), self._say)
        self.state.keep_optimizers(before)

    def _grow_to(self, document: str) -> None:
        """Make the model in place what it had become when the state was saved.

        Raises:
            UserError: if no document can make it.
        """
        if any(foreign_values(json.loads(document))):
            raise UserError(
                "the model has grown while it was trained, and with classes that are no registered parts it cannot be "
                "made as it was then.",
                hint="mark them with @vk.part('kind/name'), and train again.",
            )
        device = next(self.model.parameters()).device
        grown = from_document(json.loads(document)).to(device=device, memory_format=torch.channels_last)
        self.model.__dict__.clear()
        self.model.__dict__.update(grown.__dict__)
        if self.state.average is not None:
            self.state.average = copy.deepcopy(self.model).requires_grad_(False)

    def take(self, selection: RowSelection) -> Sequence[bool]:
        """Take a step on these rows.

        Returns:
            The requests (:meth:`_requests`) that any process had made before it.
        """
        counters = self.state.counters
        epoch = counters.epoch + counters.batch / len(self.batches)
        now = Step(counters.step, epoch, self.phases[counters.phase].epochs)
        try:
            results = self.step(now, selection, self._requests() if self.world.size > 1 else ())
        except Ended:  # while the step was compiled: it was not taken
            return ()
        self._note(results)
        counters.batch += 1
        counters.step += 1
        return results[-1].requests if results else ()

    def _note(self, results: Sequence[StepResult]) -> None:
        """Sums of the metrics over the epoch, and steps that were skipped."""
        sums, rows = self.state.sums, self.state.rows
        for result in results:
            for player, metrics in result.metrics.items():
                key = "/".join(f"{player}_objective" if name == OBJECTIVE else name for name in metrics)
                if key not in sums:
                    sums[key], rows[key] = torch.zeros(len(metrics), dtype=torch.float64), 0
                sums[key].add_(torch.stack([*metrics.values()]).to("cpu"), alpha=result.rows)
                rows[key] += result.rows
            if result.cause:
                self._skip(result.cause, result.index)
            elif result.taken:
                self.state.counters.skipped_in_a_row = 0

    def _requests(self) -> list[bool]:
        """Whether this process was asked to stop, and whether it is time to save."""
        return [self.stop_asked, self.checkpointer.due]

    def _say(self, line: str) -> None:
        if not self.quiet:
            say(line)

    def _skip(self, cause: str, step: int) -> None:
        counters = self.state.counters
        counters.cause = counters.cause or f"step {step + 1}: {cause}"
        counters.skipped += 1
        counters.skipped_in_a_row += 1
        if counters.skipped == 1 or counters.skipped_in_a_row == MOST_SKIPPED_IN_A_ROW:
            self._say(f"warning: step {step + 1} was skipped: {cause}.")
        if counters.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise TrainingFailed(
                f"{counters.skipped_in_a_row} steps in a row were not finite: {cause}. "
                + (
                    f"The state at the end of epoch {self.checkpointer.epochs} is kept {self.checkpointer.place}."
                    if self.checkpointer.epochs
                    else "No epoch was finished."
                )
            )

    def _check_figures(self) -> None:
        """Check that a phase has a validation figure that is a number.

        Raises:
            TrainingFailed: if there is a validation figure, and it was a number after no epoch of the phase.
        """
        counters = self.state.counters
        if counters.best is not None and math.isnan(counters.best):
            why = f" ({counters.cause})" if counters.cause else ""
            raise TrainingFailed(
                f"after no epoch the validation figures were numbers{why}: the weights kept "
                f"{self.checkpointer.place} are of no use. A smaller learning rate may help."
            )

    def _report(self, phase: Phase, started: float) -> None:
        """Validate, remember the best, take note of the epoch, and save if it is time."""
        state, counters = self.state, self.state.counters
        figures = self.microbatches.over(
            self.validation, lambda rows, microbatch: bound(state.shown, rows, seed=self.settings.seed + microbatch)
        )
        now = Step(counters.step, counters.epoch, phase.epochs)
        last = Step(phase.epochs * len(self.batches), phase.epochs, phase.epochs)
        watched = phase.objective.selection_metric(figures, last)
        kept = state.update_best(watched, keep_best=self.settings.keep_best)
        counters.seconds += time.monotonic() - started
        record = record_of(counters, phase, now, state.means(), figures, watched, kept)
        state.sums = {}
        self.checkpointer.note(record)
        # Of several processes the clocks differ.
        if (
            self.world.size > 1
            or self.checkpointer.rested
            or counters.epoch == phase.epochs
            or self._patience_is_over()
        ):
            self.checkpointer.save()
            self.checkpointer.take_place()
        if not self.world.first:
            return
        for found in self._doctor.visit(record):
            self._say(f"warning: epoch {counters.epochs_total}: {found.line}")
        if line := line_of(counters.epochs_total, self._planned, figures, kept):
            self._say(line)

    @property
    def _planned(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @cached_property
    def _doctor(self) -> TrainingMonitor:
        """Called to the first epoch of this session; those before it were seen."""
        now = self.state.counters.epochs_total
        before = [each for each in self.checkpointer.records if each["epoch"] < now]
        return TrainingMonitor(self.state.shown, self.validation, before, self._planned)

    def _patience_is_over(self) -> bool:
        counters, patience = self.state.counters, self.settings.patience
        return bool(patience) and counters.waited >= patience

    def _ask_to_stop(self) -> None:
        self.stop_asked = True
