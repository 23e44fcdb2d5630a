"""Captured step: a step recorded or compiled once and replayed.

A small model asks a GPU for a hundred small kernels a step, and Python takes longer to ask than they take to run. A
CUDA graph asks for all of them at once. What is recorded may not wait for the GPU: it is a step without host–device
synchronisation (:mod:`vaekit.acceleration.sync_free`), whose metrics are read every so many steps.

Such a step can be compiled as a whole, too (:mod:`vaekit.acceleration.program`), on a processor and on a GPU, where the
graph then asks for the kernels of the compiler.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.acceleration.program import Call, NotWritable, program
from vaekit.acceleration.switch import why_off
from vaekit.acceleration.sync_free import WINDOW, SyncFreeStep
from vaekit.data.batch import Batch
from vaekit.data.loader import RowSelection
from vaekit.kernels.noise import same_noise_after
from vaekit.schedules import Step
from vaekit.signals import ends_at_once

WARM = 3  # steps before the recording: libraries and optimisers set themselves up in the first


def capture(step: Any, say: Callable[[str], None]) -> Any:
    """The step, captured if that can be done; else the step itself.

    Args:
        step: a plain training step (:class:`vaekit.training.step.PlainStep`).
        say: told why it is not, where it was asked for.
    """
    c = step.context
    on_gpu = c.batches.device.type == "cuda"
    if not (on_gpu or c.settings.compile):
        return step
    if why := why_off():
        say(f"{'warning: the steps are not compiled' if c.settings.compile else 'the steps are not recorded'}: {why}.")
        return step
    if c.microbatches.count == 1 and c.settings.can_be_captured and not (on_gpu and c.batches.mapped):
        return CapturedStep(step, say)
    if c.settings.compile:
        say(
            "warning: the steps are not compiled: that needs one microbatch, adam, a precision other than float16, "
            "and on a GPU all rows in memory."
        )
    return step


class Input(NamedTuple):
    """Where recordings look for rows.

    Attributes:
        rows: their numbers ``(batch,)``.
        stored: their values as they are stored, ``(batch, *stored_shape)``.
        make: the batch that they are.
    """

    rows: Tensor
    stored: Tensor
    make: Callable[[Tensor, Tensor], Batch]

    @property
    def batch(self) -> Batch:
        return self.make(self.rows, self.stored)


class CapturedStep:
    """The step of full batches replayed, that of others taken plainly.

    If the steps are compiled, every full one is, so that a resumed run computes what it would have computed.

    Args:
        plain: the step.
        say: told why it is not compiled, after all.
    """

    def __init__(self, plain: Any, say: Callable[[str], None] = lambda why: None) -> None:
        self.plain, self.say = plain, say
        context = plain.context
        self.step = SyncFreeStep(plain)
        self.device = self.step.device
        self.compiles = bool(context.settings.compile)
        self.batch_size = min(context.settings.batch_size, context.batches.num_rows)
        self.rounding = context.rounding if context.batches.device.type == "cpu" else nullcontext
        self.unread: list[tuple[int, RowSelection]] = []
        self.steps, self.possible = 0, True
        self.compiled: Call | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.input: Input | None = None
        self.places_of_buffers: list[Tensor] = []

    def __call__(self, step: Step, selection: RowSelection, requests: Sequence[bool] = ()) -> list[Any]:
        """Take a step; the reports that are there by now."""
        if not self.can_replay(selection, step):
            return [*self.drain(), *self.plain(step, selection, requests)]
        self.replay(selection, step)
        return self.drain() if len(self.unread) == WINDOW else []

    def drain(self) -> list[Any]:
        """Reports of the steps since the last time."""
        if not self.unread:
            return []
        reports = []
        counters, average = self.step.state.counters, self.step.state.average
        for (index, selection), metrics in zip(self.unread, self.step.last(len(self.unread)), strict=True):
            cause = self.step.cause(selection, metrics) if None in metrics.values() else ""
            moved = {
                name: {term: torch.tensor(value, dtype=torch.float64) for term, value in told.items()}
                for name, told in metrics.items()
                if told is not None
            }
            reports.append(self.plain.report(index, len(selection.rows), moved, cause, not cause))
            counters.averaged += not cause and average is not None
        self.unread = []
        return reports

    def can_replay(self, selection: RowSelection, step: Step) -> bool:
        """Whether it can be replayed; before the first one the steps are compiled, if they are to be."""
        if not self.possible or len(selection.rows) != self.batch_size:
            return False
        self.step.schedules.go_to(step)
        if self.compiles and self.compiled is None:
            self._compile(selection)
        return self.possible

    def replay(self, selection: RowSelection, step: Step) -> None:
        """Take a step that :meth:`can_replay`; its metrics are read later."""
        if not self.unread:
            self.step.averaged.fill_(self.step.state.counters.averaged)
        self.unread.append((step.index, selection))
        self.steps += 1
        if self.device.type == "cuda" and self.steps > WARM and self.graph is None:
            self.graph = self._record(selection)
        if self.graph is not None:
            self._show(selection)
            self.graph.replay()
        elif self.possible and (self.compiled is None or self.device.type == "cuda"):
            self._try(selection)
        else:
            self._take(self._given(selection))

    def _given(self, selection: RowSelection) -> RowSelection | Input:
        """What is handed to a step that is no recording: the rows, shown if it looks for them."""
        if self.compiled is None or self.input is None:
            return selection
        self._show(selection)
        return self.input

    def _show(self, selection: RowSelection) -> None:
        """Put rows and buffers where a recording looks for them."""
        assert self.input is not None
        self._return_buffers()
        self.input.rows.copy_(selection.rows)
        torch.index_select(selection.table, 0, selection.places, out=self.input.stored)

    def _take(self, given: RowSelection | Input) -> None:
        """A step by what there is: the compiled one, for rows that are shown, or the operations one by one."""
        if self.compiled is None:
            self.step(given.rows, given.batch)
        else:
            with self.rounding():
                self.compiled()

    def _try(self, selection: RowSelection) -> None:
        """Take a step without a recording, and see whether it could be recorded."""
        with warnings.catch_warnings(record=True) as seen:
            if self.device.type == "cuda":
                warnings.simplefilter("always")
                torch.cuda.set_sync_debug_mode("warn")
            try:
                self._take(self._given(selection))
            finally:
                if self.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
        waits = any("called a synchronizing" in str(warning.message) for warning in seen)
        self.possible = not waits and not self.step.schedules.looked_at

    def _record(self, selection: RowSelection) -> torch.cuda.CUDAGraph | None:
        """Record a step without taking it, if that can be done."""
        shown = self._look_at(selection)
        graph, numbers = torch.cuda.CUDAGraph(), torch.cuda.get_rng_state(self.device)
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._take(shown)
        except RuntimeError:
            # A recording that broke off leaves the generator waiting for its end: an empty one ends it.
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                torch.zeros(1, device=self.device)
            torch.cuda.set_rng_state(numbers, self.device)
            self._forget()
            self.possible = False
            return None
        return graph

    def _look_at(self, selection: RowSelection) -> Input:
        """Let recordings look at rows like these, and at the buffers where they are."""
        if self.input is None:
            self.input = Input(selection.rows.clone(), selection.stored, selection.make)
            self.places_of_buffers = self.step.buffers_now()
        return self.input

    def _compile(self, selection: RowSelection) -> None:
        """Compile the step without taking it; where that cannot be done, say why."""
        self.say("compiling the steps: this takes a while, the first time for a model longer")
        step, shown = self.step, self._look_at(selection)
        try:
            with self._nothing_moved():
                # Once so: optimisers and schedules set themselves up, and what happens only then is not for a program.
                step(shown.rows, shown.batch)
            if step.schedules.looked_at:
                raise NotWritable("it looks at the number of the step")
            inputs, together = [shown.rows, shown.stored, *step.of_optimizers()], step.of_modules()
            with self._nothing_moved(), ends_at_once():
                self.compiled = program(lambda: step(shown.rows, shown.batch), inputs, together=together)
        except NotWritable as why:
            self.say(f"warning: the steps are not compiled: {why}.")
            self.compiles = False
            self.possible = self.device.type == "cuda" and not step.schedules.looked_at

    @contextmanager
    def _nothing_moved(self) -> Iterator[None]:
        """Afterwards everything is as it was, and what an optimiser has made as it begins: at 0."""
        before = {id(each): each.detach().clone() for each in self.step.moved()}
        try:
            with same_noise_after(self.device):
                yield
        finally:
            self._forget()
            with torch.no_grad():
                for each in self.step.moved():
                    each.copy_(before[id(each)]) if id(each) in before else each.zero_()

    def _forget(self) -> None:
        """Gradients and buffers that a broken recording made: nothing has ever been computed in their place."""
        self.step.forget_gradients()
        for (module, name), place in zip(self.step.buffers, self.places_of_buffers, strict=True):
            setattr(module, name, place)

    @torch.no_grad()
    def _return_buffers(self) -> None:
        """Buffers to where the recording looks for them, if something has put others in their place."""
        for (module, name), place in zip(self.step.buffers, self.places_of_buffers, strict=True):
            if (now := getattr(module, name)) is not place:
                place.copy_(now)
                setattr(module, name, place)
