"""Least squares and ridge against numpy, and the measures of information against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from vaekit.classical import LeastSquares, Ridge, cross_entropy, entropy, kl_divergence, self_information
from vaekit.testing import seeded
from vaekit.testing.statistics import assert_equal, assert_mean

with seeded(0):
    X = torch.randn(30, 3).double()
    Y = X @ torch.tensor([1.0, -2.0, 0.5]).double() + 0.3 * torch.randn(30).double()


def test_maximum_likelihood_is_least_squares() -> None:
    fitted = LeastSquares().fit(X, Y)
    expected, residual, *_ = np.linalg.lstsq(X.numpy(), Y.numpy(), rcond=None)
    assert_equal(fitted.weight, torch.from_numpy(expected), "w")
    assert_equal(fitted.weight, torch.linalg.inv(X.T @ X) @ X.T @ Y, "(XᵀX)⁻¹Xᵀy")
    assert_equal(fitted.variance, residual[0] / 30, "σ²")
    weight, log_scale = fitted.weight.clone().requires_grad_(), (0.5 * fitted.variance.log()).requires_grad_()
    torch.distributions.Normal(X @ weight, log_scale.exp()).log_prob(Y).sum().backward()
    for parameter in (weight, log_scale):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-8
    density = torch.distributions.Normal(X @ fitted.weight, fitted.variance.sqrt()).log_prob(Y)
    assert_equal(fitted.score(X, Y), density, "the score")


def test_columns_that_depend_on_each_other() -> None:
    twice = torch.cat([X, X[:, :1]], 1)
    expected = np.linalg.lstsq(twice.numpy(), Y.numpy(), rcond=None)[0]
    assert_equal(LeastSquares().fit(twice, Y).weight, torch.from_numpy(expected), "the shortest solution")


@pytest.mark.parametrize(("noise", "prior"), [(0.3, 1.0), (1.0, 0.2), (2.0, 5.0)])
def test_the_mode_is_ridge(noise: float, prior: float) -> None:
    fitted = Ridge(noise, prior).fit(X, Y)
    penalty = noise**2 / prior**2
    # λ as three more rows of data.
    rows = np.concatenate([X.numpy(), math.sqrt(penalty) * np.eye(3)])
    expected = np.linalg.lstsq(rows, np.concatenate([Y.numpy(), np.zeros(3)]), rcond=None)[0]
    assert_equal(fitted.weight, torch.from_numpy(expected), "w")
    # It is where p(w) p(y|X, w) has no gradient.
    w = fitted.weight.clone().requires_grad_()
    (-0.5 * w.square().sum() / prior**2 - 0.5 * (Y - X @ w).square().sum() / noise**2).backward()
    assert w.grad is not None
    assert w.grad.abs().max() < 1e-9


def test_no_prior_is_maximum_likelihood() -> None:
    assert (Ridge(1.0, 1e6).fit(X, Y).weight - LeastSquares().fit(X, Y).weight).abs().max() < 1e-12
    assert Ridge(1.0, 1e-6).fit(X, Y).weight.abs().max() < 1e-9


def test_posterior_and_prediction_are_those_of_the_joint_gaussian() -> None:
    noise, prior, new = 0.5, 1.5, torch.tensor([[0.3, -1.0, 2.0]]).double()
    fitted = Ridge(noise, prior).fit(X, Y)
    rows = torch.cat([X, new])
    joint = MultivariateNormal(torch.zeros(31).double(), prior**2 * rows @ rows.T + noise**2 * torch.eye(31).double())
    first = MultivariateNormal(joint.mean[:30], joint.covariance_matrix[:30, :30])
    value = torch.tensor([0.7]).double()
    assert_equal(fitted.score(new, value), joint.log_prob(torch.cat([Y, value])) - first.log_prob(Y), "log p(y|X, Y)")


def test_samples() -> None:
    fitted, ridge = LeastSquares().fit(X, Y), Ridge(0.3, 1.0).fit(X, Y)
    assert_mean(fitted.sample(X[:1].expand(4000, -1)), (X[0] @ fitted.weight).item(), "draws of y")
    draws = torch.stack([ridge.sample(X[:1], seed) for seed in range(500)])
    assert_mean(draws, X[:1] @ ridge.weight, "draws of y with their own w")


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Ridge(0.0, 1.0)
    with pytest.raises(ValueError, match=r"y \(rows,\), got \(30, 3\) and \(29,\)"):
        LeastSquares().fit(X, Y[:-1])


def distributions(size: int = 4) -> st.SearchStrategy[torch.Tensor]:
    weights = st.lists(st.floats(0.01, 1.0), min_size=size, max_size=size)
    return weights.map(lambda w: torch.tensor(w).double() / torch.tensor(w).double().sum())


@given(distributions(), distributions())
def test_information(p: torch.Tensor, q: torch.Tensor) -> None:
    assert_equal(entropy(p), (p * self_information(p)).sum(), "H = E[I]")
    assert_equal(kl_divergence(p, q), cross_entropy(p, q) - entropy(p), "KL = H(P, Q) − H(P)")
    assert kl_divergence(p, q) >= -1e-12
    assert_equal(kl_divergence(p, p), 0.0, "KL(P‖P)")
    assert -1e-12 <= entropy(p, base=2) <= 2 + 1e-12
    assert_equal(kl_divergence(p, q, base=2) * math.log(2), kl_divergence(p, q), "bits and nats")


def test_information_at_the_ends() -> None:
    sure, fair = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    assert entropy(sure) == 0
    assert kl_divergence(sure, fair, base=2) == 1
    assert kl_divergence(fair, sure) == math.inf
    assert self_information(sure)[1] == math.inf
    skew = torch.tensor([0.9, 0.1])
    assert kl_divergence(fair, skew) != kl_divergence(skew, fair), "it is not symmetric"
    for wrong in (torch.tensor([0.5, 0.4]), torch.tensor([1.5, -0.5])):
        with pytest.raises(ValueError, match="probabilities"):
            entropy(wrong)
