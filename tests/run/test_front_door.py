"""The front door from Python: what ``fit`` takes, runs in memory, and the verbs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from training_cases import assert_same_run

import vaekit as vk
from vaekit.cli import main
from vaekit.errors import Interrupted, UserError
from vaekit.models import Draw
from vaekit.training.loop import Training

X = (np.random.default_rng(0).random((120, 12)) < 0.3).astype(np.float32)
Y = np.arange(120) % 3


def small(features: int = 12, likelihood: Any = None) -> vk.VAE:
    torch.manual_seed(0)
    network = vk.networks.MLP
    chosen = likelihood or vk.likelihoods.Bernoulli
    posterior = vk.posteriors.Diagonal(network(features, hidden=(8,)), 3)
    return vk.VAE(vk.priors.StandardNormal(3), posterior, chosen(network(3, hidden=(8,)), (features,)))


def fitted(data: Any = X, **options: Any) -> vk.Run:
    return vk.fit(small(), data, **{"epochs": 2, "quiet": True, "batch_size": 32} | options)


class Rows(torch.utils.data.Dataset):
    def __init__(self, label: bool, labels: Any = Y) -> None:
        self.label, self.labels = label, labels

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return (
            (torch.from_numpy(X[index]), torch.as_tensor(self.labels[index]))
            if self.label
            else torch.from_numpy(X[index])
        )


class Frame:
    """As much of a data frame as is asked for: pandas and polars have it."""

    def __init__(self, x: np.ndarray, columns: list[str]) -> None:
        self.x, self.columns = x, columns

    def to_numpy(self) -> np.ndarray:
        return self.x

    def __getitem__(self, column: str) -> Any:
        values = self.x[:, self.columns.index(column)]

        class Column:
            def to_numpy(self) -> np.ndarray:
                return values

        return Column()


NAMES = [f"c{index}" for index in range(12)]
FORMS = {
    "array": X,
    "tensor": torch.from_numpy(X),
    "float64": X.astype(np.float64),
    "tensors": TensorDataset(torch.from_numpy(X)),
    "tensors and labels": TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "with a graph": torch.from_numpy(X).requires_grad_(),
    "half": torch.from_numpy(X).bfloat16(),
    "list with a graph": [row.requires_grad_() for row in torch.from_numpy(X).clone()],
    "list of half": list(torch.from_numpy(X).bfloat16()),
    "pair": (X, Y),
    "torch data set": Rows(label=False),
    "torch data set with labels": Rows(label=True),
    "subset": Subset(Rows(label=False), range(120)),
    "frame": Frame(X, NAMES),
}


class TestForms:
    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_is_the_same_rows(self, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        run = fitted(FORMS[form])
        assert list(tmp_path.iterdir()) == []
        assert run.best["validation_elbo"] == fitted().best["validation_elbo"]
        assert np.array_equal(run.encode(FORMS[form]).mean, fitted().encode(X).mean)
        labelled = "labels" in form or form == "pair"
        assert (run.data.train.label is not None) == labelled
        if labelled:
            assert np.array_equal(run.encode(FORMS[form]).label, Y)

    def test_names_of_columns_are_kept_and_put_in_order(self) -> None:
        run = fitted(Frame(X, NAMES))
        turned = Frame(X[:, ::-1], NAMES[::-1])
        assert np.array_equal(run.encode(turned).mean, run.encode(X).mean)
        with pytest.raises(UserError, match="does not have the columns"):
            run.encode(Frame(X, ["other", *NAMES[1:]]))

    def test_labels_that_are_words(self) -> None:
        assert fitted((X, np.array(["a", "b"])[Y % 2])).data.classes == ("a", "b")

    def test_labels_of_some_rows_alone(self) -> None:
        for data, validation in (((X, Y), X), (X, (X, Y))):
            with pytest.raises(UserError, match="labels are given for some rows alone"):
                fitted(data, validation=validation)

    def test_rows_for_validation(self) -> None:
        run = fitted(X[:100], validation=X[100:])
        assert (len(run.data.train.x), len(run.data.validation.x)) == (100, 20)
        assert run.evaluate(samples=3)["examples"] == 20

    def test_numbers_between_0_and_1_under_a_likelihood_of_bits(self, capsys: pytest.CaptureFixture[str]) -> None:
        shades = np.random.default_rng(1).random((120, 12))
        run = fitted(shades)
        assert run.kind.binarization == "dynamic"
        assert "bits are drawn from them" in capsys.readouterr().err
        assert run.encode(shades).mean.shape == (120, 3)

    def test_real_numbers_come_back_in_their_units(self) -> None:
        x = np.random.default_rng(1).normal([100.0, -5.0], [10.0, 0.1], (200, 2))
        run = vk.fit(small(2, vk.likelihoods.Gaussian), x, epochs=3, quiet=True)
        assert np.abs(run.sample(500).mean(0) - x.mean(0)).max() < 5
        assert np.abs(run.reconstruct(x).x - x).max() < 1e-3

    def test_missing_cells_are_filled_and_what_was_observed_stays(self) -> None:
        gaps = X.copy()
        gaps[::7, 3] = np.nan
        filled = fitted(gaps).impute(gaps, samples=5)
        assert set(np.unique(filled.x)) == {0, 1}
        assert np.array_equal(filled.x[~np.isnan(gaps)], gaps[~np.isnan(gaps)])
        assert filled.mask is not None
        assert (~filled.mask).sum() == np.isnan(gaps).sum()

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (DataLoader(Rows(label=False)), "is a DataLoader"),
            (type("Stream", (IterableDataset,), {"__iter__": lambda self: iter([])})(), "is an iterable data set"),
            (TensorDataset(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3)), "has 3 tensors a row"),
            (Frame(np.array([["a", "b"]] * 9, dtype=object), ["u", "v"]), "the column 'u' of X holds"),
            (X[:, :5], "the likelihood is over examples of shape"),
            ("digits", "must be rows"),
            (None, "must be rows"),
            ([X, X[:, 0]], "is a list of two arrays"),
            ([X.reshape(120, 3, 4), Y], "is a list of two arrays"),
            ([[[1, 2], [1, 2, 3]], [[1], [2], [3]]], "its steps differ in length"),
            (np.ma.masked_equal(X, 0), "is a masked array"),
            (X[:0], "is empty"),
            (TensorDataset(torch.zeros(0, 12)), "is empty"),
            (Rows(label=True, labels=np.arange(120) / 2), "is no label"),
            (Rows(label=True, labels=np.eye(120)), "is no label"),
            (Rows(label=True, labels=[np.zeros(1 + at % 2) for at in range(120)]), "is no label"),
            (Rows(label=True, labels=np.full(120, np.inf)), "must be whole numbers or words"),
            ((X, np.ma.masked_equal(Y, 0)), "the labels of X are a masked array"),
        ],
    )
    def test_what_cannot_be_used_is_one_sentence(self, data: Any, why: str) -> None:
        with pytest.raises(UserError, match=why):
            fitted(data)


class TestMemory:
    def test_saved_it_is_the_run_that_was_trained_in_a_folder(self, tmp_path: Path) -> None:
        fitted(out=tmp_path / "folder")
        saved = fitted().save(tmp_path / "saved")
        assert_same_run(tmp_path / "folder", tmp_path / "saved")
        assert np.array_equal(saved.encode(X).mean, fitted().encode(X).mean)

    @pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}, {"optimizer": "sgd"}], ids=str)
    def test_saved_it_goes_on_as_if_it_had_not_stopped(self, options: dict[str, Any], tmp_path: Path) -> None:
        fitted(**options).save(tmp_path / "run")
        fitted(epochs=4, out=tmp_path / "run", resume=True, **options)
        fitted(epochs=4, out=tmp_path / "whole", **options)
        assert_same_run(tmp_path / "run", tmp_path / "whole")

    def test_it_is_the_best_epoch_and_the_model_the_last(self) -> None:
        model = small()
        run = vk.fit(model, X, epochs=3, quiet=True, learning_rate=0.5)
        assert [record["epoch"] for record in run.metrics] == [1, 2, 3]
        assert run.model is not model
        assert run.best["kept"]

    def test_a_folder_that_is_in_use(self, tmp_path: Path) -> None:
        fitted().save(tmp_path / "run")
        with pytest.raises(UserError, match="is not empty"):
            fitted().save(tmp_path / "run")
        fitted(seed=1).save(tmp_path / "run", overwrite=True)
        assert vk.load(tmp_path / "run").config["settings"]["seed"] == 1
        with pytest.raises(UserError, match="already"):
            vk.load(tmp_path / "run").save(tmp_path / "other")

    def test_what_needs_a_folder_says_so(self) -> None:
        with pytest.raises(ValueError, match="name it with out"):
            fitted(resume=True)
        with pytest.raises(UserError, match="this run is in memory"):
            _ = fitted().folder

    def test_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        take = Training.take

        def stopping(self: Training, selection: Any) -> Any:
            self.stop_asked = True
            return take(self, selection)

        monkeypatch.setattr(Training, "take", stopping)
        with pytest.raises(Interrupted, match="the model holds its weights"):
            fitted()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vk.Run:
    folder = tmp_path_factory.mktemp("verbs") / "run"
    assert main(["train", "digits", "--epochs", "1", "--network", "mlp:hidden=8", "--latent-dim", "3", "--out",
                 str(folder), "--quiet"]) == 0  # fmt: skip
    return vk.load(folder)


class TestVerbs:
    @pytest.mark.parametrize("verb", ["encode", "sample", "reconstruct", "score", "traverse"])
    def test_they_are_those_of_the_command_line(self, verb: str, run: vk.Run, tmp_path: Path) -> None:
        ending = {"traverse": "npz"}.get(verb, "npy")
        assert main([verb, str(run.folder), "--out", str(tmp_path / f"a.{ending}")]) == 0
        found = np.load(tmp_path / f"a.{ending}")
        mine = {
            "encode": lambda: run.encode().mean,
            "sample": lambda: run.sample(64),
            "reconstruct": lambda: run.reconstruct(number=32).mean,
            "score": lambda: run.score(),
            "traverse": lambda: run.traverse().x,
        }[verb]()
        assert np.array_equal(found["x"] if ending == "npz" else found, mine)

    def test_decoded_codes_are_reconstructions(self, run: vk.Run) -> None:
        assert np.allclose(run.decode(run.encode().mean), run.reconstruct().mean, atol=1e-6)

    def test_a_report(self, run: vk.Run, tmp_path: Path) -> None:
        page = run.report(out=tmp_path / "page.html", samples=5, limit=20)
        assert "<h1>" in page.read_text()


class OnlyDraws(nn.Module):
    """A stranger's model that says of itself no more than its density."""

    abilities = frozenset({"density"})

    def __init__(self) -> None:
        super().__init__()
        self.inner = small()

    def draw(self, batch: vk.Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        return self.inner.draw(batch, samples, frozen_q)


class NoLatents(nn.Module):
    """A density with nothing behind it."""

    abilities = frozenset({"density"})

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(12))

    def draw(self, batch: vk.Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        log_px = torch.distributions.Bernoulli(logits=self.logits).log_prob(batch.x).sum(-1)
        return Draw({}, log_px.expand(samples, -1))


class TestAbilities:
    def test_a_model_without_latents(self) -> None:
        run = vk.fit(NoLatents(), X, epochs=1, quiet=True)
        assert run.best["validation_kl"] == 0

    def test_a_model_that_only_draws_is_trained_and_evaluated(self) -> None:
        run = vk.fit(OnlyDraws(), X, epochs=1, quiet=True)
        figures = run.evaluate(samples=5)
        assert figures["nll"] > 0
        assert run.score(X, samples=3).shape == (120,)

    @pytest.mark.parametrize("verb", ["encode", "sample", "reconstruct", "traverse", "impute", "report", "decode"])
    def test_what_it_cannot_do_is_one_sentence(self, verb: str) -> None:
        run = vk.fit(OnlyDraws(), X, epochs=1, quiet=True)
        with pytest.raises(UserError, match=f"cannot {verb}: it has no ability"):
            getattr(run, verb)(*([np.zeros((2, 3))] if verb == "decode" else []))
