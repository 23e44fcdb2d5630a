"""Mixtures: the densities of torch's own, as precise as single precision allows; and marginals, which are bounds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from vaekit.distributions import CholeskyNormal, Chosen, Marginal, Mixture, mixture
from vaekit.testing import assert_equal, assert_mean, assert_mean_at_most, check_density, check_gradient, seeded
from vaekit.testing.statistics import mean_and_error

K, D = 7, 3
INNER, OUTER, NOISE = 2, 3, 0.5  # of a marginal


def components(name: str, batch: tuple[int, ...] = ()) -> tuple[list[Tensor], Distribution, Distribution]:
    """Leaves, components of them, and the same in torch's own words."""
    loc = torch.randn(*batch, K, D).double().requires_grad_()
    scale = (torch.rand(*batch, K, D).double() + 0.1).requires_grad_()
    if name == "cholesky":
        below = torch.randn(*batch, K, D, D).double().requires_grad_()
        tril = below.tril(-1) + torch.diag_embed(scale)
        return [loc, scale, below], CholeskyNormal(loc, tril), MultivariateNormal(loc, scale_tril=tril)
    single = {"diagonal": Normal, "laplace": Laplace}[name](loc, scale)
    return [loc, scale], Independent(single, 1), Independent(single, 1)


@pytest.mark.parametrize("batch", [(), (4,)])
@pytest.mark.parametrize("name", ["diagonal", "cholesky", "laplace"])
def test_density_and_gradient_are_those_of_torchs_mixture(name: str, batch: tuple[int, ...]) -> None:
    with seeded():
        leaves, own, theirs = components(name, batch)
        logits = torch.randn(K).double().requires_grad_()
        values = [3 * torch.randn(*leading, *batch, D).double() for leading in ((), (2,), (5, 6))]
    p = Mixture(logits, own)
    q = MixtureSameFamily(Categorical(logits=logits.expand(*batch, K)), theirs)
    assert_equal(p.mean, q.mean, "the mean")
    assert_equal(p.variance, q.variance, "the variance")
    for z in values:
        z.requires_grad_()
        assert_equal(p.log_prob(z), q.log_prob(z), f"log p of {tuple(z.shape)}")
        both = (torch.autograd.grad(m.log_prob(z).sum(), [z, logits, *leaves], retain_graph=True) for m in (p, q))
        for one, other in zip(*both, strict=True):
            assert_equal(one, other, "the gradient")


@pytest.mark.parametrize("name", ["diagonal", "cholesky"])
def test_gradient_against_finite_differences(name: str) -> None:
    with seeded():
        leaves, _, _ = components(name)
        z = torch.randn(4, D).double().requires_grad_()

    def value() -> Tensor:
        loc, scale, *below = leaves
        tril = below[0].tril(-1) + torch.diag_embed(scale) if below else None
        own = CholeskyNormal(loc, tril) if tril is not None else Independent(Normal(loc, scale), 1)
        return Mixture(torch.zeros(K).double(), own).log_prob(z).sum()

    check_gradient(value, [z, *leaves], f"a mixture ({name})")


@pytest.mark.parametrize("smallest", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("away", [0.0, 30.0, 1e6])
def test_single_precision_is_as_good_as_its_numbers(smallest: float, away: float) -> None:
    """Beside the same numbers in double precision: narrow components, z at their centres, near them and far away."""
    with seeded():
        loc, scale = 3 * torch.randn(50, 40), smallest * (1 + torch.rand(50, 40))
        z = torch.cat([loc[:10], loc[:10] + scale[:10] * torch.randn(10, 40), torch.randn(10, 40)]) + away
    z.requires_grad_()
    p = Mixture(torch.zeros(50), Independent(Normal(loc, scale), 1))
    wide = MixtureSameFamily(
        Categorical(logits=torch.zeros(50).double()), Independent(Normal(loc.double(), scale.double()), 1)
    )
    log_p, exact = p.log_prob(z), wide.log_prob(z.double())
    assert log_p.dtype == torch.float32
    off = (log_p - exact).abs() / (1 + exact.abs())
    assert off.max() < 1e-6
    gradient, expected = (torch.autograd.grad(each.sum(), z)[0].double() for each in (log_p, exact))
    assert ((gradient - expected).abs() / (1 + expected.abs())).max() < 1e-5


def test_products_in_single_precision_would_not_do() -> None:
    """The reason for the detour: with the terms in float32 a narrow component is off by nats at its own centre."""
    with seeded():
        loc, scale = 3 * torch.randn(50, 40), torch.full((50, 40), 1e-3)
    precision = scale.pow(-2)
    naive = loc.square() @ precision.T - 2 * loc @ (loc * precision).T + (loc.square() * precision).sum(-1)
    assert naive.diagonal().abs().max() > 1.0
    each_of = Mixture(torch.zeros(50), Independent(Normal(loc, scale), 1)).log_prob(loc)
    exact = Independent(Normal(loc.double(), scale.double()), 1).log_prob(loc.double()) - torch.tensor(50.0).log()
    assert (each_of - exact).abs().max() < 1e-4


def test_what_is_negligible_changes_nothing() -> None:
    log_p = torch.tensor([[0.0, -50.0, -1000.0], [-1e30, -1e30, -1e30], [5.0, 5.0, -float("inf")]]).double()
    assert_equal(mixture._logsumexp(log_p), torch.logsumexp(log_p, -1), "log Σ exp")


def test_many_values_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with seeded():
        batched = [components(name, (2,))[1] for name in ("diagonal", "cholesky", "laplace")]
        z = torch.randn(11, 2, D).double()
        for own in batched:
            whole = Mixture(torch.zeros(K).double(), own).log_prob(z)
            monkeypatch.setattr(mixture, "PIECE", 3 * 2 * K * D)
            assert_equal(Mixture(torch.zeros(K).double(), own).log_prob(z), whole, "log p in pieces")
            monkeypatch.undo()


@pytest.mark.parametrize("piece", [1 << 22, 200])
def test_samples_follow_the_density(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "PIECE", piece)
    with seeded():
        own = Independent(Normal(torch.randn(K, 2).double(), 0.1 + torch.rand(K, 2).double()), 1)
        p = Mixture(torch.randn(K).double(), own)
        drawn = p.sample(torch.Size([20_000 if piece > 200 else 3_000]))
    check_density(p.log_prob, drawn, "a mixture")


def test_every_row_draws_from_its_own_mixture() -> None:
    with seeded():
        p = Mixture(torch.randn(3, K).double(), components("diagonal", (3,))[1])
        drawn = p.sample(torch.Size([20_000]))
    assert drawn.shape == (20_000, 3, D)
    assert_mean(drawn, p.mean.detach(), "the means of the rows")
    # Draws of different rows have nothing to do with each other.
    centred = (drawn - p.mean.detach()) / p.stddev.detach()
    assert_mean(centred[:, 0] * centred[:, 1], torch.zeros(D), "the correlation of two rows")


def test_rows_that_share_a_distribution() -> None:
    with seeded():
        p = Mixture(torch.zeros(K).double(), components("diagonal", (2,))[1])
        which = torch.tensor([1, 0, 1])
        chosen = Chosen(p, which)
        z = torch.randn(5, 3, D).double()
        drawn = chosen.sample(torch.Size([20_000]))
    for row, index in enumerate(which.tolist()):
        assert_equal(chosen.log_prob(z)[:, row], p.log_prob(z[:, row, None])[:, index], f"row {row}")
    assert_mean(drawn, chosen.mean.detach(), "the means of the rows")
    assert not torch.equal(drawn[:, 0], drawn[:, 2])


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
