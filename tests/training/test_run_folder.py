"""A run folder is all that is needed to have the model again, and nothing in it is trusted."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_cases import SMALL, assert_same_run, small_digits, small_plan, train

from vaekit import training
from vaekit.data import as_dataset
from vaekit.data.loader import Loader, RowSelection
from vaekit.errors import Interrupted, TrainingFailed, UserError
from vaekit.run.run import Run
from vaekit.run.state import State
from vaekit.training.loop import Training

ANSWERS = """
import hashlib, sys, torch
from vaekit import training
from vaekit.data import Dataset
from training_cases import small_digits
from test_run_folder import answers
for folder in sys.argv[1:]:
    print(answers(training.load(folder)))
"""


def answers(run: Run) -> str:
    """A digest of every number that the model of a run gives for some rows, under a fixed seed."""
    data = small_digits()
    batch = Loader(data.test, data.kind).rows(torch.arange(10))
    torch.manual_seed(3)
    with torch.no_grad():
        draw = run.model.draw(batch, 2)
        tensors = [draw.log_px, draw.kl, run.model.generate(5).mean]
        for latent in draw.latents.values():
            tensors += [each for each in (latent.value, latent.log_pz, latent.log_qz, latent.kl) if each is not None]
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)}".encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def test_every_family_is_the_same_in_another_process(tmp_path: Path) -> None:
    runs = [train(small_plan(recipe), tmp_path / recipe) for recipe in SMALL]
    here = [answers(run) for run in runs]
    assert len(set(here)) == len(SMALL)
    result = subprocess.run(
        [sys.executable, "-c", ANSWERS, *(str(run.folder) for run in runs)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == here


def test_what_is_loaded_is_what_was_trained(tmp_path: Path) -> None:
    plan = small_plan()
    run = train(plan, tmp_path / "run", keep_best=False)
    for name, parameter in plan.model.named_parameters():
        assert torch.equal(run.model.get_parameter(name), parameter), name
    assert not run.model.training


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change(folder: Path, edit: Any) -> None:
    """Edit ``config.json``."""
    document = json.loads((folder / "config.json").read_text())
    edit(document)
    (folder / "config.json").write_text(json.dumps(document))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small finished run."""
    return train(small_plan(epochs=1), tmp_path / "run").folder


def test_to_look_at_a_run_draws_no_numbers(folder: Path) -> None:
    before = torch.get_rng_state()
    training.load(folder).evaluate(small_digits(), samples=2, limit=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unregistered_type_is_refused_and_not_imported(folder: Path) -> None:
    sys.modules.pop("antigravity", None)
    change(folder, lambda document: document["model"]["prior"].update(part="antigravity/antigravity"))
    with pytest.raises(UserError, match="'antigravity/antigravity', which is not registered; it was not imported") as e:
        _ = training.load(folder).model
    assert "--parts FILE.py" in e.value.hint
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("bytes_left", [0, 5, 200, -1])
def test_weights_that_are_cut_off(folder: Path, bytes_left: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:bytes_left])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged: "):
        _ = training.load(folder).model


def test_weights_of_another_model(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    name = "posterior.head.linear.bias"
    assert name in tensors
    save_file({**tensors, name: torch.zeros(99)}, path)
    with pytest.raises(UserError, match=f"does not fit the model: '{name}' has shape \\(99,\\), expected \\(4,\\)"):
        _ = training.load(folder).model
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, path)
    with pytest.raises(UserError, match=f"does not fit the model: 1 tensors differ, such as '{name}'"):
        _ = training.load(folder).model


def test_weights_that_are_missing(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is not there") as error:
        _ = training.load(folder).model
    assert error.value.hint == "the run may have stopped before its first epoch ended."


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "is damaged: Expecting value"),
        ('{"format": 1, "mod', "is damaged: "),
        ("[]", "is not the configuration of a run"),
        ("{}", "is not the configuration of a run"),
        ('{"format": "new"}', "is not the configuration of a run"),
        ('{"format": 1, "model": {"part": "model/vae"}}', "is damaged: it has no data, phases, settings"),
        ('{"format": 2}', "was written by a newer vaekit (format 2, this one reads 1)"),
        ("\udcff", "is damaged: "),
        ("[" * 100_000, "is damaged: it is nested too deep."),
        ('{"format": ' + "1" * 5000 + "}", "is damaged: "),
    ],
)
def test_a_configuration_that_is_no_good(folder: Path, text: str, said: str) -> None:
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    for attempt in (
        lambda: training.load(folder),
        lambda: train(small_plan(), folder, resume=True),
        lambda: train(small_plan(), folder, overwrite=True),
    ):
        with pytest.raises(UserError) as refused:
            attempt()
        assert said in refused.value.message
    assert (folder / "model.safetensors").exists()


@pytest.mark.parametrize("where", ["nowhere", "empty", "file", "file/below"])
def test_no_run_folder(where: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=f"{where} is not a run folder"):
        training.load(tmp_path / where)


class TestOpening:
    def test_a_folder_in_use(self, folder: Path) -> None:
        with pytest.raises(UserError, match="is not empty") as error:
            train(small_plan(), folder)
        assert error.value.hint == "--resume goes on with it, --overwrite starts again, --out names another."

    @pytest.mark.parametrize("how", ["resume", "overwrite"])
    def test_a_folder_of_something_else(self, how: str, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(UserError, match=r"is not a run folder: .* there is thesis\.tex in it"):
            train(small_plan(), tmp_path, **{how: True})
        (tmp_path / "config.json").write_text('{"compiler": "xelatex"}')
        with pytest.raises(UserError, match="is not the configuration of a run"):
            train(small_plan(), tmp_path, **{how: True})
        assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "config.json"}

    def test_overwriting_takes_only_the_run(self, folder: Path) -> None:
        (folder / "notes.txt").write_text("mine")
        train(small_plan(epochs=2), folder, overwrite=True)
        assert len(training.load(folder).metrics) == 2
        assert (folder / "notes.txt").read_text() == "mine"

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(UserError, match="file is a file; a run folder is asked for"):
            train(small_plan(), tmp_path / "file")
        with pytest.raises(UserError, match="file/below cannot be written: Not a directory"):
            train(small_plan(), tmp_path / "file" / "below")

    def test_nothing_is_left_of_a_run_that_cannot_start(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="needs the density of the posterior"):
            train(small_plan(posterior="point", objective="iwae"), tmp_path / "run")
        with pytest.raises(UserError, match="the device 'tpu' is not here; there are: cpu"):
            train(small_plan(), tmp_path / "run", device="tpu")
        with pytest.raises(ValueError, match="batch_size must be a whole number from 1, got 0"):
            train(small_plan(), tmp_path / "run", batch_size=0)
        assert not (tmp_path / "run").exists()


class Killed(BaseException):
    """As if the process were gone."""


class TestOverwriting:
    """The run that is there stays until the new one has an epoch to show."""

    def test_it_is_there_until_an_epoch_is_saved(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before, seen = files_of(folder), []
        save = State.save

        def looked(self: State, path: Path) -> None:
            seen.append({name: content for name, content in files_of(folder).items() if not name.startswith(".new")})
            save(self, path)

        monkeypatch.setattr(State, "save", looked)
        train(small_plan(epochs=2), folder, overwrite=True, seed=1)
        assert seen[0] == before
        assert seen[1].keys() == before.keys()
        assert seen[1] != before
        assert not (folder / ".new").exists()

    def test_a_new_run_that_cannot_start(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = files_of(folder)
        with pytest.raises(UserError, match="needs the density of the posterior"):
            train(small_plan(posterior="point", objective="iwae"), folder, overwrite=True)
        shares = importlib.import_module("vaekit.training.microbatches")
        monkeypatch.setattr(shares, "gradient_norm", lambda parameters: torch.tensor(torch.nan))
        with pytest.raises(TrainingFailed, match="No epoch was finished"):
            train(small_plan(), folder, overwrite=True, batch_size=2)
        assert files_of(folder) == before
        assert not (folder / ".new").exists()

    def test_stopped_in_the_first_epoch(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before, take = files_of(folder), Training.take

        def stopped(self: Training, selection: RowSelection) -> Any:
            self.stop_asked = True
            take(self, selection)

        with monkeypatch.context() as patch:
            patch.setattr(Training, "take", stopped)
            with pytest.raises(Interrupted) as interrupted:
                train(small_plan(), folder, overwrite=True, seed=1)
        assert interrupted.value.folder == folder / ".new"
        assert before.items() < files_of(folder).items()
        assert training.load(folder).config["settings"]["seed"] == 0
        run = train(small_plan(), folder / ".new", resume=True, seed=1)
        assert run.folder == folder
        assert_same_run(folder, train(small_plan(), tmp_path / "whole", seed=1).folder)

    def test_killed_at_every_change(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = files_of(folder)
        whole = train(small_plan(), tmp_path / "whole", seed=1).folder
        found = []
        while True:
            run = tmp_path / f"{len(found)}"
            for name, content in before.items():
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                (run / name).write_bytes(content)
            count = 0

            def fatal(real: Any, kill_at: int = len(found)) -> Any:
                def change(*arguments: Any, **options: Any) -> Any:
                    nonlocal count
                    count += 1
                    if count > kill_at:  # a process that is gone does not tidy up
                        raise Killed
                    return real(*arguments, **options)

                return change

            with monkeypatch.context() as patch:
                for name in ("replace", "mkdir", "unlink", "rmdir"):
                    patch.setattr(os, name, fatal(getattr(os, name)))
                try:
                    train(small_plan(), run, overwrite=True, seed=1)
                    break
                except Killed:
                    pass
            if (run / "config.json").exists():
                found.append(training.load(run).config["settings"]["seed"])
                assert answers(training.load(run))
                assert found[-1] == 1 or before.items() <= files_of(run).items()
                again = run
            else:
                found.append("a sentence")
                with pytest.raises(UserError, match="a new run was just taking the place of the one before") as told:
                    training.load(run)
                assert told.value.hint == f"vaekit train --resume {run / '.new'} finishes that."
                again = run / ".new"
            if found[-1] == 0:
                train(small_plan(), run, overwrite=True, seed=1)
            else:
                assert train(small_plan(), again, resume=True, seed=1).folder == run
            assert_same_run(run, whole)
        assert found == sorted(found, key=[0, "a sentence", 1].index)
        assert found.count("a sentence") == 4
        assert set(found) == {0, "a sentence", 1}

    @pytest.mark.parametrize("how", ["resume", "overwrite"])
    def test_a_kill_between_two_runs_is_mended_by_training(self, how: str, folder: Path, tmp_path: Path) -> None:
        os.replace(train(small_plan(), tmp_path / "new", seed=1).folder, folder / ".new")
        os.replace(folder / "config.json", folder / ".new" / "config.before.json")
        os.replace(folder / ".new" / "model.safetensors", folder / "model.safetensors")
        with pytest.raises(UserError, match="is not empty"):
            train(small_plan(), folder, seed=1)
        train(small_plan(), folder, seed=1, **{how: True})
        assert_same_run(folder, train(small_plan(), tmp_path / "whole", seed=1).folder)

    def test_a_folder_that_happens_to_be_called_so(self, tmp_path: Path) -> None:
        run = train(small_plan(epochs=1), tmp_path / "mine" / ".new")
        assert run.folder == tmp_path / "mine" / ".new"
        assert [path.name for path in (tmp_path / "mine").iterdir()] == [".new"]
        train(small_plan(epochs=1), run.folder, overwrite=True, seed=1)
        assert training.load(run.folder).config["settings"]["seed"] == 1


def test_data_without_a_name_must_be_given_again(tmp_path: Path) -> None:
    data = as_dataset(torch.rand(30, 6).numpy())
    run = train(small_plan(dataset=data, epochs=1), tmp_path / "run")
    assert run.evaluate(samples=2)["examples"] == 3
    alone = training.load(run.folder)
    with pytest.raises(UserError, match="was trained on arrays given in Python; give the data to evaluate on"):
        alone.evaluate(samples=2)
    assert alone.evaluate(data, samples=2)["elbo"] == run.evaluate(samples=2)["elbo"]
    with pytest.raises(UserError, match=r"made for examples of shape \(6,\); those of digits.* are \(1, 8, 8\)"):
        alone.evaluate(small_digits(), samples=2)
    counts = as_dataset(torch.arange(30 * 6).reshape(30, 6).numpy(), name="pixels")
    with pytest.raises(UserError, match="was made for real numbers; pixels holds counts"):
        alone.evaluate(counts, samples=2)


def test_no_pickle_is_read(folder: Path) -> None:
    torch.save(training.load(folder).model.state_dict(), folder / "model.safetensors")
    with pytest.raises(UserError, match="is damaged"):
        _ = training.load(folder).model
