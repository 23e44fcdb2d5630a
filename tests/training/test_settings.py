"""What a training decides where nothing was said."""

from __future__ import annotations

from typing import Any

import pytest
from training_cases import plan_of

from vaekit import training
from vaekit.errors import UserError
from vaekit.objectives import ELBO
from vaekit.training.settings import SAVED_BY_STEP, WORTH, Settings, settled


@pytest.fixture(autouse=True)
def accelerated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is about steps that may be captured, whatever this run of the tests does."""
    monkeypatch.delenv("VAEKIT_ACCELERATION", raising=False)


MANY_STEPS = int(WORTH / SAVED_BY_STEP) + 1  # of a model so small that only the calls of Python count


def compiled(
    settings: Settings, steps: int = MANY_STEPS, numbers: int = 0, processes: int = 1, on: str = "cpu", **recorded: Any
) -> bool:
    chosen = settled(settings, recorded, processes=processes, steps=steps, numbers=numbers, on=on).compile
    assert chosen is not None
    return chosen


def test_long_trainings_are_compiled() -> None:
    assert compiled(Settings())
    assert not compiled(Settings(), steps=MANY_STEPS - 2)


def test_the_work_of_a_step_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(Settings(), steps=100 * 391, numbers=820_000 + 128 * 784)  # a VAE of MNIST, 100 epochs
    assert not compiled(Settings(), steps=200 * 85, numbers=13_492 + 32 * 21)  # a table of 3,400 rows, 200 epochs
    monkeypatch.setenv("VAEKIT_ACCELERATION", "off")
    assert not compiled(Settings())


def test_who_says_so_is_obeyed() -> None:
    assert compiled(Settings(compile=True), steps=1)
    assert not compiled(Settings(compile=False))


@pytest.mark.parametrize(
    "settings",
    [Settings(accumulate=2), Settings(optimizer="sgd"), Settings(precision="float16")],
    ids=["shares", "another optimiser", "scaled gradients"],
)
def test_what_cannot_be_compiled_is_left_alone(settings: Settings) -> None:
    assert not compiled(settings)


def test_neither_a_gpu_nor_several_processes_compile_by_themselves() -> None:
    assert not compiled(Settings(), on="cuda")
    assert not compiled(Settings(), processes=2)


def test_a_run_goes_on_as_it_is_recorded() -> None:
    assert not compiled(Settings(), compile=False)
    assert compiled(Settings(), steps=1, compile=True)
    assert settled(Settings(), {"accumulate": 4}, processes=2, steps=1, numbers=0, on="cpu").accumulate == 4
    assert settled(Settings(), {}, processes=2, steps=1, numbers=0, on="cpu").accumulate == 2
    assert settled(Settings(accumulate=6), {"accumulate": 4}, processes=2, steps=1, numbers=0, on="cpu").accumulate == 6


def test_the_choice_is_written_down(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is given more epochs stays as it began."""
    monkeypatch.setattr("vaekit.acceleration.program.inductor", lambda graph, *_: graph)
    monkeypatch.setattr("vaekit.training.settings.WORTH", 10 * SAVED_BY_STEP)

    def epochs(count: int, **options: Any) -> Any:
        plan = plan_of(ELBO(), epochs=count)  # five steps an epoch
        given = {"batch_size": 16, "device": "cpu", "quiet": True, "resume": True, **options}
        run = training.fit(plan.model, plan.data, phases=plan.phases, out=tmp_path / "run", **given)
        return run.config["settings"]["compile"]

    assert epochs(1) is False
    assert epochs(2) is False
    with pytest.raises(UserError, match="was started with --compile False, and not True"):
        epochs(2, compile=True)
    plan = plan_of(ELBO(), epochs=2)
    run = training.fit(plan.model, plan.data, phases=plan.phases, out=tmp_path / "long", batch_size=16, quiet=True)
    assert run.config["settings"]["compile"] is True
