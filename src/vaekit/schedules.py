"""Schedules: numbers that change with the training step.

A schedule is a frozen value called with a :class:`Step`. Anything that takes one takes a plain
number as well (:func:`at`). On the command line it is written as a call: ``beta=linear(0,1,epochs=10)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from vaekit.checks import check_number
from vaekit.parts.record import part


class Step(NamedTuple):
    """Where training is.

    Attributes:
        index: number of steps taken before this one.
        epoch: the same in epochs, with a fraction.
        epochs: length of the whole training in epochs.
    """

    index: int = 0
    epoch: float = 0.0
    epochs: float = 1.0

    def of(self, schedule: Schedule) -> float:
        """The value of a schedule here. A step that is recorded has a tensor for it, which is filled anew every time
        that the step is played (:mod:`vaekit.acceleration.capture`).
        """
        return schedule(self)


class Schedule(Protocol):
    """A number for each step."""

    def __call__(self, step: Step) -> float: ...


def at(value: float | Schedule, step: Step) -> float:
    """The value of a number or schedule at a step."""
    return step.of(value) if callable(value) else value


def weighted(weight: float | Tensor, value: Tensor) -> Tensor:
    """weight · value, without a multiplication by one."""
    return value if isinstance(weight, int | float) and weight == 1 else weight * value


def at_least(name: str, value: object, least: float) -> None:
    """Range check of a number, or of a schedule's values.

    Raises:
        ValueError: if a value is neither a schedule nor a number from ``least``.
    """
    if not callable(value):
        check_number(name, value, least)


def positive_epochs(epochs: float) -> None:
    """Range check of a schedule's length.

    Raises:
        ValueError: if a schedule has no length.
    """
    if not epochs > 0:
        raise ValueError(f"the epochs of a schedule must be above 0, got {epochs}")


@part("schedule/linear", paper="Bowman et al. 2016; Sønderby et al. 2016 (warm-up)")
@dataclass(frozen=True)
class Linear:
    """From ``start`` to ``end`` in a straight line over the first ``epochs``, then ``end``.

    >>> Linear(0, 1, epochs=10)(Step(epoch=5))
    0.5
    """

    start: float
    end: float
    epochs: float

    def __post_init__(self) -> None:
        check_number("epochs", self.epochs, 0)

    def __call__(self, step: Step) -> float:
        if step.epoch >= self.epochs:
            return self.end
        return self.start + (self.end - self.start) * step.epoch / self.epochs


@part("schedule/cyclic", paper="Fu et al. 2019")
@dataclass(frozen=True)
class Cyclic:
    """In each period of ``epochs``: from ``start`` to ``end`` over the first part ``ramp`` of it, then ``end``.

    >>> Cyclic(0, 1, epochs=10, ramp=0.5)(Step(epoch=12.5))
    0.5
    """

    start: float
    end: float
    epochs: float
    ramp: float = 0.5

    def __post_init__(self) -> None:
        positive_epochs(self.epochs)
        if not 0 < self.ramp <= 1:
            raise ValueError(f"ramp, a part of a period, must be above 0 and at most 1, got {self.ramp}")

    def __call__(self, step: Step) -> float:
        phase = math.fmod(step.epoch, self.epochs) / (self.epochs * self.ramp)
        return self.start + (self.end - self.start) * min(1.0, phase)


@part("schedule/cosine", paper="Loshchilov & Hutter 2017")
@dataclass(frozen=True)
class Cosine:
    """From ``start`` to ``end`` along half a cosine over the whole training, after ``warmup`` epochs from 0.

    >>> Cosine(1.0, 0.0)(Step(epoch=50, epochs=100))
    0.5
    """

    start: float
    end: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        check_number("warmup", self.warmup, 0)

    def __call__(self, step: Step) -> float:
        if step.epoch < self.warmup:
            return self.start * step.epoch / self.warmup
        progress = min(1.0, (step.epoch - self.warmup) / max(step.epochs - self.warmup, 1e-12))
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


@part("schedule/steps")
@dataclass(frozen=True)
class Steps:
    """``start`` multiplied by ``factor`` after every ``epochs``.

    >>> Steps(1.0, factor=0.5, epochs=10)(Step(epoch=25))
    0.25
    """

    start: float
    factor: float
    epochs: float

    def __post_init__(self) -> None:
        positive_epochs(self.epochs)

    def __call__(self, step: Step) -> float:
        return self.start * self.factor ** math.floor(step.epoch / self.epochs)
