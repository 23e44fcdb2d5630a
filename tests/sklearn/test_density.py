"""Densities of the estimator beside exact answers, in the units of the data."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from vaekit.sklearn import VAE

X = np.random.default_rng(0).normal([100.0, -3.0], [20.0, 0.5], (300, 2))


def vae(**options: Any) -> VAE:
    return VAE(**{"latent_dim": 1, "hidden": (16,), "epochs": 10, "random_state": 0, "device": "cpu"} | options)


def log_normal(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    rest = x - mean
    return -0.5 * (rest @ np.linalg.solve(covariance, rest) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def test_the_density_is_one_in_the_units_of_the_data() -> None:
    """∫ exp(score) over a grid: at most 1, because the estimate is a lower bound on log p(x), and near it."""
    x = X[:, :1]
    fitted = vae(importance_samples=2000).fit(x)
    grid = np.linspace(-100, 300, 801)[:, None]
    mass = np.exp(fitted.score_samples(grid)).sum() * (grid[1, 0] - grid[0, 0])
    assert 0.98 < mass < 1.005
    exact = -0.5 * np.log(2 * np.pi * np.e) - np.log(20)
    assert fitted.score(x) == pytest.approx(exact, abs=0.1)


def test_linear_layers_have_the_density_of_a_normal_distribution_with_and_without_gaps() -> None:
    """z ~ N(0, 1), x|z ~ N(b + Wz, σ²), all in scales of the columns: x ~ N(b, WWᵀ + σ²)."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(300, 2)) @ random.normal(size=(2, 4)) * [5.0, 1.0, 0.1, 30.0] + [0, 10, -1, 500]
    rows[::2, 0] = rows[1::3, 3] = np.nan
    fitted = vae(
        latent_dim=2,
        hidden=(),
        posterior="cholesky",
        likelihood="gaussian:scale=learned",
        epochs=30,
        importance_samples=5000,
    ).fit(rows)
    model, kind = fitted.model_, fitted.kind_
    with torch.no_grad():
        at = model.decode(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        b, *columns = at.mean.double().numpy()
        sigma = at.stddev[0].double().numpy()
    W, scale = np.stack([column - b for column in columns], 1), np.asarray(kind.scale)
    mean = b * scale + kind.mean
    covariance = np.outer(scale, scale) * (W @ W.T + np.diag(sigma**2))
    scores = fitted.score_samples(rows[:12])
    for row, score in zip(rows, scores, strict=False):
        seen = ~np.isnan(row)
        assert score == pytest.approx(log_normal(row[seen], mean[seen], covariance[np.ix_(seen, seen)]), abs=0.1)


def test_probabilities_of_bits_add_up_to_one() -> None:
    random = np.random.default_rng(2)
    bits = (random.random((200, 1)) < 0.4) ^ (random.random((200, 4)) < 0.1)
    fitted = vae(importance_samples=2000).fit(bits)
    every = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    probability = np.exp(fitted.score_samples(every))
    assert probability.sum() == pytest.approx(1, abs=0.02)
    assert set(np.unique(fitted.sample(20, random_state=0))) == {0, 1}


def test_a_scale_of_the_data_moves_the_density_and_not_the_codes() -> None:
    one, other = vae().fit(X), vae().fit(X * [1000.0, 0.01])
    np.testing.assert_allclose(one.transform(X), other.transform(X * [1000.0, 0.01]), atol=1e-4)
    shift = np.log(1000.0) + np.log(0.01)
    np.testing.assert_allclose(one.score_samples(X) - shift, other.score_samples(X * [1000.0, 0.01]), atol=1e-3)


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"posterior": "coupling", "latent_dim": 2},
        {"prior": "mixture:num_components=3", "posterior": "cholesky"},
        {"prior": "hyperspherical-uniform", "posterior": "von-mises-fisher", "latent_dim": 2},
    ],
    ids=str,
)
def test_a_row_has_the_same_figures_beside_any_others(parts: dict[str, Any]) -> None:
    """Also where codes are means of draws (coupling layers), where vmap has no rule (von Mises–Fisher), and where cells
    are missing."""
    rows = X.copy()
    rows[17:40, 0] = np.nan
    fitted = vae(epochs=2, **parts).fit(rows)
    for figures in (fitted.score_samples, fitted.transform):
        whole = figures(rows)
        np.testing.assert_allclose(figures(rows[17:18]), whole[17:18], rtol=1e-10)
        np.testing.assert_allclose(figures(rows[::-1]), whole[::-1], rtol=1e-10)


def test_draws_are_spread_like_the_data() -> None:
    fitted = vae(epochs=60).fit(X)
    new = fitted.sample(4000, random_state=1)
    np.testing.assert_allclose(new.mean(0), X.mean(0), atol=3)
    np.testing.assert_allclose(new.std(0), X.std(0), rtol=0.15)
    assert np.array_equal(new[:5], fitted.sample(4000, random_state=1)[:5])
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))


def test_what_lies_on_a_line_comes_back() -> None:
    line = np.random.default_rng(3).normal(size=(300, 1)) * [1.0, -50.0, 0.02] + [0, 1000, 5]
    fitted = vae(epochs=100).fit(line)
    codes = fitted.transform(line)
    assert ((fitted.inverse_transform(codes) - line).std(0) / line.std(0) < 0.2).all()
    assert fitted.inverse_transform(codes.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="2 features"):
        fitted.inverse_transform(np.zeros((3, 2)))


def test_without_a_density_of_codes_a_row_is_scored_at_its_code() -> None:
    fitted = vae(posterior="point", likelihood="gaussian:scale=learned").fit(X)
    with torch.no_grad():
        x = fitted.kind_.prepare(torch.from_numpy(X))
        p = fitted.model_.decode(torch.from_numpy(fitted.transform(X)).float())
    exact = p.log_prob(x).numpy() - np.log(fitted.kind_.scale).sum()
    np.testing.assert_allclose(fitted.score_samples(X), exact, atol=1e-3)
