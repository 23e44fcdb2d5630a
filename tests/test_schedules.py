"""Numbers that change in training."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from vaekit.parts.build import build
from vaekit.parts.record import from_document, parts, to_document
from vaekit.schedules import Cosine, Cyclic, Linear, Step, Steps, at


@pytest.mark.parametrize("epoch, expected", [(0, 2.0), (2.5, 3.0), (5, 4.0), (50, 4.0)])
def test_linear(epoch: float, expected: float) -> None:
    assert Linear(2.0, 4.0, epochs=5)(Step(epoch=epoch)) == expected


def test_linear_over_no_epochs_is_its_end() -> None:
    assert Linear(2.0, 4.0, epochs=0)(Step()) == 4.0


@pytest.mark.parametrize(
    "made, match",
    [
        (lambda: Linear(0, 1, epochs=-3), "epochs must be a number from 0, got -3"),
        (lambda: Cyclic(0, 1, epochs=2, ramp=2), "ramp, a part of a period, must be above 0 and at most 1, got 2"),
        (lambda: Cyclic(0, 1, epochs=-2, ramp=-1), "epochs of a schedule must be above 0, got -2"),
        (lambda: Cosine(1, warmup=-1), "warmup must be a number from 0, got -1"),
        (lambda: Steps(1, 0.5, epochs=0), "epochs of a schedule must be above 0, got 0"),
    ],
)
def test_a_length_that_is_none(made: Callable[[], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        made()


@pytest.mark.parametrize("epoch, expected", [(0, 0), (2, 0.5), (4, 1), (9.9, 1), (10, 0), (12, 0.5), (25, 1)])
def test_cyclic(epoch: float, expected: float) -> None:
    assert Cyclic(0.0, 1.0, epochs=10, ramp=0.4)(Step(epoch=epoch)) == pytest.approx(expected)


@pytest.mark.parametrize("epoch, expected", [(0, 0.0), (1, 0.5), (2, 1.0), (6, 0.6), (10, 0.2), (99, 0.2)])
def test_cosine(epoch: float, expected: float) -> None:
    assert Cosine(1.0, 0.2, warmup=2)(Step(epoch=epoch, epochs=10)) == pytest.approx(expected)


def test_cosine_is_half_a_cosine() -> None:
    values = [Cosine(1.0)(Step(epoch=epoch, epochs=8)) for epoch in range(9)]
    assert values == pytest.approx([0.5 * (1 + math.cos(math.pi * epoch / 8)) for epoch in range(9)])


@pytest.mark.parametrize("epoch, expected", [(0, 1.0), (2.9, 1.0), (3, 0.1), (6, 0.01)])
def test_steps(epoch: float, expected: float) -> None:
    assert Steps(1.0, factor=0.1, epochs=3)(Step(epoch=epoch)) == pytest.approx(expected)


def test_a_number_is_its_own_schedule() -> None:
    assert at(0.3, Step(epoch=7)) == 0.3
    assert at(Linear(0, 1, epochs=10), Step(epoch=7)) == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["linear", "cyclic", "cosine", "steps"])
def test_schedules_are_values_that_can_be_written_down(name: str) -> None:
    assert name in parts("schedule")
    numbers = {"start": 1.0, "end": 0.5, "epochs": 4, "factor": 0.5}
    schedule = build("schedule", name, numbers)
    rebuilt = from_document(to_document(schedule))
    assert rebuilt == schedule
    assert rebuilt(Step(epoch=1.5, epochs=8)) == schedule(Step(epoch=1.5, epochs=8))
