"""What becomes infinite or not a number is caught at its step, named, skipped and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from training_cases import assert_same_run, local_part, metrics, small_digits, small_plan, train

from vaekit import training
from vaekit.data import Dataset, Split, as_dataset
from vaekit.data.batch import Batch
from vaekit.data.loader import Loader, RowSelection
from vaekit.errors import TrainingFailed
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Objective, Value
from vaekit.recipes import Plan
from vaekit.run import checkpointer as checkpointer
from vaekit.schedules import Step
from vaekit.training import Phase
from vaekit.training.loop import MOST_SKIPPED_IN_A_ROW, Training
from vaekit.training.non_finite import MOST_NAMED


@local_part("objective/spoilt")
class Spoilt(Objective):
    """The bound, spoilt at the steps for which a function says so."""

    def __init__(self) -> None:
        self.steps: set[int] = set()
        self.spoil: Callable[[Value], Value] = lambda value: value

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value = ELBO()(model, batch, step)
        return self.spoil(value) if step.index in self.steps else value


def at_row(tensor: Tensor, row: int, value: float) -> Tensor:
    """The tensor with one entry replaced, in a way that has no gradient."""
    spoilt = tensor.clone()
    spoilt[row] = value
    return spoilt


def spoilt_plan(steps: set[int], spoil: Callable[[Value], Value], epochs: int = 2) -> Plan:
    objective = Spoilt()
    objective.steps, objective.spoil = steps, spoil
    return small_plan()._replace(phases=(Phase(objective, epochs),))


def a_term(value: Value) -> Value:
    kl = at_row(value.terms["kl"], -1, float("nan"))
    return Value(value.terms["log_px"] - kl, {**value.terms, "kl": kl})


class Dividing(torch.autograd.Function):
    """The same value, and a gradient that is not a number."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient / 0 - gradient / 0


def a_gradient(value: Value) -> Value:
    return Value(Dividing.apply(value.objective), value.terms)  # type: ignore[arg-type]


def real_data(bad_rows: tuple[int, ...] = ()) -> Dataset:
    """Real vectors; the rows named have an infinite value that no reader has seen."""
    numbers = np.random.RandomState(0)
    splits = [numbers.randn(count, 6).astype(np.float32) for count in (70, 20, 20)]
    data = as_dataset(dict(zip(("train", "validation", "test"), splits, strict=True)))
    x = data.train.x.copy()
    x[list(bad_rows), 2] = np.inf
    return replace(data, train=Split(x))


def warnings_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


def row_of(step: int, place: int) -> int:
    """The row at a place of the batch of a step of the first epoch."""
    loader = Loader(small_digits().train, small_digits().kind, batch_size=16)
    return int(loader.order(0, 0)[16 * step + place])


def test_a_row_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(small_plan(dataset=real_data((41,)), epochs=3), tmp_path / "run", quiet=False)
    assert [line["skipped"] for line in run.metrics] == [1, 2, 3]
    assert all(np.isfinite(line["train_model_objective"]) for line in run.metrics)
    assert run.metrics[-1]["validation_elbo"] > run.metrics[0]["validation_elbo"]
    (warning,) = warnings_of(capsys)
    assert warning.endswith("was skipped: the data itself is not finite in row 41 of the training data.")


def test_a_term_at_one_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(spoilt_plan({2}, a_term), tmp_path / "run", quiet=False)
    assert [line["skipped"] for line in run.metrics] == [1, 1]
    (warning,) = warnings_of(capsys)
    row = row_of(2, 15)
    assert warning == (
        f"warning: step 3 was skipped: kl became infinite or not a number in row {row} of the training data."
    )


def test_several_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(
        spoilt_plan({0}, lambda value: Value(value.objective / 0 * 0, value.terms)),
        tmp_path / "run",
        quiet=False,
    )
    (warning,) = warnings_of(capsys)
    assert warning == (
        "warning: step 1 was skipped: the objective became infinite or not a number in "
        f"row {row_of(0, 0)} of the training data and 15 more rows of its batch."
    )


def test_a_gradient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(spoilt_plan({1}, a_gradient), tmp_path / "run", quiet=False)
    assert run.metrics[-1]["skipped"] == 1
    (warning,) = warnings_of(capsys)
    assert warning.startswith("warning: step 2 was skipped: the gradient of ")
    assert warning.endswith(" of the player 'model' became infinite or not a number.")


def test_a_latent(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small_plan("hvae")
    kind: Any = type(plan.model)
    draw, count = kind.draw, 0

    def spoilt(self: Any, batch: Batch, samples: int = 1) -> Any:
        nonlocal count
        count += 1
        drawn = draw(self, batch, samples)
        if count not in (4, 5):  # the step, and the question what went wrong in it
            return drawn
        z1 = drawn.latents["z1"]
        return drawn.replace(
            latents={**drawn.latents, "z1": z1.replace(divergence=lambda: (z1.kl + float("inf"), None))}
        )

    monkeypatch.setattr(kind, "draw", spoilt)
    run = train(plan, tmp_path / "run", quiet=False)
    assert run.metrics[0]["skipped"] == 1
    (warning,) = warnings_of(capsys)
    assert "step 4 was skipped: kl and kl of the latent z1 became infinite or not a number in row" in warning


@pytest.mark.parametrize("recipe", ["vae", "aae", "vq-vae"])
def test_a_skipped_step_moves_nothing(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, averages of them, and what moves in a forward pass, such as a code book."""
    plan = small_plan(recipe, dataset=real_data((5,)) if recipe != "vq-vae" else infinite_images(), epochs=1)
    take, skipped = Training.take, []

    def compared(self: Training, selection: RowSelection) -> Any:
        def tensors() -> dict[str, Tensor]:
            modules = {"model": self.model, "average": self.state.average}
            return {
                f"{owner}.{name}": tensor.clone()
                for owner, module in modules.items()
                if module is not None
                for name, tensor in module.state_dict().items()
            }

        before, count = tensors(), self.state.counters.skipped
        agreed = take(self, selection)
        if self.state.counters.skipped > count:
            skipped.append(selection)
            for name, tensor in tensors().items():
                assert torch.equal(tensor, before[name]), name
        return agreed

    monkeypatch.setattr(Training, "take", compared)
    run = train(plan, tmp_path / "run", ema_decay=0.5)
    assert len(skipped) == len(plan.phases)  # an epoch each
    assert run.metrics[-1]["skipped"] == len(skipped)
    assert np.isfinite(run.metrics[-1]["validation_log_px"])


def infinite_images() -> Dataset:
    numbers = np.random.RandomState(0)
    splits = [numbers.randn(count, 1, 8, 8).astype(np.float32) for count in (70, 20, 20)]
    data = as_dataset(dict(zip(("train", "validation", "test"), splits, strict=True)))
    x = data.train.x.copy()
    x[5, 0, 2] = np.inf
    return replace(data, train=Split(x))


def test_too_many_in_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "REST", 0.0)
    bad = set(range(12, 200))
    with pytest.raises(TrainingFailed) as failed:
        train(spoilt_plan(bad, a_term, epochs=30), tmp_path / "run", quiet=False)
    assert str(failed.value).startswith(f"{MOST_SKIPPED_IN_A_ROW} steps in a row were not finite: kl became infinite")
    assert str(failed.value).endswith(f"The state at the end of epoch 6 is kept in {tmp_path / 'run'}.")
    first, last = warnings_of(capsys)
    assert first.startswith("warning: step 13 was skipped")
    assert last.startswith("warning: step 32 was skipped")
    run = training.load(tmp_path / "run")
    assert [line["skipped"] for line in run.metrics] == [0, 0, 3, 8, 13, 18]
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())
    # What is wrong is mended, and it goes on from the last good state.
    train(spoilt_plan(set(), a_term, epochs=8), tmp_path / "run", resume=True)
    assert [line["skipped"] for line in metrics(tmp_path / "run")] == [0, 0, 3, 8, 13, 18, 18, 18]


def test_many_but_not_in_a_row(tmp_path: Path) -> None:
    run = train(spoilt_plan(set(range(0, 60, 2)), a_term, epochs=12), tmp_path / "run")
    assert run.metrics[-1]["skipped"] == 30 > MOST_SKIPPED_IN_A_ROW


def test_a_player_that_fails_while_another_does_not(tmp_path: Path) -> None:
    """The critic's steps are finite; the autoencoder's never are: that is in a row all the same."""
    plan = small_plan("aae", epochs=30)
    objective = plan.phases[0].objective
    value = type(objective).__call__

    class Broken(type(objective)):
        def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
            good = value(self, model, batch, step)
            return good._replace(objective=good.objective + float("nan"))

    objective.__class__ = Broken
    with pytest.raises(TrainingFailed, match="20 steps in a row were not finite: the objective became infinite"):
        train(plan, tmp_path / "run")


def test_a_failure_before_the_first_epoch_ends(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"No epoch was finished\."):
        train(spoilt_plan(set(range(100)), a_term, epochs=30), tmp_path / "run", batch_size=2)
    train(spoilt_plan(set(), a_term), tmp_path / "run", batch_size=2, resume=True)
    train(spoilt_plan(set(), a_term), tmp_path / "whole", batch_size=2)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_figures_that_are_never_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few steps for twenty bad ones in a row: it is no success all the same, and no epoch is called the best."""
    plan = small_plan(dataset=real_data(), epochs=3, learning_rate=1e30)
    for attempt in range(2):
        with pytest.raises(
            TrainingFailed, match=r"^after no epoch the validation figures were numbers [(]step 2: "
        ) as told:
            train(plan, tmp_path / "run", resume=bool(attempt), quiet=False)
        assert str(tmp_path / "run") in str(told.value)
    assert [line["kept"] for line in metrics(tmp_path / "run")] == [True, False, False]
    assert all(warning.count(" and ") <= MOST_NAMED for warning in warnings_of(capsys))


def test_an_epoch_of_which_nothing_is_left(tmp_path: Path) -> None:
    run = train(spoilt_plan(set(range(5)), a_term), tmp_path / "run")
    assert "train_model_objective" not in run.metrics[0]
    assert "train_model_objective" in run.metrics[1]


class Validating(nn.Module):
    """As people write it, with torch's default of validated arguments."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, latent_dim)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Independent:
        raw = self.head(x.flatten(1))
        return Independent(Normal(raw, raw.exp()), 1)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_distribution_that_refuses_what_is_no_number(
    compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaekit.acceleration.program.inductor", lambda graph, *_: graph)
    plan = small_plan()
    model: Any = plan.model
    model.posterior = Validating(2)
    plan = plan._replace(phases=(Phase(ELBO(), 3, 1e30),))
    with pytest.raises(TrainingFailed, match="a distribution refuses what it is given: Expected parameter scale"):
        train(plan, tmp_path / "run", compile=compiled)
