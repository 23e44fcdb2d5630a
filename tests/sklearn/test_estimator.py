"""Conventions that scikit-learn's own checks do not look at."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from vaekit.errors import Interrupted
from vaekit.sklearn import VAE, estimator

X = np.random.default_rng(0).normal([100.0, -3.0], [20.0, 0.5], (300, 2))


def vae(**options: Any) -> VAE:
    return VAE(**{"latent_dim": 1, "hidden": (16,), "epochs": 10, "random_state": 0, "device": "cpu"} | options)


def test_outliers_are_those_of_low_density() -> None:
    detector = vae(contamination=0.1).fit(X)
    assert (detector.predict(X) == -1).mean() == pytest.approx(0.1, abs=0.02)
    assert detector.predict([[100.0, 30.0]]) == -1
    assert not hasattr(vae().fit(X), "predict")


def test_in_a_pipeline_and_under_a_grid_search() -> None:
    pipeline = make_pipeline(vae(epochs=2), LogisticRegression())
    search = GridSearchCV(pipeline, {"vae__latent_dim": [1, 2]}, cv=2).fit(X, X[:, 0] > 100)
    assert set(search.best_params_) == {"vae__latent_dim"}
    assert clone(search.best_estimator_[0]).get_params()["epochs"] == 2


def test_a_warm_start_goes_on() -> None:
    fitted = vae(warm_start=True, epochs=3).fit(X)
    before = fitted.score(X)
    fitted.set_params(epochs=10).fit(X)
    assert len(fitted.history_) == 13
    assert fitted.score(X) > before
    assert [record["epoch"] for record in fitted.history_] == list(range(1, 14))
    with pytest.raises(ValueError, match="warm_start"):
        fitted.set_params(latent_dim=2).fit(X)


def test_a_warm_start_keeps_pseudo_inputs_and_the_scale_of_the_data() -> None:
    fitted = vae(prior="vamp:num_components=5", warm_start=True, epochs=1, learning_rate=1e-12).fit(X)
    inputs, kind = fitted.model_.prior.inputs.detach().clone(), fitted.kind_
    fitted.fit(X + 1)
    torch.testing.assert_close(fitted.model_.prior.inputs.detach(), inputs)
    assert fitted.kind_ == kind


def test_it_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the caller's own
    threads = torch.get_num_threads()
    fitted = vae().fit(X)
    fitted.sample(3, random_state=1)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(5)))
    assert np.random.rand() == np.random.RandomState(5).rand()  # noqa: NPY002
    assert torch.get_num_threads() == threads
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_random_state_is_all_that_a_fit_depends_on() -> None:
    one, same, other = vae(epochs=2), vae(epochs=2), vae(epochs=2, random_state=1)
    torch.rand(7)
    codes = one.fit(X).transform(X)
    assert np.array_equal(same.fit(X).transform(X), codes)
    assert not np.allclose(other.fit(X).transform(X), codes)
    stream = np.random.RandomState(3)
    first, second = (vae(epochs=2, random_state=stream).fit(X).transform(X) for _ in range(2))
    assert not np.allclose(first, second)


def test_threads_do_not_disturb_each_other() -> None:
    alone = [vae(epochs=5, random_state=seed).fit(X).score(X) for seed in (0, 1)]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda seed: vae(epochs=5, random_state=seed).fit(X).score(X), [0, 1, 0, 1]))
    assert at_once == alone * 2


def test_stopped_from_the_keyboard_it_ends_as_any_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*arguments: Any, **options: Any) -> None:
        raise Interrupted("stopped", None)

    monkeypatch.setattr(estimator, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        vae().fit(X)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (np.arange(40).reshape(20, 2) % 2, "Binary"),
        (np.arange(40).reshape(20, 2), "Counts"),
        (np.arange(40).reshape(20, 2) - 5, "Real"),
        (np.arange(40, dtype=np.uint8).reshape(20, 2), "GreyLevels"),
        (np.arange(40.0).reshape(20, 2), "Real"),
    ],
    ids=["bits", "integers", "negative", "bytes", "floats"],
)
def test_kinds_of_numbers(rows: np.ndarray, kind: str) -> None:
    fitted = vae(epochs=1).fit(rows)
    assert type(fitted.kind_).__name__ == kind
    assert np.isfinite(fitted.score_samples(rows)).all()
    assert fitted.inverse_transform(fitted.transform(rows)).shape == rows.shape
    assert type(vae(epochs=1, kind="real").fit(rows).kind_).__name__ == "Real"


def test_categories() -> None:
    rows = np.arange(60).reshape(20, 3) % 4
    fitted = vae(epochs=1, kind="categories").fit(rows)
    assert set(np.unique(fitted.sample(200, random_state=0))) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="4 categories"):
        fitted.transform(rows + 1)


@pytest.mark.parametrize(
    "rows",
    [X[:1], X[:5], X[:, :1], np.column_stack([X, np.full(len(X), 7.0)]), np.full((20, 2), 3.5)],
    ids=["one row", "five rows", "one column", "a constant column", "nothing but constants"],
)
def test_little_to_learn_from(rows: np.ndarray) -> None:
    fitted = vae(epochs=1).fit(rows)
    assert np.isfinite(fitted.transform(rows)).all()
    assert np.isfinite(fitted.score_samples(rows)).all()


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ((3, slice(None)), np.nan, r"nothing is observed: 3"),
        ((slice(None), 1), np.nan, "column 1 of X has no observed cell"),
        ((3, 1), np.inf, "infinity"),
        ((3, 1), 1e39, "single precision"),
    ],
    ids=["an empty row", "an empty column", "infinite", "huge"],
)
def test_cells_that_cannot_be_used(place: Any, value: float, why: str) -> None:
    rows = X.copy()
    rows[place] = value
    with pytest.raises(ValueError, match=why):
        vae(epochs=1).fit(rows)


def test_pickled_by_a_user_it_is_the_same() -> None:
    fitted = vae().fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_data_frames(kind: str) -> None:
    frames = pytest.importorskip(kind)
    frame = frames.DataFrame({"height": X[:, 0], "weight": X[:, 1]})
    fitted = vae().set_output(transform=kind).fit(frame)
    assert list(fitted.transform(frame).columns) == ["vae0"]
    assert list(fitted.feature_names_in_) == ["height", "weight"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"latent_dim": 0},
            "The 'latent_dim' parameter of VAE must be 'auto' or a whole number from 1. Got 0 instead.",
        ),
        ({"latent_dim": "many"}, "Got 'many' instead"),
        ({"hidden": (0,)}, "hidden"),
        ({"hidden": 64}, "'hidden' .* a tuple"),
        ({"epochs": 1.5}, "epochs"),
        ({"batch_size": True}, "batch_size"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"importance_samples": 0}, "importance_samples"),
        ({"contamination": 0.9}, "contamination"),
        ({"kind": "reel"}, "'kind' .* real, binary"),
        ({"device": "abacus"}, "abacus"),
        ({"prior": None}, "'prior' .* a part specification"),
        ({"prior": "mixtur"}, "mixture"),
        ({"likelihood": "bernoulli"}, "does not fit"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        vae(**options).fit(X)
