"""The estimator beside exact answers, and the conventions that scikit-learn's own checks do not look at."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from vaekit.sklearn import VAE

X = np.random.default_rng(0).normal([100.0, -3.0], [20.0, 0.5], (300, 2))


def vae(**options: Any) -> VAE:
    return VAE(**{"latent_dim": 1, "hidden": (16,), "epochs": 10, "random_state": 0, "device": "cpu"} | options)


def test_the_density_is_one_in_the_units_of_the_data() -> None:
    """∫ exp(score) over a grid: at most 1, because the estimate is a lower bound on log p(x), and near it."""
    x = X[:, :1]
    fitted = vae(importance_samples=2000).fit(x)
    grid = np.linspace(-100, 300, 801)[:, None]
    mass = np.exp(fitted.score_samples(grid)).sum() * (grid[1, 0] - grid[0, 0])
    assert 0.98 < mass < 1.005
    exact = -0.5 * np.log(2 * np.pi * np.e) - np.log(20)
    assert fitted.score(x) == pytest.approx(exact, abs=0.1)


def test_a_scale_of_the_data_moves_the_density_and_not_the_codes() -> None:
    one, other = vae().fit(X), vae().fit(X * [1000.0, 0.01])
    np.testing.assert_allclose(one.transform(X), other.transform(X * [1000.0, 0.01]), atol=1e-4)
    shift = np.log(1000.0) + np.log(0.01)
    np.testing.assert_allclose(one.score_samples(X) - shift, other.score_samples(X * [1000.0, 0.01]), atol=1e-3)


def test_a_row_is_scored_the_same_beside_any_others() -> None:
    fitted = vae().fit(X)
    whole = fitted.score_samples(X)
    np.testing.assert_allclose(fitted.score_samples(X[17:18]), whole[17:18], rtol=1e-10)
    np.testing.assert_allclose(fitted.score_samples(X[::-1]), whole[::-1], rtol=1e-10)


def test_missing_cells_are_left_out_of_the_density() -> None:
    gaps = X.copy()
    gaps[::5, 1] = np.nan
    fitted = vae().fit(gaps)
    first = -0.5 * np.log(2 * np.pi * np.e) - np.log(20)
    assert fitted.score_samples(gaps)[::5].mean() == pytest.approx(first, abs=0.4)


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
    with pytest.raises(ValueError, match="warm_start"):
        fitted.set_params(latent_dim=2).fit(X)


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
        ({"latent_dim": 0}, "latent_dim"),
        ({"hidden": (0,)}, "hidden"),
        ({"epochs": 1.5}, "epochs"),
        ({"contamination": 0.9}, "contamination"),
        ({"prior": "mixtur"}, "mixture"),
        ({"likelihood": "bernoulli"}, "does not fit"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        vae(**options).fit(X)
