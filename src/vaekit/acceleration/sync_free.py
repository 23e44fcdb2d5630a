"""Step without host–device synchronisation: every decision is made on the device."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from vaekit.acceleration.device_schedules import DeviceSchedules
from vaekit.data.batch import Batch
from vaekit.data.loader import RowSelection
from vaekit.kernels.buffers import Snapshot, snapshot
from vaekit.kernels.chunks import chunks
from vaekit.kernels.noise import same_noise_after
from vaekit.schedules import Step, at

WINDOW = 20  # steps between two looks at their metrics

Metrics = dict[str, dict[str, float] | None]


class SyncFreeStep:
    """Takes the step that the plain one would take, or none where it is not finite, and writes down which.

    Args:
        plain: the plain step: its context, and a player's value with its gradient. The optimisers' steps must take a
            flag on the device for steps that are not taken.

    Attributes:
        schedules: the step that it is, for the schedules.
        told: metrics of the last steps, ``(WINDOW, numbers)``; ``None`` before the first.
        averaged: steps in the running average of the weights, ``()``.
    """

    def __init__(self, plain: Any) -> None:
        context = plain.context
        self.plain, self.state, self.players = plain, context.state, context.players
        self.model, self.buffers = context.model, context.buffers
        self.learning_rate, self.clip_norm = context.learning_rate, context.settings.clip_norm
        self.device = next(self.model.parameters()).device
        self.schedules = DeviceSchedules(self.device)
        self.told: Tensor | None = None
        self.averaged = torch.zeros((), device=self.device)
        self._one = torch.ones((), device=self.device)
        self._names: dict[str, tuple[str, ...]] = {}

    def __call__(self, rows: Tensor, batch: Batch) -> None:
        part, now = self.plain.part(rows, batch), cast(Step, self.schedules)
        line: list[Tensor] = []
        worst: Tensor | None = None
        for name, player in self.players.items():
            before, places = snapshot(self.buffers), self.buffers_now()
            figures = self.plain.means(self.plain.backward(player, now, part))
            objective = next(iter(figures.values()))
            if self.clip_norm:
                norm = self.plain.norm(player.parameters)
                bad = self._whether_bad([objective + norm])
                self.plain.clip(player.parameters, norm, self.clip_norm)
            else:
                (gradients,), _ = chunks([each.grad for each in player.parameters if each.grad is not None])
                bad = self._whether_bad([objective, *gradients])
            optimizer = cast(Any, self.state.optimizers[name])
            optimizer.param_groups[0]["lr"] = at(self.learning_rate, now) * player.learning_rate
            optimizer.step(bad)
            self._settle_buffers(before, places, bad)
            for parameter in player.parameters:
                parameter.grad = None
            self._names[name] = tuple(figures)
            line += [bad, *figures.values()]
            worst = bad if worst is None else torch.maximum(worst, bad)
        told = torch.stack(line).unsqueeze(0)
        if self.told is None:
            self.told = told.new_zeros(WINDOW, told.shape[1])
        self.told.copy_(torch.cat([self.told[1:], told]))
        assert worst is not None
        self._update_average(worst)

    def last(self, steps: int) -> list[Metrics]:
        """Metrics of each of the last steps: of each player by name, or ``None`` where it did not step."""
        assert self.told is not None
        return [self._metrics(line) for line in self.told[-steps:].tolist()]

    def _metrics(self, line: list[float]) -> Metrics:
        found: Metrics = {}
        numbers = iter(line)
        for player, names in self._names.items():
            bad, *values = (next(numbers) for _ in range(1 + len(names)))
            found[player] = None if bad else dict(zip(names, values, strict=True))
        return found

    def cause(self, selection: RowSelection, metrics: Metrics) -> str:
        """Why a step was not taken, as far as its rows and the weights of now can tell."""
        places = self.buffers_now()
        with same_noise_after(self.device):
            part = self.plain.part(selection.rows, selection.batch)
            name = next(name for name, told in metrics.items() if told is None)
            before = snapshot(self.buffers)
            value = self.plain.backward(self.players[name], cast(Step, self.schedules), part)
            words = self.plain.cause(name, part, value)
        self._settle_buffers(before, places, torch.ones((), device=self.device))
        self.forget_gradients()
        return words

    def moved(self) -> list[Tensor]:
        """What a step writes to."""
        told = [] if self.told is None else [self.told]
        return [*self.of_optimizers(), *self.of_modules(), self.averaged, *told]

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
    def _settle_buffers(self, before: Snapshot, places: list[Tensor], bad: Tensor) -> None:
        """Buffers where they were before the step, and as they were if it is not taken."""
        for (module, name, value), place in zip(before, places, strict=True):
            now = getattr(module, name)
            place.copy_(torch.where(bad > 0, value, now))
            if now is not place:
                setattr(module, name, place)

    def _update_average(self, bad: Tensor) -> None:
        if self.state.average is None:
            return
        self.averaged += 1 - bad
        decay = self.state.largest_decay(self.averaged).clamp_max(self.state.ema_decay)
        self.state.move_average((1 - decay) * (1 - bad))
