"""What the loop does with rows, epochs, rates, averages and figures, against the same by hand."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from training_cases import assert_same_run, local_part, log_px, metrics, small_digits, small_plan, train

from vaekit import training
from vaekit.cli import main
from vaekit.data import Dataset, Split
from vaekit.data.batch import Batch
from vaekit.data.kinds import Counts
from vaekit.data.loader import Loader, RowSelection
from vaekit.errors import UserError
from vaekit.evaluation import bound, evaluate
from vaekit.kernels import flushing_denormals
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Objective, Value
from vaekit.recipes import Plan
from vaekit.schedules import Cosine, Linear, Schedule, Step, Steps, at
from vaekit.training import Phase, Settings
from vaekit.training.loop import Training

MODULE = importlib.import_module("vaekit.training.loop")


RISING = Linear(0, 1, epochs=1)


@local_part("objective/reconstruction-only")
class Reconstruction(Objective):
    """log p(x|z) at the posterior's mean: nothing in it is random."""

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        log_px = model.decode(model.encode(batch.x).mean).log_prob(batch.x)
        return Value(log_px, {"twice": 2 * log_px, "constant": torch.tensor(3.0)})


class Watched:
    """What the loop's steps were given, and what they did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[list[int]] = []
        self.x: list[Tensor] = []
        self.rates: list[float] = []
        self.weights: list[dict[str, Tensor]] = []
        take = Training.take

        def watched_take(loop: Training, selection: RowSelection) -> Any:
            seen: list[Batch] = []

            def watched_make(rows: Tensor, stored: Tensor) -> Batch:
                seen.append(selection.make(rows, stored))
                return seen[-1]

            agreed = take(loop, selection._replace(make=watched_make))
            self.rows.append(selection.rows.tolist())
            self.x.append(seen[0].x)
            self.rates += [optimizer.param_groups[0]["lr"] for optimizer in loop.state.optimizers.values()]
            self.weights.append({name: w.detach().clone() for name, w in loop.model.named_parameters()})
            return agreed

        monkeypatch.setattr(Training, "take", watched_take)

    def epoch(self, number: int, steps: int = 5) -> list[int]:
        """The rows of an epoch, in their order."""
        return [row for rows in self.rows[number * steps : (number + 1) * steps] for row in rows]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def one_phase(objective: Objective | None = None, dataset: Dataset | None = None, **options: Any) -> Plan:
    phase = Phase(objective or ELBO(), **({"epochs": 2} | options))  # pyright: ignore[reportArgumentType]
    return small_plan(dataset=dataset)._replace(phases=(phase,))


class TestRows:
    def test_an_epoch_is_every_row_once_and_the_last_batch_is_the_rest(self, watched: Watched, tmp_path: Path) -> None:
        train(small_plan(epochs=3), tmp_path / "run")
        assert [len(rows) for rows in watched.rows] == [16, 16, 16, 16, 6] * 3
        epochs = [watched.epoch(epoch) for epoch in range(3)]
        assert [sorted(epoch) for epoch in epochs] == [list(range(70))] * 3
        assert len({tuple(epoch) for epoch in [*epochs, range(70)]}) == 4

    def test_the_order_is_of_seed_and_epoch_alone(self) -> None:
        torch.manual_seed(1)
        one = Loader(small_digits().train, small_digits().kind, batch_size=16)
        other = Loader(Split(np.zeros((70, 3))), small_digits().kind, batch_size=7)
        orders = {(seed, epoch): one.order(seed, epoch).tolist() for seed in range(3) for epoch in range(3)}
        torch.manual_seed(2)
        for (seed, epoch), order in orders.items():
            assert other.order(seed, epoch).tolist() == order
        assert len({tuple(order) for order in orders.values()}) == 9

    def test_rows_of_an_order_of_their_own_come_as_often_as_they_are_listed(
        self, watched: Watched, tmp_path: Path
    ) -> None:
        plan = small_plan("m2")
        assert plan.data.train.order is not None
        train(plan, tmp_path / "run")
        first = watched.epoch(0, len(watched.rows) // 2)
        assert sorted(first) == sorted(plan.data.train.order.tolist())

    def test_a_batch_larger_than_the_data_is_all_of_it(self, watched: Watched, tmp_path: Path) -> None:
        train(small_plan(), tmp_path / "large", batch_size=10_000)
        assert [len(rows) for rows in watched.rows] == [70, 70]
        train(small_plan(), tmp_path / "equal", batch_size=70)
        assert metrics(tmp_path / "large") == metrics(tmp_path / "equal")

    def test_a_memory_mapped_file_trains_the_same_model(self, tmp_path: Path) -> None:
        data = small_digits()

        def mapped(split: Split, name: str) -> Split:
            np.save(tmp_path / name, split.x)
            return split._replace(x=np.load(tmp_path / name, mmap_mode="r"))

        in_file = replace(
            data, train=mapped(data.train, "train.npy"), validation=mapped(data.validation, "validation.npy")
        )
        assert Loader(in_file.train, data.kind).mapped
        assert not Loader(data.train, data.kind).mapped
        train(small_plan(dataset=data), tmp_path / "resident")
        train(small_plan(dataset=in_file), tmp_path / "mapped")
        assert_same_run(tmp_path / "mapped", tmp_path / "resident")

    def test_batches_of_a_mapped_file_keep_the_order_asked_for_and_repeats(self, tmp_path: Path) -> None:
        x = np.arange(60, dtype=np.float32).reshape(20, 3)
        np.save(tmp_path / "x.npy", x)
        kind = Counts()
        asked = torch.tensor([7, 3, 19, 3, 0])
        for array in (x, np.load(tmp_path / "x.npy", mmap_mode="r")):
            assert np.array_equal(Loader(Split(array), kind).rows(asked).x.numpy(), x[asked])

    def test_dynamic_binarisation_is_new_in_every_epoch_and_validation_is_not(
        self, watched: Watched, tmp_path: Path
    ) -> None:
        train(small_plan(epochs=3, learning_rate=0.0), tmp_path / "run")
        seen = []
        for epoch in range(3):
            rows = watched.epoch(epoch)
            seen.append(torch.cat(watched.x[5 * epoch : 5 * epoch + 5])[torch.tensor(rows).argsort()])
        probability = torch.from_numpy(small_digits().train.x).float() / 16
        for x in seen:
            assert x.unique().tolist() == [0, 1]
            assert torch.equal(x[probability == 0], torch.zeros(int((probability == 0).sum())))
            assert torch.equal(x[probability == 1], torch.ones(int((probability == 1).sum())))
        assert not torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[1], seen[2])
        lines = metrics(tmp_path / "run")
        # The model does not move: what is left is the noise of the figures, and it is the same each time.
        assert len({line["validation_elbo"] for line in lines}) == 1
        assert len({line["train_model_objective"] for line in lines}) == 3


class TestFigures:
    def test_training_means_are_over_rows_and_not_over_batches(self, tmp_path: Path) -> None:
        data = small_digits(70, "none")
        plan = one_phase(Reconstruction(), data, learning_rate=0.0)
        train(plan, tmp_path / "run")
        with torch.no_grad():
            x = torch.from_numpy(data.train.x).float() / 16
            expected = log_px(plan, x).mean().item()
        for line in metrics(tmp_path / "run"):
            assert line["train_model_objective"] == pytest.approx(expected, rel=1e-6)
            assert line["train_twice"] == pytest.approx(2 * expected, rel=1e-6)
            assert line["train_constant"] == 3.0

    def test_validation_figures_are_the_bound_of_the_weights_at_the_end_of_the_epoch(
        self, watched: Watched, tmp_path: Path
    ) -> None:
        plan = small_plan()
        run = train(plan, tmp_path / "run", seed=5)
        loader = Loader(plan.data.validation, plan.data.kind, batch_size=500)
        for line, weights in zip(run.metrics, (watched.weights[4], watched.weights[9]), strict=True):
            plan.model.load_state_dict(weights, strict=False)
            figures = bound(plan.model, loader, seed=5)
            assert {name: line[f"validation_{name}"] for name in figures} == figures
            assert figures["elbo"] == pytest.approx(figures["log_px"] - figures["kl"], rel=1e-5)

    def test_terms_add_up(self, tmp_path: Path) -> None:
        run = train(small_plan(objective="elbo:beta=0.5"), tmp_path / "run")
        for line in run.metrics:
            expected = line["train_log_px"] - 0.5 * line["train_kl"]
            assert line["train_model_objective"] == pytest.approx(expected, rel=1e-5)

    def test_what_a_line_says_beside(self, tmp_path: Path) -> None:
        run = train(small_plan("vq-vae", learning_rate=Linear(0, 0.01, epochs=2)), tmp_path / "run")
        assert [line["epoch"] for line in run.metrics] == [1, 2, 3, 4]
        assert [line["phase"] for line in run.metrics] == [0, 0, 1, 1]
        assert [line["learning_rate"] for line in run.metrics] == pytest.approx([0.005, 0.01] * 2)
        assert [line["skipped"] for line in run.metrics] == [0] * 4
        seconds = [line["seconds"] for line in run.metrics]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0

    def test_talk_goes_to_stderr_and_quiet_is_quiet(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        train(small_plan(), tmp_path / "quiet")
        assert capsys.readouterr() == ("", "")
        train(small_plan(), tmp_path / "loud", quiet=False)
        said = capsys.readouterr()
        assert said.out == ""
        assert [line.split()[:2] for line in said.err.splitlines()] == [["epoch", "1"], ["epoch", "2"]]


class TestSteps:
    @pytest.mark.parametrize(
        "schedule",
        [0.01, Linear(0, 0.01, epochs=1.5), Cosine(0.01, 0.001, warmup=0.3), Steps(0.01, factor=0.5, epochs=0.5)],
    )
    def test_the_learning_rate_follows_its_schedule(
        self, schedule: float | Schedule, watched: Watched, tmp_path: Path
    ) -> None:
        train(small_plan(learning_rate=schedule), tmp_path / "run")
        expected = [at(schedule, Step(index, index / 5, 2)) for index in range(10)]
        assert watched.rates == pytest.approx(expected, rel=1e-12)

    def test_the_objective_is_told_where_training_is(self, tmp_path: Path) -> None:
        steps: list[Step] = []

        @local_part("objective/listening")
        class Listening(Reconstruction):
            def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
                steps.append(step)
                return super().__call__(model, batch, step)

        train(one_phase(Listening(), small_digits(70, "none")), tmp_path / "run")
        assert [step.index for step in steps] == list(range(10))
        assert [step.epoch for step in steps] == pytest.approx([index / 5 for index in range(10)])
        assert {step.epochs for step in steps} == {2}

    @pytest.mark.parametrize("clip_norm", [0.0, 0.25, 1e6])
    def test_the_norm_of_a_gradient_is_clipped(self, clip_norm: float, watched: Watched, tmp_path: Path) -> None:
        """One step of plain gradient descent is as long as the gradient times the rate."""
        data = small_digits(16, "none")
        plan = one_phase(Reconstruction(), data, epochs=1, learning_rate=1e-3)
        before = torch.cat([w.detach().clone().flatten() for w in plan.model.parameters()])
        x = torch.from_numpy(data.train.x).float() / 16
        weights = [w for w in plan.model.parameters() if w.requires_grad]
        loss = log_px(plan, x).mean()
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        full = torch.cat([g.flatten() for g in gradients if g is not None]).norm().item()
        assert full > 1
        train(plan, tmp_path / "run", optimizer="sgd", clip_norm=clip_norm)
        after = torch.cat([w.flatten() for w in watched.weights[0].values()])
        length = (after - before).norm().item() / 1e-3
        assert length == pytest.approx(min(full, clip_norm or math.inf), rel=1e-2)

    def test_the_average_of_the_weights_is_kept_and_evaluated(self, watched: Watched, tmp_path: Path) -> None:
        plan = small_plan(learning_rate=0.01)
        average = {name: w.detach().clone() for name, w in plan.model.named_parameters()}
        train(plan, tmp_path / "run", ema_decay=0.7, keep_best=False)
        for steps, weights in enumerate(watched.weights, start=1):
            decay = min(0.7, (1 + steps) / (10 + steps))
            for name, value in weights.items():
                average[name] = decay * average[name] + (1 - decay) * value
        kept = load_file(tmp_path / "run" / "model.safetensors")
        for name, value in average.items():
            torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-6)
        plan.model.load_state_dict(kept, strict=False)
        loader = Loader(plan.data.validation, plan.data.kind, batch_size=500)
        assert bound(plan.model, loader)["elbo"] == metrics(tmp_path / "run")[-1]["validation_elbo"]

    @pytest.mark.parametrize("optimizer", ["adam", "adamax", "adagrad", "rmsprop", "sgd"])
    def test_every_optimiser_climbs(self, optimizer: str, tmp_path: Path) -> None:
        rate = 1e-3 if optimizer == "sgd" else 1e-2
        run = train(small_plan(epochs=4, learning_rate=rate), tmp_path / "run", optimizer=optimizer)
        assert run.metrics[-1]["train_model_objective"] > run.metrics[0]["train_model_objective"]


class TestStopping:
    """The figures are given, so that the best epoch is known."""

    @pytest.fixture
    def figures(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        given: list[float] = []
        left: Iterator[float] = iter(given)
        monkeypatch.setattr(
            MODULE, "bound", lambda *_, **__: dict.fromkeys(("elbo", "log_px"), next(left)) | {"kl": 0.0}
        )
        return given

    def at_epoch(self, watched: Watched, epoch: int) -> dict[str, Tensor]:
        return watched.weights[5 * epoch - 1]

    def assert_kept(self, folder: Path, watched: Watched, epoch: int) -> None:
        kept = load_file(folder / "model.safetensors")
        for name, value in self.at_epoch(watched, epoch).items():
            assert torch.equal(kept[name], value), name

    def test_patience_and_the_best_weights(self, figures: list[float], watched: Watched, tmp_path: Path) -> None:
        figures += [-9, -5, -7, -5, -6, -1, 0, 0]
        run = train(small_plan(epochs=8), tmp_path / "run", patience=3)
        assert len(run.metrics) == 5
        assert run.best["epoch"] == 2
        assert run.best["epochs"] == 5
        self.assert_kept(run.folder, watched, 2)

    def test_that_it_stopped_is_said(
        self, figures: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = "stopped after epoch 5: none of the last 3 epochs was better."
        figures += [-9, -5, -7, -5, -6]
        run = train(small_plan(epochs=8), tmp_path / "run", patience=3, quiet=False)
        assert capsys.readouterr().err.splitlines()[-1] == said
        train(small_plan(epochs=9), run.folder, patience=3, quiet=False, resume=True)
        assert capsys.readouterr().err.splitlines() == [said]
        figures += [-1] * 2
        train(small_plan(epochs=2), tmp_path / "whole", patience=3, quiet=False)
        assert "stopped" not in capsys.readouterr().err

    def test_patience_starts_again_with_every_better_epoch(self, figures: list[float], tmp_path: Path) -> None:
        figures += [-9, -10, -8, -10, -7, -10, -10, 0]
        run = train(small_plan(epochs=8), tmp_path / "run", patience=2)
        assert len(run.metrics) == 7
        assert run.best["epoch"] == 5

    def test_no_patience_trains_to_the_end(self, figures: list[float], watched: Watched, tmp_path: Path) -> None:
        figures += [-1, -2, -3, -4]
        run = train(small_plan(epochs=4), tmp_path / "run")
        assert len(run.metrics) == 4
        self.assert_kept(run.folder, watched, 1)

    def test_the_last_weights(self, figures: list[float], watched: Watched, tmp_path: Path) -> None:
        figures += [-1, -2, -3, 0, 0, 0]
        run = train(small_plan(epochs=6), tmp_path / "run", keep_best=False, patience=2)
        assert len(run.metrics) == 3  # patience looks at the figure, whatever is kept
        assert run.best["epoch"] == 3
        self.assert_kept(run.folder, watched, 3)

    def test_a_figure_that_is_not_a_number_is_never_the_best(
        self, figures: list[float], watched: Watched, tmp_path: Path
    ) -> None:
        figures += [math.nan, -5, math.nan, -4, -6]
        run = train(small_plan(epochs=5), tmp_path / "run", patience=3)
        for name in ("watched", "validation_elbo"):
            assert [line[name] for line in run.metrics] == [None, -5, None, -4, -6]
        assert [line["kept"] for line in run.metrics] == [True, True, False, True, False]
        assert run.best["epoch"] == 4
        self.assert_kept(run.folder, watched, 4)


class TestSurroundings:
    def test_evaluating_leaves_the_stream_of_random_numbers_alone(self) -> None:
        plan = small_plan()
        loader = Loader(plan.data.validation, plan.data.kind)
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        plan.model.train()
        bound(plan.model, loader, seed=3)
        evaluate(plan.model, plan.data, samples=3, seed=4)
        assert torch.equal(torch.rand(3), expected)
        assert plan.model.training

    def test_training_is_a_function_of_its_seed(self, tmp_path: Path) -> None:
        for name, seed in (("one", 3), ("other", 3), ("third", 4)):
            plan = small_plan()
            torch.rand(len(name))  # what was drawn before does not matter
            train(plan, tmp_path / name, seed=seed)
        assert_same_run(tmp_path / "one", tmp_path / "other")
        assert metrics(tmp_path / "one") != metrics(tmp_path / "third")

    def test_outside_the_main_thread(self, tmp_path: Path) -> None:
        train(small_plan(), tmp_path / "main")
        faults: list[BaseException] = []

        def work() -> None:
            try:
                train(small_plan(), tmp_path / "thread")
            except BaseException as fault:
                faults.append(fault)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert faults == []
        assert_same_run(tmp_path / "thread", tmp_path / "main")

    def test_without_a_folder_the_first_free_one_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for _ in range(2):
            assert main(["train", "digits", "--epochs", "1", "--network", "mlp:hidden=8", "--quiet"]) == 0
        assert sorted(Path("runs").iterdir()) == [Path("runs/digits-1"), Path("runs/digits-2")]

    def test_the_short_form(self, tmp_path: Path) -> None:
        plan = small_plan()
        run = training.fit(plan.model, plan.data, epochs=1, out=tmp_path / "run", quiet=True, batch_size=50)
        assert run.config["phases"][0]["objective"]["part"] == "objective/elbo"
        assert run.config["settings"]["batch_size"] == 50


@pytest.mark.parametrize(
    "options, said",
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number from 1, got 2.5"),
        ({"seed": -1}, "seed must be a whole number from 0, got -1"),
        ({"seed": 2**63}, "seed must be a whole number from 0 to 2^63 − 1, got 9223372036854775808"),
        ({"patience": -1}, "patience must be a whole number from 0, got -1"),
        ({"weight_decay": -0.1}, "weight_decay must be a number from 0, got -0.1"),
        ({"clip_norm": math.nan}, "clip_norm must be a number from 0, got nan"),
        ({"clip_norm": "much"}, "clip_norm must be a number from 0, got 'much'"),
        (
            {"clip_norm": Linear(0, 1, epochs=1)},
            "clip_norm must be a number from 0, got Linear(start=0, end=1, epochs=1)",
        ),
        ({"ema_decay": 1.0}, "ema_decay must be a number from 0 and less than 1, got 1.0"),
        ({"optimizer": "lion"}, "optimizer must be one of adam, adamax, adagrad, rmsprop, sgd, got 'lion'"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        Settings(**options)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "options, said",
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number from 1, got 1.5"),
        ({"learning_rate": -1.0}, "learning_rate must be a number from 0, got -1.0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number from 0, got 'fast'"),
        ({"train": "prior"}, "train must be names of parts, such as ('prior',), got 'prior'"),
        (
            {"objective": ELBO},
            "objective must be one, such as vk.objectives.ELBO(), got <class 'vaekit.objectives.elbo.ELBO'>",
        ),
        ({"objective": "elbo"}, "objective must be one, such as vk.objectives.ELBO(), got 'elbo'"),
    ],
)
def test_phases_out_of_range(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        Phase(**{"objective": ELBO(), **options})
    assert str(refused.value) == said


@local_part("objective/answers")
class Answers(Objective):
    """What it answers of a draw is said when it is made."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, model: Any, batch: Batch, step: Step) -> Any:
        elbo = model.draw(batch, samples=3).elbo
        answers = {"draws": Value(elbo, {}), "a number": Value(elbo.mean(), {}), "a tensor": elbo.mean(0)}
        return answers[self.what]


@pytest.mark.parametrize(
    ("what", "said"),
    [("draws", r"with the shape \(3, 16\)"), ("a number", r"with the shape \(\)"), ("a tensor", "with a Tensor")],
)
def test_an_objective_of_another_shape_is_refused(what: str, said: str, tmp_path: Path) -> None:
    plan = small_plan(epochs=1)
    with pytest.raises(UserError, match=said):
        training.fit(plan.model, plan.data, objective=Answers(what), epochs=1, batch_size=16, out=tmp_path / "run")


def test_denormal_numbers_are_zero_while_training_and_not_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denormal() -> bool:
        return bool(torch.tensor(1e-30) * 1e-10 != 0)

    with flushing_denormals():
        if denormal():
            pytest.skip("this processor cannot take denormal numbers for zero")
    seen: list[bool] = []
    take = Training.take
    monkeypatch.setattr(Training, "take", lambda *given: seen.append(denormal()) or take(*given))
    train(small_plan(epochs=1), tmp_path / "run")
    assert seen == [False] * 5
    assert denormal()


def test_factors_are_rounded_in_steps_and_in_nothing_that_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounds() -> bool:
        return torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]

    steps, measured = [], []
    plain, told = ELBO.__call__, MODULE.bound
    monkeypatch.setattr(ELBO, "__call__", lambda *given: steps.append(rounds()) or plain(*given))
    monkeypatch.setattr(MODULE, "bound", lambda *given, **more: measured.append(rounds()) or told(*given, **more))
    train(small_plan(epochs=1), tmp_path / "run", precision="bfloat16", device="cpu")
    assert steps == [True] * 5
    assert measured == [False]
    steps.clear()
    train(small_plan(epochs=1), tmp_path / "plain", device="cpu")
    assert steps == [False] * 5


@pytest.mark.parametrize("rounds", [True, False])
def test_a_processor_that_does_not_round_is_told_of(
    rounds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MODULE, "rounds_on_processors", lambda: rounds)
    said = "warning: this processor does not round products to bfloat16: training goes on in float32."
    train(small_plan(epochs=1), tmp_path / "run", precision="bfloat16", device="cpu", quiet=False)
    assert (said in capsys.readouterr().err.splitlines()) is not rounds
    train(small_plan(epochs=1), tmp_path / "plain", device="cpu", quiet=False)
    assert said not in capsys.readouterr().err


def test_phases_and_what_a_single_one_is_made_of(tmp_path: Path) -> None:
    plan = small_plan()
    with pytest.raises(ValueError, match="give phases or epochs, learning_rate of a single one, not both"):
        training.fit(plan.model, plan.data, phases=plan.phases, epochs=3, learning_rate=0.1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_precision(tmp_path: Path) -> None:
    plan = small_plan()
    with pytest.raises(UserError, match=r"the model has weights of torch\.float64, and training is in torch\.float32"):
        training.fit(plan.model.double(), plan.data, phases=plan.phases, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
