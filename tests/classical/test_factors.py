"""Probabilistic PCA and factor analysis: closed forms, EM, and what a maximum must be."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as OtherFactorAnalysis
from torch.distributions import MultivariateNormal

from vaekit.classical import FactorAnalysis, Factors, ProbabilisticPCA
from vaekit.testing import seeded
from vaekit.testing.statistics import assert_equal, assert_mean


def factors(noise: tuple[float, ...] = (0.3, 0.6, 0.2, 0.9, 0.5)) -> Factors:
    with seeded(2):
        return Factors(torch.randn(5).double(), torch.randn(5, 2).double(), torch.tensor(noise).double())


ROWS = factors().sample(400, torch.Generator().manual_seed(0))


def test_density_posterior_and_samples_of_a_joint_gaussian() -> None:
    given = factors()
    covariance = given.loading @ given.loading.T + torch.diag(given.noise)
    assert_equal(given.log_prob(ROWS), MultivariateNormal(given.mean, covariance).log_prob(ROWS), "log p(x)")
    centred = ROWS - ROWS.mean(0)
    there = given._replace(mean=ROWS.mean(0))
    assert_equal(there.mean_log_prob(centred.T @ centred / len(ROWS)), there.log_prob(ROWS).mean(), "its mean")
    gain = given.loading.T @ torch.linalg.inv(covariance)
    q = given.encode(ROWS)
    assert_equal(q.mean, (ROWS - given.mean) @ gain.T, "E[z|x]")
    assert_equal(q.covariance_matrix[0], torch.eye(2) - gain @ given.loading, "Cov[z|x]")
    many = given.sample(20_000, torch.Generator().manual_seed(1)) - given.mean
    assert_mean(many.unsqueeze(-1) * many.unsqueeze(-2), covariance, "the covariance of draws")


def test_pca_in_closed_form_is_that_of_scikit_learn() -> None:
    pca = ProbabilisticPCA(2).fit(ROWS)
    expected = PCA(2).fit(ROWS.numpy())
    scale = len(ROWS) / (len(ROWS) - 1)  # its covariance is divided by rows − 1
    covariance = (pca.factors.loading @ pca.factors.loading.T + torch.diag(pca.factors.noise)) * scale
    assert_equal(covariance, torch.from_numpy(expected.get_covariance()), "the covariance")
    assert_equal(pca.course[0], pca.score(ROWS).mean(), "the mean log-likelihood")


@pytest.mark.parametrize("latent_dim", [1, 2, 4])
def test_em_rises_to_the_closed_form(latent_dim: int) -> None:
    closed = ProbabilisticPCA(latent_dim).fit(ROWS)
    em = ProbabilisticPCA(latent_dim).fit_em(ROWS)
    rises = [after - before for before, after in itertools.pairwise(em.course)]
    assert len(rises) > 3
    assert min(rises) > -1e-12
    assert em.course[-1] == pytest.approx(closed.course[0], rel=1e-6)
    assert em.course[-1] <= closed.course[0] + 1e-12
    assert_equal(em.score(ROWS).mean(), em.course[-1], "the score")


def test_one_step_of_em_is_the_e_and_m_step_row_by_row() -> None:
    em = ProbabilisticPCA(2).fit_em(ROWS, steps=1, seed=3)
    before = em.factors
    q = before.encode(ROWS)
    second = q.covariance_matrix.sum(0) + q.mean.T @ q.mean
    centred = ROWS - before.mean
    loading = centred.T @ q.mean @ torch.linalg.inv(second)
    residual = (
        centred.square().sum() - 2 * (q.mean @ loading.T * centred).sum() + (second @ loading.T @ loading).trace()
    )
    after = ProbabilisticPCA(2).fit_em(ROWS, steps=2, seed=3).factors
    assert_equal(after.loading, loading, "W")
    assert_equal(after.noise, residual / ROWS.numel(), "σ²")


def test_factor_analysis_rises_and_ends_where_the_gradient_is_zero() -> None:
    fitted = FactorAnalysis(2).fit(ROWS, steps=5000, tolerance=1e-15)
    assert min(after - before for before, after in itertools.pairwise(fitted.course)) > -1e-12
    assert fitted.course[-1] > ProbabilisticPCA(2).fit(ROWS).course[0] + 0.01
    loading, log_noise = fitted.factors.loading.clone(), fitted.factors.noise.log()
    loading.requires_grad_(), log_noise.requires_grad_()
    Factors(fitted.factors.mean, loading, log_noise.exp()).log_prob(ROWS).mean().backward()
    assert loading.grad is not None
    assert log_noise.grad is not None
    assert loading.grad.abs().max() < 1e-5
    assert log_noise.grad.abs().max() < 1e-5
    other = OtherFactorAnalysis(2, tol=1e-10, max_iter=20_000).fit(ROWS.numpy())
    assert fitted.score(ROWS).mean().item() == pytest.approx(other.score(ROWS.numpy()), rel=1e-6)


@pytest.mark.parametrize("units", [1e-6, 1e-3, 1.0, 1e6])
def test_factor_analysis_does_not_depend_on_the_units(units: float) -> None:
    fitted, rows = FactorAnalysis(2).fit(ROWS, steps=50), ROWS * units
    elsewhere = FactorAnalysis(2).fit(rows, steps=50)
    shift = ROWS.shape[1] * math.log(units)
    assert elsewhere.score(rows).mean() >= ProbabilisticPCA(2).fit(rows).score(rows).mean()
    assert elsewhere.score(rows).mean().item() + shift == pytest.approx(fitted.score(ROWS).mean().item(), rel=1e-6)


def test_a_constant_value_has_the_smallest_noise() -> None:
    rows = torch.cat([ROWS, torch.ones(len(ROWS), 1).double()], 1)
    fitted = FactorAnalysis(2, minimum_noise=1e-3).fit(rows)
    assert_equal(fitted.factors.noise[-1], 1e-3, "the noise of the constant")
    assert min(after - before for before, after in itertools.pairwise(fitted.course)) > -1e-12


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match=r"latent_dim must be from 1 to 4 for rows of 5 values, got 5"):
        ProbabilisticPCA(5).fit(ROWS)
    with pytest.raises(ValueError, match="at least two rows"):
        ProbabilisticPCA(1).fit_em(ROWS[:1])
    with pytest.raises(ValueError, match="not finite"):
        FactorAnalysis(1).fit(ROWS / 0)
    with pytest.raises(ValueError, match="nothing is left to be noise"):
        ProbabilisticPCA(2).fit(ROWS[:3])
    with pytest.raises(ValueError, match="above 0"):
        FactorAnalysis(1, minimum_noise=0.0)
