"""Interrupted and resumed is the same, bit for bit, as not interrupted."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from training_cases import (
    assert_same_run,
    local_part,
    metrics,
    small_digits,
    small_plan,
    stop_after,
    train,
)

from vaekit import atomic as files
from vaekit import training
from vaekit.data import as_dataset
from vaekit.data.loader import RowSelection
from vaekit.errors import Interrupted, UserError
from vaekit.run import checkpointer as checkpointer
from vaekit.run.state import State
from vaekit.schedules import Cosine, Linear, Step, Steps
from vaekit.training.loop import Training


@local_part("schedule/of-the-step")
@dataclass(frozen=True)
class OfTheStep:
    """A learning rate that looks at the number of the step and not at the epoch."""

    def __call__(self, step: Step) -> float:
        return 0.01 / (1 + step.index)


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "vae": ("vae", {}, {}),
    "aae": ("aae", {}, {}),
    "hvae": ("hvae", {}, {}),
    "ladder": ("ladder", {}, {}),
    "dlgm": ("dlgm", {}, {}),
    "m2": ("m2", {}, {}),
    "vq-vae": ("vq-vae", {}, {}),
    "vq-vae by gradient": ("vq-vae", {"codebook": "gradient"}, {"ema_decay": 0.9}),
    "half precision": ("vae", {}, {"precision": "float16"}),
    "average": ("vae", {}, {"ema_decay": 0.8}),
    "average of two players": ("aae", {}, {"ema_decay": 0.8, "clip_norm": 0.5}),
    "average of a code book": ("vq-vae", {}, {"ema_decay": 0.8}),
    "clipped cosine": ("vae", {"learning_rate": Cosine(0.01, warmup=0.5)}, {"clip_norm": 0.5}),
    "learning rate in steps": ("hvae", {"learning_rate": Steps(0.01, factor=0.1, epochs=0.7)}, {}),
    "learning rate in two phases": ("vq-vae", {"learning_rate": Linear(0, 0.01, epochs=1.5)}, {"clip_norm": 1.0}),
    "learning rate of the step": ("vq-vae", {"learning_rate": OfTheStep()}, {}),
    "importance weighted": ("vae", {"objective": "iwae:samples=3"}, {}),
    "warm-up": ("vae", {"objective": "elbo:beta=linear(0,1,epochs=1.5)"}, {}),
    "cyclic": ("hvae", {"objective": "elbo:beta=cyclic(0,1,epochs=0.7)"}, {}),
    "free bits": ("hvae", {"objective": "free-bits:nats=0.2"}, {}),
    "mixture": ("vae", {"prior": "mixture:num_components=3"}, {}),
    "patience": ("vae", {"learning_rate": 0.3, "epochs": 20}, {"patience": 1}),
    "patience in two phases": ("vq-vae", {"learning_rate": 0.3, "epochs": 8}, {"patience": 2}),
    "last weights": ("vae", {"learning_rate": 0.2}, {"keep_best": False}),
    "adamax": ("vae", {}, {"optimizer": "adamax"}),
    "adagrad": ("vae", {"learning_rate": 0.01}, {"optimizer": "adagrad"}),
    "rmsprop": ("vae", {}, {"optimizer": "rmsprop", "weight_decay": 0.1}),
    "sgd": ("vae", {}, {"optimizer": "sgd"}),
}


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("case", CASES)
def test_stopped_again_and_again(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, options, settings = CASES[case]
    plan = small_plan(recipe, **options)
    train(plan, tmp_path / "whole", **settings)
    stopped_early = len(metrics(tmp_path / "whole")) < sum(phase.epochs for phase in plan.phases)
    assert stopped_early == ("patience" in settings)
    stops = 0
    while True:
        with monkeypatch.context() as patch:
            # The first stop is after one step; later ones walk through the epochs, their last batches included.
            stop_after(1 if stops == 0 else 4, patch)
            try:
                train(small_plan(recipe, **options), tmp_path / "parts", resume=stops > 0, **settings)
                break
            except Interrupted:
                stops += 1
    assert stops >= 3
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize("recipe, settings", [("vae", {"ema_decay": 0.8}), ("aae", {}), ("vq-vae", {})])
@pytest.mark.parametrize("written", [False, True], ids=["before a file is in place", "after it is"])
def test_killed_at_every_file(
    recipe: str, settings: dict[str, Any], written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = 1 if recipe == "vq-vae" else 2  # of each phase
    train(small_plan(recipe, epochs=epochs), tmp_path / "whole", **settings)
    kills = 0
    while True:
        folder = tmp_path / f"{kills}"
        place, count = os.replace, 0

        def fatal(source: Path, target: Path, kill_at: int = kills, place: Any = place) -> None:
            nonlocal count
            if count == kill_at and not written:
                # A process that is gone does not tidy up.
                Path(source).with_name(f".{target.name}.1.tmp").write_bytes(b"half")
                raise Killed
            place(source, target)
            count += 1
            if count == kill_at + 1 and written:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", fatal)
            try:
                train(small_plan(recipe, epochs=epochs), folder, **settings)
                break
            except Killed:
                kills += 1
        train(small_plan(recipe, epochs=epochs), folder, resume=True, **settings)
        assert_same_run(folder, tmp_path / "whole")
    # config.json, an empty metrics.jsonl, and two files for each epoch: three where the objective has networks
    networks = (tmp_path / "whole" / "objective.safetensors").exists()
    assert kills == 2 + 2 * (3 if networks else 2)


def test_a_line_of_metrics_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small_plan(), tmp_path / "whole")
    stop_after(7, monkeypatch)
    with pytest.raises(Interrupted, match="stopped in epoch 2"):
        train(small_plan(), tmp_path / "cut")
    monkeypatch.undo()
    with open(tmp_path / "cut" / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "phase": 0, "train_mod')
    assert training.load(tmp_path / "cut").best["epochs"] == 1
    train(small_plan(), tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_saved_in_the_middle_of_an_epoch_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small_plan(), tmp_path / "whole")
    monkeypatch.setattr(checkpointer, "SAVE_EVERY_SECONDS", 0.0)
    take, count = Training.take, 0

    def fatal(self: Training, selection: RowSelection) -> Any:
        nonlocal count
        count += 1
        if count == 9:
            raise Killed
        return take(self, selection)

    monkeypatch.setattr(Training, "take", fatal)
    with pytest.raises(Killed):
        train(small_plan(), tmp_path / "killed")
    monkeypatch.undo()
    steps = 0

    def counted(self: Training, selection: RowSelection) -> Any:
        nonlocal steps
        steps += 1
        return take(self, selection)

    monkeypatch.setattr(Training, "take", counted)
    train(small_plan(), tmp_path / "killed", resume=True)
    assert steps == 10 - 8  # the eight steps before are not taken again
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    train(small_plan(), tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    train(small_plan(), tmp_path / "run", resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_ends_of_epochs_that_are_near_to_each_other_are_saved_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first and the last, and whatever the clock says; of a killed run the others are taken again."""
    monkeypatch.setattr(checkpointer, "REST", 0.0)
    saves, save = [], State.save
    monkeypatch.setattr(State, "save", lambda self, path: saves.append(self.counters.epochs_total) or save(self, path))
    train(small_plan(epochs=6), tmp_path / "each")
    assert saves == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(checkpointer, "REST", 1e9)
    saves.clear()
    train(small_plan(epochs=6), tmp_path / "rarely")
    assert saves == [1, 6]
    assert_same_run(tmp_path / "rarely", tmp_path / "each")
    take, steps = Training.take, 0

    def fatal(self: Training, selection: RowSelection) -> Any:
        nonlocal steps
        steps += 1
        if steps == 18:  # in the fourth epoch
            raise Killed
        return take(self, selection)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "take", fatal)
        with pytest.raises(Killed):
            train(small_plan(epochs=6), tmp_path / "killed")
    assert len(metrics(tmp_path / "killed")) == 1
    assert training.load(tmp_path / "killed").best["epochs"] == 1
    train(small_plan(epochs=6), tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "killed", tmp_path / "each")
    with monkeypatch.context() as patch:
        stop_after(18, patch)
        with pytest.raises(Interrupted):
            train(small_plan(epochs=6), tmp_path / "stopped")
    assert len(metrics(tmp_path / "stopped")) == 3
    train(small_plan(epochs=6), tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "stopped", tmp_path / "each")


def test_more_epochs_go_on_from_the_end(tmp_path: Path) -> None:
    train(small_plan(epochs=4), tmp_path / "whole")
    train(small_plan(epochs=2), tmp_path / "longer")
    train(small_plan(epochs=4), tmp_path / "longer", resume=True)
    assert_same_run(tmp_path / "longer", tmp_path / "whole")
    assert training.load(tmp_path / "longer").config["phases"][0]["epochs"] == 4


def test_fewer_epochs_than_it_has_had(tmp_path: Path) -> None:
    folder = train(small_plan(epochs=3), tmp_path / "run").folder
    before = (folder / "config.json").read_bytes()
    with pytest.raises(UserError, match=f"^{folder} has had 3 epochs and cannot be given only 2[.]"):
        train(small_plan(epochs=2), folder, resume=True)
    assert (folder / "config.json").read_bytes() == before


def test_a_part_has_gained_an_option_since(tmp_path: Path) -> None:
    """A run of an older version goes on: what its config.json does not name is as it was, the default."""
    train(small_plan(epochs=4), tmp_path / "whole")
    train(small_plan(epochs=2), tmp_path / "older")
    path = tmp_path / "older" / "config.json"
    config = json.loads(path.read_text())
    assert config["model"]["likelihood"].pop("minimum") == 0
    assert config["settings"].pop("ema_decay") == 0
    path.write_text(json.dumps(config))
    train(small_plan(epochs=4), tmp_path / "older", resume=True)
    assert_same_run(tmp_path / "older", tmp_path / "whole")


def test_resume_starts_where_there_is_nothing(tmp_path: Path) -> None:
    train(small_plan(), tmp_path / "whole")
    train(small_plan(), tmp_path / "new", resume=True)
    assert_same_run(tmp_path / "new", tmp_path / "whole")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".config.json.7.tmp").write_text("{")
    train(small_plan(), tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize(
    "recipe, settings, said",
    [
        ({}, {"batch_size": 8}, "was started with --batch-size 16, and not 8"),
        ({}, {"seed": 1}, "was started with --seed 0, and not 1"),
        ({"latent_dim": 3}, {}, "was started with model/prior/latent_dim 2, and not 3"),
        ({"prior": "mixture"}, {}, "was started with model/prior standard-normal, and not mixture"),
        ({"learning_rate": 0.1}, {}, "was started with --learning-rate 0.001, and not 0.1"),
        ({"objective": "iwae"}, {}, "was started with --objective elbo, and not iwae"),
        (
            {"objective": "elbo:beta=linear(0,1,epochs=3)"},
            {},
            "was started with --objective (beta) 1.0, and not linear",
        ),
    ],
)
def test_other_options_are_refused_by_name(
    recipe: dict[str, Any], settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    train(small_plan(), tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refused:
        train(small_plan(**recipe), tmp_path / "run", resume=True, **settings)
    assert refused.value.message == f"{tmp_path / 'run'} {said}; it cannot be resumed."
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_data_is_refused(tmp_path: Path) -> None:
    train(small_plan(), tmp_path / "run")
    for other in (small_digits(60), as_dataset(torch.zeros(20, 1, 8, 8, dtype=torch.uint8), name="zeros")):
        with pytest.raises(UserError) as refused:
            train(small_plan(dataset=other), tmp_path / "run", resume=True)
        assert refused.value.message == (
            f"{other.name} is not the data that {tmp_path / 'run'} was trained on, or it has changed; it cannot be "
            "resumed."
        )


def test_a_state_that_is_damaged(tmp_path: Path) -> None:
    train(small_plan(), tmp_path / "run")
    path = tmp_path / "run" / "state" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"training\.safetensors is damaged: "):
        train(small_plan(), tmp_path / "run", resume=True)
    assert len(metrics(tmp_path / "run")) == 2
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small_plan(), tmp_path / "whole")
    before = signal.getsignal(number)
    take, count = Training.take, 0

    def told(self: Training, selection: RowSelection) -> Any:
        nonlocal count
        count += 1
        signal.raise_signal(number)
        return take(self, selection)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "take", told)
        with pytest.raises(Interrupted):
            train(small_plan(), tmp_path / "run")
    assert count == 1
    assert signal.getsignal(number) is before
    train(small_plan(), tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_a_second_ctrl_c_stops_at_once(before: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told_twice(self: Training, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    with monkeypatch.context() as patch:
        patch.setattr(Training, "take", told_twice)
        usual = signal.signal(signal.SIGINT, before)
        try:
            with pytest.raises(KeyboardInterrupt):
                train(small_plan(), tmp_path / "run")
        finally:
            signal.signal(signal.SIGINT, usual)
    train(small_plan(), tmp_path / "run", resume=True)
    train(small_plan(), tmp_path / "whole")
    assert_same_run(tmp_path / "run", tmp_path / "whole")
