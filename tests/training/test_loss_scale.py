"""Training in half precision: gradients that would be lost are kept, and those that overflow cost a step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_cases import SMALL, local_part, metrics, small_plan, train

from vaekit.data.batch import Batch
from vaekit.errors import TrainingFailed
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Value
from vaekit.recipes import Plan
from vaekit.run.state import Counters
from vaekit.schedules import Step
from vaekit.training import Phase, Settings
from vaekit.training import loss_scale as module
from vaekit.training.loop import Training
from vaekit.training.loss_scale import START, LossScale


def plan_of(objective: ELBO, epochs: int = 1) -> Plan:
    return small_plan()._replace(phases=(Phase(objective, epochs, 1e-3),))


@local_part("objective/times")
@dataclass(frozen=True)
class Times(ELBO):
    """The bound, many times as large or as small."""

    factor: float = 1.0

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        return Value(self.factor * value, terms)


def training_of(plan: Plan, folder: Path, **settings: Any) -> Training:
    given = Settings(batch_size=16, device="cpu", **settings)
    loop = Training(plan.model, plan.data, plan.phases, given, folder, quiet=True)
    loop.step = loop.plain_step(plan.phases[0])
    return loop


def gradients(loop: Training) -> list[Tensor]:
    """Those of the next step, before it is taken; none if it is not."""
    found: list[Tensor] = []
    optimizer: Any = loop.state.optimizers["model"]
    parameters = loop.step.context.players["model"].parameters
    optimizer.step = lambda: found.extend(p.grad.clone() for p in parameters if p.grad is not None)
    torch.manual_seed(1)
    loop.take(next(loop.batches.epoch(0, 0)))
    return found


class TestFactor:
    def test_halved_at_once_and_doubled_after_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PATIENCE", 3)
        counters = Counters()
        scale = LossScale(counters)
        values = []
        for fitted in (False, True, True, False, True, True, True, True, True, True):
            scale.update(fitted)
            values.append(scale.value / START)
        assert values == [1 / 2, 1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1]
        assert LossScale(counters).value == START  # as after a resume

    def test_never_less_than_one(self) -> None:
        scale = LossScale(Counters())
        for _ in range(30):
            scale.update(fitted=False)
        assert scale.value == 1
        assert not scale.may_have_overflowed

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    def test_only_for_half_precision(self, precision: str, tmp_path: Path) -> None:
        assert training_of(plan_of(ELBO()), tmp_path, precision=precision).step.context.loss_scale is None

    def test_undone_to_the_last_bit(self) -> None:
        layer = nn.Linear(5, 3)
        gradient = torch.randn(3, 5)
        layer.weight.grad = gradient * START
        norm = LossScale(Counters()).undo([*layer.parameters()], torch.tensor(3 * START))
        assert torch.equal(layer.weight.grad, gradient)
        assert norm == 3


@pytest.mark.parametrize("factor", [1.0, 1e-5, 300.0])
def test_gradients_are_those_of_float32(factor: float, tmp_path: Path) -> None:
    """Also where, unscaled, most would be rounded to nothing (a hundred-thousandth of the bound)."""
    exact = gradients(training_of(plan_of(Times(factor=factor)), tmp_path))
    loop = training_of(plan_of(Times(factor=factor)), tmp_path, precision="float16")
    found: list[Tensor] = []
    for _ in range(17):
        if found := gradients(loop):
            break
    assert loop.step.context.loss_scale.value == START or factor > 1
    for one, other in zip(found, exact, strict=True):
        assert (one - other).norm() < 0.01 * other.norm()


def test_an_overflow_costs_a_step_and_nothing_else(tmp_path: Path) -> None:
    plan = plan_of(Times(factor=300.0))
    loop = training_of(plan, tmp_path, precision="float16", ema_decay=0.9)
    before = {name: value.clone() for name, value in plan.model.state_dict().items()}
    loop.take(next(loop.batches.epoch(0, 0)))
    counters = loop.state.counters
    assert counters.scale == START / 2
    assert (counters.skipped, counters.skipped_in_a_row, counters.averaged, counters.step) == (0, 0, 0, 1)
    assert all(torch.equal(value, before[name]) for name, value in plan.model.state_dict().items())
    assert not loop.state.means()
    assert all(parameter.grad is None for parameter in plan.model.parameters())


@pytest.mark.parametrize("recipe", sorted(SMALL))
def test_recipes_train(recipe: str, tmp_path: Path) -> None:
    """Every step is taken, and the figures are those of float32 to the rounding of half precision."""
    train(small_plan(recipe), tmp_path / "half", precision="float16", device="cpu")
    train(small_plan(recipe), tmp_path / "whole", device="cpu")
    for half, whole in zip(metrics(tmp_path / "half"), metrics(tmp_path / "whole"), strict=True):
        assert half["skipped"] == 0
        assert half["validation_log_px"] == pytest.approx(whole["validation_log_px"], rel=0.02)


@pytest.mark.parametrize(
    "posterior",
    ["cholesky", "coupling", "householder", "inverse-autoregressive", "low-rank", "rank-one"],
)
def test_posteriors_train(posterior: str, tmp_path: Path) -> None:
    run = train(small_plan(posterior=posterior), tmp_path / "half", precision="float16", device="cpu")
    assert [line["skipped"] for line in run.metrics] == [0, 0]
    assert np.isfinite([line["validation_elbo"] for line in run.metrics]).all()


@local_part("objective/broken")
class Broken(ELBO):
    """It is no number, or (``by_gradient``) its gradient is none."""

    by_gradient = False

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        return Value(value + ((value * 0).sqrt() if self.by_gradient else torch.nan), terms)


class ByGradient(Broken):
    by_gradient = True


def test_what_is_no_overflow_is_named_at_once(tmp_path: Path) -> None:
    loop = training_of(plan_of(Broken()), tmp_path, precision="float16")
    said: list[str] = []
    loop._skip = lambda cause, step: said.append(cause)
    loop.take(next(loop.batches.epoch(0, 0)))
    assert len(said) == 1
    assert said[0].startswith("the objective became infinite or not a number in row")
    assert loop.step.context.loss_scale.value == START


def test_what_no_factor_helps_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"the gradient of .* became infinite or not a number"):
        train(plan_of(ByGradient(), epochs=20), tmp_path / "run", precision="float16", device="cpu")
