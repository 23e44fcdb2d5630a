"""Steps without a word to the processor in between, recorded once and played again.

A small model asks a GPU for a hundred small kernels a step, and Python takes longer to ask than they take to run. A
CUDA graph asks for all of them at once. What is recorded may not wait for the GPU: whether a step is taken is decided
there, and what it said is read every so many steps.

A step that decides nothing outside can be compiled as a whole, too (:mod:`vaekit.kernels.program`), on a processor
and on a GPU, where the graph then asks for the kernels of the compiler.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.data.loader import Picked
from vaekit.kernels.noise import same_noise_after
from vaekit.kernels.pieces import pieces
from vaekit.kernels.program import Call, NotWritable, program
from vaekit.objectives.objective import Player, Value
from vaekit.schedules import Schedule, Step, at
from vaekit.training.shares import OBJECTIVE, Share, means
from vaekit.training.state import State, memory
from vaekit.training.watch import clip, copies, gradient_norm, name_the_cause

WINDOW = 20  # steps between two looks at what they said
WARM = 3  # steps before the recording: libraries and optimisers set themselves up in the first


class Cells:
    """A step whose schedules are numbers on the device, filled anew for every step.

    Attributes:
        looked_at: whether something was read off the step that is no schedule, and would be recorded as it was then.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.looked_at = False
        self._now = Step()
        self._cells: dict[Schedule, Tensor] = {}
        self._values: dict[Schedule, float] = {}

    def go_to(self, step: Step) -> None:
        """Fill the cells of the schedules that say something new."""
        self._now = step
        for schedule, cell in self._cells.items():
            value = schedule(step)
            if value != self._values[schedule]:
                self._values[schedule] = value
                cell.fill_(value)

    def of(self, schedule: Schedule) -> Tensor:
        """The cell of a schedule, ``()``."""
        if schedule not in self._cells:
            self._values[schedule] = value = schedule(self._now)
            self._cells[schedule] = torch.full((), value, device=self.device)
        return self._cells[schedule]

    def __getattr__(self, name: str) -> Any:
        self.looked_at = True
        return getattr(self._now, name)


class Said(NamedTuple):
    """What a step said.

    Attributes:
        step: its number in the phase, from 0.
        picked: its rows.
        figures: of each player by name, or ``None`` where its step was not taken.
    """

    step: int
    picked: Picked
    figures: dict[str, dict[str, float] | None]


class Replay:
    """The steps of a phase on full batches.

    Args:
        model: the model; buffers that a step moves are moved where they are.
        players: who steps, in turn.
        state: with their optimisers, which must know steps that are not taken.
        share: a player's value of a share of a batch, and its gradient.
        learning_rate: of the phase.
        clip_norm: as of the settings.
        buffers: owners and names of the buffers.
        batch_size: rows of a full batch.
        compiles: whether the steps are compiled; every one of them, so that a run that goes on computes what it would
            have computed.
        say: told why they are not, after all.
        around: where the program is run.
    """

    def __init__(
        self,
        model: nn.Module,
        players: Mapping[str, Player],
        state: State,
        share: Callable[[Player, Step, Share], Value],
        learning_rate: float | Schedule,
        clip_norm: float,
        buffers: list[tuple[nn.Module, str]],
        batch_size: int,
        compiles: bool = False,
        say: Callable[[str], None] = lambda why: None,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.model, self.players, self.state, self.share = model, players, state, share
        self.learning_rate, self.clip_norm = learning_rate, clip_norm
        self.buffers, self.batch_size = buffers, batch_size
        self.compiles, self.say, self.around = compiles, say, around
        self.device = next(model.parameters()).device
        self.cells = Cells(self.device)
        self.averaged, self.one = torch.zeros((), device=self.device), torch.ones((), device=self.device)
        self.names: dict[str, tuple[str, ...]] = {}
        self.said: Tensor | None = None  # the last lines, (WINDOW, numbers)
        self.unread: list[tuple[int, Picked]] = []
        self.steps, self.possible = 0, True
        self.compiled: Call | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.input = Picked(torch.empty(0), torch.empty(0), lambda rows, places: Batch(rows))
        self.places_of_buffers: list[Tensor] = []

    def plays(self, picked: Picked, step: Step) -> bool:
        """Whether it can take the step; before the first one the steps are compiled, if they are to be."""
        if not self.possible or len(picked.rows) != self.batch_size:
            return False
        self.cells.go_to(step)
        if self.compiles and self.compiled is None:
            self._compile(picked)
        return self.possible

    @property
    def full(self) -> bool:
        """Whether it is time to :meth:`read`."""
        return len(self.unread) == WINDOW

    def play(self, picked: Picked, step: Step) -> None:
        """Take a step that it :meth:`plays`; what it said is read later."""
        if not self.unread:
            self.averaged.fill_(self.state.counters.averaged)
        self.unread.append((step.index, picked))
        self.steps += 1
        if self.device.type == "cuda" and self.steps > WARM and self.graph is None:
            self.graph = self._record(picked)
        if self.graph is not None:
            self._show(picked)
            self.graph.replay()
        elif self.possible and (self.compiled is None or self.device.type == "cuda"):
            self._try(picked)
        else:
            self._take(picked)

    def _show(self, picked: Picked) -> None:
        """Put rows and buffers where a recording looks for them."""
        self._return_buffers()
        self.input.rows.copy_(picked.rows)
        if self.input.places is not self.input.rows:
            self.input.places.copy_(picked.places)

    def _take(self, picked: Picked) -> None:
        """A step by what there is: the compiled one, or the operations one by one."""
        if self.compiled is None:
            self._step(picked)
            return
        self._show(picked)
        with self.around():
            self.compiled()

    def read(self) -> list[Said]:
        """What was said since the last time, step by step."""
        if not self.unread:
            return []
        assert self.said is not None
        lines = self.said[-len(self.unread) :].tolist()
        told = [
            Said(step, picked, self._figures(line)) for (step, picked), line in zip(self.unread, lines, strict=True)
        ]
        self.unread = []
        return told

    def _figures(self, line: list[float]) -> dict[str, dict[str, float] | None]:
        told: dict[str, dict[str, float] | None] = {}
        numbers = iter(line)
        for player, names in self.names.items():
            bad, *values = (next(numbers) for _ in range(1 + len(names)))
            told[player] = None if bad else dict(zip(names, values, strict=True))
        return told

    def cause(self, said: Said) -> str:
        """Why a step was not taken, as far as the rows and the weights of now can tell."""
        places = self._buffers()
        with same_noise_after(self.device):
            share = Share(0, said.picked.rows, said.picked.batch, None)
            name = next(name for name, told in said.figures.items() if told is None)
            before = copies(self.buffers)
            value = self.share(self.players[name], cast(Step, self.cells), share)
            words = name_the_cause(self.model, share.batch, value, share.rows, name)
        self._settle_buffers(before, places, torch.ones((), device=self.device))
        for parameter in self.players[name].parameters:
            parameter.grad = None
        return words

    def _try(self, picked: Picked) -> None:
        """Take a step without a recording, and see whether it could be recorded."""
        with warnings.catch_warnings(record=True) as seen:
            if self.device.type == "cuda":
                warnings.simplefilter("always")
                torch.cuda.set_sync_debug_mode("warn")
            try:
                self._take(picked)
            finally:
                if self.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
        waits = any("called a synchronizing" in str(warning.message) for warning in seen)
        self.possible = not waits and not self.cells.looked_at

    def _record(self, picked: Picked) -> torch.cuda.CUDAGraph | None:
        """Record a step without taking it, if that can be done."""
        self._look_at(picked)
        graph, numbers = torch.cuda.CUDAGraph(), torch.cuda.get_rng_state(self.device)
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._take(self.input)
        except RuntimeError:
            # A recording that broke off leaves the generator waiting for its end: an empty one ends it.
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                torch.zeros(1, device=self.device)
            torch.cuda.set_rng_state(numbers, self.device)
            self._forget()
            self.possible = False
            return None
        return graph

    def _look_at(self, picked: Picked) -> None:
        """Let recordings look at rows like these, and at the buffers where they are."""
        if not len(self.input.rows):
            rows = picked.rows.clone()
            places = rows if picked.places is picked.rows else picked.places.clone()
            self.input = Picked(rows, places, picked.make)
            self.places_of_buffers = self._buffers()

    def _compile(self, picked: Picked) -> None:
        """Compile the step without taking it; where that cannot be done, say why."""
        self.say("compiling the steps: this takes a while, the first time for a model longer")
        self._look_at(picked)
        try:
            with self._nothing_moved():
                # Once so, in which optimisers and cells set themselves up; what happens only then is not for a program.
                self._step(self.input)
            if self.cells.looked_at:
                raise NotWritable("it looks at the number of the step")
            rows = [self.input.rows, *([] if self.input.places is self.input.rows else [self.input.places])]
            inputs, together = [*rows, *self._of_optimizers()], self._of_modules()
            with self._nothing_moved():
                self.compiled = program(lambda: self._step(self.input), inputs, together=together)
        except NotWritable as why:
            self.say(f"warning: the steps are not compiled: {why}.")
            self.compiles = False
            self.possible = self.device.type == "cuda" and not self.cells.looked_at

    @contextmanager
    def _nothing_moved(self) -> Iterator[None]:
        """Afterwards everything is as it was, and what an optimiser has made as it begins: at 0."""
        before = {id(each): each.detach().clone() for each in self._moving()}
        try:
            with same_noise_after(self.device):
                yield
        finally:
            self._forget()
            with torch.no_grad():
                for each in self._moving():
                    each.copy_(before[id(each)]) if id(each) in before else each.zero_()

    def _moving(self) -> list[Tensor]:
        """What a step writes to."""
        said = [] if self.said is None else [self.said]
        return [*self._of_optimizers(), *self._of_modules(), self.averaged, *said]

    def _of_optimizers(self) -> list[Tensor]:
        states = [state for optimizer in self.state.optimizers.values() for state in optimizer.state.values()]
        return [each for state in states for each in state.values() if isinstance(each, Tensor)]

    def _of_modules(self) -> list[Tensor]:
        modules = [self.model, *self.state.networks, *([] if self.state.average is None else [self.state.average])]
        tensors = [each for module in modules for each in (*module.parameters(), *module.buffers())]
        return [*{id(each): each for each in tensors}.values()]

    def _forget(self) -> None:
        """Gradients and buffers that a broken recording made: nothing has ever been computed in their place."""
        for player in self.players.values():
            for parameter in player.parameters:
                parameter.grad = None
        for (module, name), place in zip(self.buffers, self.places_of_buffers, strict=True):
            setattr(module, name, place)

    def _buffers(self) -> list[Tensor]:
        return [getattr(module, name) for module, name in self.buffers]

    @torch.no_grad()
    def _return_buffers(self) -> None:
        """Buffers to where the recording looks for them, if something has put others in their place."""
        for (module, name), place in zip(self.buffers, self.places_of_buffers, strict=True):
            if (now := getattr(module, name)) is not place:
                place.copy_(now)
                setattr(module, name, place)

    def _step(self, picked: Picked) -> None:
        """What the plain step does, with every decision on the device."""
        share = Share(0, picked.rows, picked.batch, None)
        line: list[Tensor] = []
        worst: Tensor | None = None
        for name, player in self.players.items():
            before, places = copies(self.buffers), self._buffers()
            figures = means(self.share(player, cast(Step, self.cells), share))
            if self.clip_norm:
                norm = gradient_norm(player.parameters)
                bad = self._whether_bad([figures[OBJECTIVE] + norm])
                clip(player.parameters, norm, self.clip_norm)
            else:
                (gradients,), _ = pieces([each.grad for each in player.parameters if each.grad is not None])
                bad = self._whether_bad([figures[OBJECTIVE], *gradients])
            optimizer = cast(Any, self.state.optimizers[name])
            optimizer.param_groups[0]["lr"] = at(self.learning_rate, cast(Step, self.cells)) * player.learning_rate
            optimizer.step(bad)
            self._settle_buffers(before, places, bad)
            for parameter in player.parameters:
                parameter.grad = None
            self.names[name] = tuple(figures)
            line += [bad, *figures.values()]
            worst = bad if worst is None else torch.maximum(worst, bad)
        said = torch.stack(line).unsqueeze(0)
        if self.said is None:
            self.said = said.new_zeros(WINDOW, said.shape[1])
        self.said.copy_(torch.cat([self.said[1:], said]))
        assert worst is not None
        self._follow_average(worst)

    @torch.no_grad()
    def _whether_bad(self, tensors: list[Tensor]) -> Tensor:
        """1 if any number is not finite, else 0, ``()``."""
        bad = torch.zeros_like(self.one)
        # It multiplies them by one, which changes nothing.
        cast(Any, torch)._amp_foreach_non_finite_check_and_unscale_(tensors, bad, self.one)
        return bad

    @torch.no_grad()
    def _settle_buffers(self, before: list[tuple[nn.Module, str, Tensor]], places: list[Tensor], bad: Tensor) -> None:
        """Buffers where they were before the step, and as they were if it is not taken."""
        for (module, name, value), place in zip(before, places, strict=True):
            now = getattr(module, name)
            place.copy_(torch.where(bad > 0, value, now))
            if now is not place:
                setattr(module, name, place)

    def _follow_average(self, bad: Tensor) -> None:
        if self.state.average is None:
            return
        self.averaged += 1 - bad
        decay = memory(self.averaged).clamp_max(self.state.ema_decay)
        self.state.move_average((1 - decay) * (1 - bad))
