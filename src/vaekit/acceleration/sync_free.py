"""A step without a word to the processor in between: every decision is made on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from vaekit.acceleration.device_schedules import DeviceSchedules
from vaekit.data.batch import Batch
from vaekit.data.loader import RowSelection
from vaekit.distributed.microbatches import OBJECTIVE, Microbatch, means
from vaekit.kernels.chunks import pieces
from vaekit.kernels.noise import same_noise_after
from vaekit.objectives.objective import Player, Value
from vaekit.run.state import State, memory
from vaekit.schedules import Schedule, Step, at
from vaekit.training.finite import clip, copies, gradient_norm, name_the_cause

WINDOW = 20  # steps between two looks at what they said

Figures = dict[str, dict[str, float] | None]


class SyncFreeStep:
    """Takes the step that a plain one would take, or none where it is not finite, and writes down which.

    Args:
        model: the model; buffers that a step moves are moved where they are.
        players: who steps, in turn.
        state: with their optimisers, which must know steps that are not taken.
        microbatch: a player's value of a microbatch of a batch, and its gradient.
        learning_rate: of the phase.
        clip_norm: as of the settings.
        buffers: owners and names of the buffers.

    Attributes:
        schedules: the step that it is, for the schedules.
        said: what the last steps said, ``(WINDOW, numbers)``; ``None`` before the first.
        averaged: steps in the running average of the weights, ``()``.
    """

    def __init__(
        self,
        model: nn.Module,
        players: Mapping[str, Player],
        state: State,
        microbatch: Callable[[Player, Step, Microbatch], Value],
        learning_rate: float | Schedule,
        clip_norm: float,
        buffers: list[tuple[nn.Module, str]],
    ) -> None:
        self.model, self.players, self.state, self.microbatch = model, players, state, microbatch
        self.learning_rate, self.clip_norm, self.buffers = learning_rate, clip_norm, buffers
        self.device = next(model.parameters()).device
        self.schedules = DeviceSchedules(self.device)
        self.said: Tensor | None = None
        self.averaged = torch.zeros((), device=self.device)
        self._one = torch.ones((), device=self.device)
        self._names: dict[str, tuple[str, ...]] = {}

    def __call__(self, rows: Tensor, batch: Batch) -> None:
        microbatch = Microbatch(0, rows, batch, None)
        line: list[Tensor] = []
        worst: Tensor | None = None
        for name, player in self.players.items():
            before, places = copies(self.buffers), self.buffers_now()
            figures = means(self.microbatch(player, cast(Step, self.schedules), microbatch))
            if self.clip_norm:
                norm = gradient_norm(player.parameters)
                bad = self._whether_bad([figures[OBJECTIVE] + norm])
                clip(player.parameters, norm, self.clip_norm)
            else:
                (gradients,), _ = pieces([each.grad for each in player.parameters if each.grad is not None])
                bad = self._whether_bad([figures[OBJECTIVE], *gradients])
            optimizer = cast(Any, self.state.optimizers[name])
            optimizer.param_groups[0]["lr"] = at(self.learning_rate, cast(Step, self.schedules)) * player.learning_rate
            optimizer.step(bad)
            self._settle_buffers(before, places, bad)
            for parameter in player.parameters:
                parameter.grad = None
            self._names[name] = tuple(figures)
            line += [bad, *figures.values()]
            worst = bad if worst is None else torch.maximum(worst, bad)
        said = torch.stack(line).unsqueeze(0)
        if self.said is None:
            self.said = said.new_zeros(WINDOW, said.shape[1])
        self.said.copy_(torch.cat([self.said[1:], said]))
        assert worst is not None
        self._follow_average(worst)

    def last(self, steps: int) -> list[Figures]:
        """What each of the last steps said: the figures of each player by name, or ``None`` where it did not step."""
        assert self.said is not None
        return [self._figures(line) for line in self.said[-steps:].tolist()]

    def _figures(self, line: list[float]) -> Figures:
        told: Figures = {}
        numbers = iter(line)
        for player, names in self._names.items():
            bad, *values = (next(numbers) for _ in range(1 + len(names)))
            told[player] = None if bad else dict(zip(names, values, strict=True))
        return told

    def cause(self, selection: RowSelection, figures: Figures) -> str:
        """Why a step was not taken, as far as its rows and the weights of now can tell."""
        places = self.buffers_now()
        with same_noise_after(self.device):
            microbatch = Microbatch(0, selection.rows, selection.batch, None)
            name = next(name for name, told in figures.items() if told is None)
            before = copies(self.buffers)
            value = self.microbatch(self.players[name], cast(Step, self.schedules), microbatch)
            words = name_the_cause(self.model, microbatch.batch, value, microbatch.rows, name)
        self._settle_buffers(before, places, torch.ones((), device=self.device))
        self.forget_gradients()
        return words

    def moved(self) -> list[Tensor]:
        """What a step writes to."""
        said = [] if self.said is None else [self.said]
        return [*self.of_optimizers(), *self.of_modules(), self.averaged, *said]

    def of_optimizers(self) -> list[Tensor]:
        states = [state for optimizer in self.state.optimizers.values() for state in optimizer.state.values()]
        return [each for state in states for each in state.values() if isinstance(each, Tensor)]

    def of_modules(self) -> list[Tensor]:
        modules = [self.model, *self.state.networks, *([] if self.state.average is None else [self.state.average])]
        tensors = [each for module in modules for each in (*module.parameters(), *module.buffers())]
        return [*{id(each): each for each in tensors}.values()]

    def buffers_now(self) -> list[Tensor]:
        return [getattr(module, name) for module, name in self.buffers]

    def forget_gradients(self) -> None:
        for player in self.players.values():
            for parameter in player.parameters:
                parameter.grad = None

    @torch.no_grad()
    def _whether_bad(self, tensors: list[Tensor]) -> Tensor:
        """1 if any number is not finite, else 0, ``()``."""
        bad = torch.zeros_like(self._one)
        # It multiplies them by one, which changes nothing.
        cast(Any, torch)._amp_foreach_non_finite_check_and_unscale_(tensors, bad, self._one)
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
