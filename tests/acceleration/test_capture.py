"""Steps that decide on the device are the plain steps; on a GPU they are recorded and played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_cases import (
    SMALL,
    Breaks,
    assert_nearly_the_same,
    assert_same_run,
    local_part,
    metrics,
    plan_of,
    small_digits,
    small_plan,
    spoiled_digits,
    stop_after,
    train,
)

import vaekit as vk
from vaekit import training
from vaekit.acceleration.capture import WARM, CapturedStep
from vaekit.acceleration.device_schedules import DeviceSchedules
from vaekit.data.batch import Batch
from vaekit.errors import Interrupted, TrainingFailed
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Value
from vaekit.schedules import Cosine, Linear, Step, at
from vaekit.training import loop
from vaekit.training.loop import Training

GPU = torch.cuda.is_available()
SETTINGS: list[dict[str, Any]] = [{}, {"clip_norm": 1.0}, {"ema_decay": 0.9}]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """The steps that were taken the new way, wherever they are computed."""
    steps: list[Step] = []
    replay = CapturedStep.replay

    def noted(self: CapturedStep, selection: Any, step: Step) -> None:
        steps.append(step)
        replay(self, selection, step)

    monkeypatch.setattr(loop, "capture", CapturedStep)
    monkeypatch.setattr(CapturedStep, "replay", noted)
    return steps


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "capture", lambda step, say: step)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("recipe", SMALL)
def test_a_run_is_the_one_of_plain_steps(
    recipe: str, settings: dict[str, Any], played: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_plan(recipe), tmp_path / "played", **settings)
    assert played
    plainly(monkeypatch)
    train(small_plan(recipe), tmp_path / "plain", **settings)
    assert_nearly_the_same(tmp_path / "played", tmp_path / "plain")


def test_schedules_are_asked_at_every_step(played: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ELBO(Linear(0, 1, epochs=3)), 4, Cosine(1e-2, warmup=1)
    train(plan_of(*given), tmp_path / "played")
    assert len(played) == 16  # of the 20 steps those of full batches
    plainly(monkeypatch)
    train(plan_of(*given), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "played", tmp_path / "plain")


def test_a_cell_holds_what_its_schedule_says_now() -> None:
    cells, schedule = DeviceSchedules(torch.device("cpu")), Linear(0, 1, epochs=10)
    cells.go_to(Step(epoch=2.0))
    cell: Any = at(schedule, cells)  # type: ignore[arg-type]
    assert at(0.5, cells) == 0.5  # type: ignore[arg-type]
    assert cell.item() == pytest.approx(0.2)
    cells.go_to(Step(epoch=7.0))
    assert at(schedule, cells) is cell  # type: ignore[arg-type]
    assert cell.item() == pytest.approx(0.7)
    assert not cells.looked_at
    assert cells.index == 0
    assert cells.looked_at


@local_part("objective/of-even-steps")
class OfEvenSteps(ELBO):
    """Twice the bound at even steps: it looks at the step itself."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        return Value(value * (1 + step.index % 2), terms)


def test_what_looks_at_the_step_is_not_recorded(
    played: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(plan_of(OfEvenSteps()), tmp_path / "played")
    assert len(played) == 1
    plainly(monkeypatch)
    train(plan_of(OfEvenSteps()), tmp_path / "plain")
    assert_nearly_the_same(tmp_path / "played", tmp_path / "plain")


@pytest.mark.parametrize("recipe", ["vae", "vq-vae"])
def test_a_step_that_is_not_finite_changes_nothing(
    recipe: str, played: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row with the most ink spoils its batch; weights, buffers and means are those of the plain loop."""
    data, objective = spoiled_digits()
    for way in ("played", "plain"):
        if way == "plain":
            plainly(monkeypatch)
        plan = small_plan(recipe, data)
        phases = [training.Phase(objective, 3, 1e-3)]
        training.fit(plan.model, data, phases=phases, out=tmp_path / way, quiet=True, batch_size=16, ema_decay=0.5)
    first, second = metrics(tmp_path / "played"), metrics(tmp_path / "plain")
    assert first[-1]["skipped"] == 3
    assert first[-1]["skipped_cause"] == second[-1]["skipped_cause"]
    assert_nearly_the_same(tmp_path / "played", tmp_path / "plain")


def test_many_in_a_row_end_the_training(played: list[Step], tmp_path: Path) -> None:
    objective = Breaks()
    objective.ink = -1.0
    plan = small_plan(epochs=20)
    with pytest.raises(TrainingFailed, match="20 steps in a row were not finite"):
        training.fit(
            plan.model, plan.data, objective=objective, epochs=20, out=tmp_path / "run", quiet=True, batch_size=16
        )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_goes_on_exactly_where_it_stopped(
    settings: dict[str, Any], played: list[Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ELBO(Linear(0, 1, epochs=3)), 4
    train(plan_of(*given), tmp_path / "whole", **settings)
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(Interrupted):
            train(plan_of(*given), tmp_path / "stopped", **settings)
    train(plan_of(*given), tmp_path / "stopped", resume=True, **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recipe", SMALL)
def test_a_recording_is_the_same_run(
    recipe: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Played from a recording, and by the same kernels asked for one by one: bit for bit."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    settings = {"precision": precision, "ema_decay": 0.9, "device": "cuda"}
    train(small_plan(recipe, epochs=3), tmp_path / "recorded", **settings)
    monkeypatch.setattr("vaekit.acceleration.capture.WARM", 10**9)
    train(small_plan(recipe, epochs=3), tmp_path / "asked", **settings)
    assert_same_run(tmp_path / "recorded", tmp_path / "asked")


@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize("recipe", sorted(SMALL.keys() - {"aae"}))  # torch's Normal.sample waits for the GPU
def test_recipes_are_recorded(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Any] = []
    record = CapturedStep._record

    def noted(self: CapturedStep, selection: Any) -> Any:
        graphs.append(record(self, selection))
        return graphs[-1]

    monkeypatch.setattr(CapturedStep, "_record", noted)
    train(small_plan(recipe), tmp_path / "run", device="cuda")
    assert graphs
    assert None not in graphs


@local_part("objective/waits")
class Waits(ELBO):
    """It asks the device for a number once the recording has begun."""

    calls = 0

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        Waits.calls += 1
        if Waits.calls > WARM:
            value.sum().item()
        return Value(value, terms)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_a_recording_that_breaks_off_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Waits.calls = 0
    train(plan_of(Waits()), tmp_path / "waits", device="cuda")
    plainly(monkeypatch)
    train(plan_of(ELBO()), tmp_path / "plain", device="cuda")
    assert_nearly_the_same(tmp_path / "waits", tmp_path / "plain")
    assert vk.training.Run(tmp_path / "waits", small_digits()).evaluate(samples=5)["nll"] > 0


def test_what_a_broken_recording_made_is_forgotten(tmp_path: Path) -> None:
    """The buffers are where and what they were, however the recording has replaced them; no gradient is left."""
    plan = small_plan("vq-vae")
    settings = training.Settings(batch_size=16, device="cpu")
    plain = Training(plan.model, plan.data, plan.phases, settings, tmp_path, quiet=True).plain_step(plan.phases[0])
    replay = CapturedStep(plain)
    replay.places_of_buffers = places = replay.step.buffers_now()
    values = [place.clone() for place in places]
    for module, name in replay.step.buffers:
        setattr(module, name, torch.full_like(getattr(module, name), torch.nan))
    for parameter in plan.model.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    replay._forget()
    assert places
    assert all(now is place for now, place in zip(replay.step.buffers_now(), places, strict=True))
    assert all(torch.equal(place, value) for place, value in zip(places, values, strict=True))
    assert all(parameter.grad is None for player in replay.step.players.values() for parameter in player.parameters)
