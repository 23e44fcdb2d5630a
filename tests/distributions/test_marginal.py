"""A density that is known by a bound only, where the density itself is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from vaekit.distributions import Marginal
from vaekit.testing import assert_equal, assert_mean, assert_mean_at_most, seeded
from vaekit.testing.statistics import mean_and_error

INNER, OUTER, NOISE = 2, 3, 0.5


class Case:
    """u ~ N(0, I), z = A u + N(0, noise²): p(z) and q(u|z) are Gaussians that can be written down."""

    def __init__(self, wrong: float = 0.0) -> None:
        with seeded():
            self.map = torch.randn(OUTER, INNER).double()
            self.z = torch.randn(4, OUTER).double()
        self.wrong = wrong
        covariance = self.map @ self.map.T + NOISE**2 * torch.eye(OUTER).double()
        self.exact = MultivariateNormal(torch.zeros(OUTER).double(), covariance)

    def generate(self, u: Tensor) -> Independent:
        return Independent(Normal(u @ self.map.T, torch.full((OUTER,), NOISE).double()), 1)

    def infer(self, z: Tensor) -> MultivariateNormal:
        precision = torch.eye(INNER).double() + self.map.T @ self.map / NOISE**2
        covariance = torch.linalg.inv(precision)
        return MultivariateNormal(z @ self.map @ covariance / NOISE**2 + self.wrong, covariance)

    def marginal(self, samples: int) -> Marginal:
        latent = Independent(Normal(torch.zeros(INNER).double(), 1.0), 1)
        return Marginal(latent, self.generate, self.infer, torch.Size([OUTER]), samples)


def test_exact_with_the_exact_posterior() -> None:
    case = Case()
    with seeded():
        assert_equal(case.marginal(1).log_prob(case.z), case.exact.log_prob(case.z), "log p(z)")


def test_a_bound_that_grows_tight_with_a_wrong_one() -> None:
    case = Case(wrong=0.3)
    many = case.z.expand(20_000, 4, OUTER)
    exact = case.exact.log_prob(case.z)
    with seeded():
        one, ten = (case.marginal(samples).log_prob(many) for samples in (1, 10))
    assert_mean_at_most(one, exact, "the bound of one draw")
    assert_mean_at_most(ten, exact, "the bound of ten draws")
    (low, error), (high, _) = mean_and_error(one), mean_and_error(ten)
    assert (high - low > 4 * error).all()
    for name, estimate in (("one draw", one), ("ten draws", ten)):
        assert_mean((estimate - exact).exp(), torch.ones(4), f"the ratio of the estimate to p(z), {name}")


def test_samples_have_the_moments_of_the_marginal() -> None:
    case = Case()
    with seeded():
        drawn = case.marginal(1).sample(torch.Size([20_000]))
    products = drawn.unsqueeze(-1) * drawn.unsqueeze(-2)
    assert_mean(products, case.exact.covariance_matrix, "the covariance of z")
