"""Device schedules: the values of schedules as numbers on the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.schedules import Schedule, Step


class DeviceSchedules:
    """In place of a :class:`~vaekit.schedules.Step`: a schedule is a number on the device, filled anew for every step.

    Attributes:
        looked_at: whether something was read off the step that is no schedule, and would be recorded as it was then.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.looked_at = False
        self._now = Step()
        self._numbers: dict[Schedule, Tensor] = {}
        self._values: dict[Schedule, float] = {}

    def go_to(self, step: Step) -> None:
        """Fill the numbers of the schedules that have changed."""
        self._now = step
        for schedule, number in self._numbers.items():
            value = schedule(step)
            if value != self._values[schedule]:
                self._values[schedule] = value
                number.fill_(value)

    def of(self, schedule: Schedule) -> Tensor:
        """The number of a schedule, ``()``."""
        if schedule not in self._numbers:
            self._values[schedule] = value = schedule(self._now)
            self._numbers[schedule] = torch.full((), value, device=self.device)
        return self._numbers[schedule]

    def __getattr__(self, name: str) -> Any:
        self.looked_at = True
        return getattr(self._now, name)
