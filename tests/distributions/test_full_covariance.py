"""Gaussians with full covariance against torch's and against dense algebra."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, Normal, kl_divergence

from vaekit.distributions import CholeskyNormal, HouseholderNormal, LowRankNormal, RankOneNormal, divergence
from vaekit.distributions.full_covariance import reflected
from vaekit.testing import assert_equal, assert_mean, check_density, check_gradient, seeded

ROWS, DIMS = 3, 5
GAUSSIANS = ["rank-one", "rank-one without a direction", "rank-one with a large one", "householder", "low-rank"]


def pair(seed: int = 0, batch: tuple[int, ...] = (4,), dims: int = 3) -> tuple[CholeskyNormal, MultivariateNormal]:
    torch.manual_seed(seed)
    loc = torch.randn(*batch, dims).double()
    lower = torch.randn(*batch, dims, dims).double().tril(-1) + torch.diag_embed(
        torch.rand(*batch, dims).double() + 0.2
    )
    return CholeskyNormal(loc, lower), MultivariateNormal(loc, scale_tril=lower)


def test_log_prob_right_after_drawing_uses_the_noise_and_is_right() -> None:
    q, reference = pair()
    z = q.rsample(torch.Size([7]))
    assert_equal(q.log_prob(z), reference.log_prob(z), "log q of the value just drawn")
    assert_equal(q.log_prob(z), q.log_prob(z.clone()), "log q by the noise and by solving for it")


def test_log_prob_of_other_values() -> None:
    q, reference = pair()
    first = q.rsample()
    q.rsample()  # the noise that is remembered is now another's
    other = torch.randn(7, 4, 3).double()
    assert_equal(q.log_prob(first), reference.log_prob(first), "log q of a value drawn before the last one")
    assert_equal(q.log_prob(other), reference.log_prob(other), "log q of a value that was not drawn")


def test_gradient_of_log_prob_after_drawing_is_that_of_the_whole_expression() -> None:
    # Both paths see the same z(θ): dz/dθ and dlog q/dθ together.
    gradients = []
    for cached in (True, False):
        torch.manual_seed(0)
        loc = torch.randn(4, 3).double().requires_grad_()
        lower = (torch.randn(4, 3, 3).double().tril(-1) + torch.eye(3)).requires_grad_()
        q = CholeskyNormal(loc, lower)
        z = q.rsample(torch.Size([5]))
        log_q = q.log_prob(z if cached else z.clone())
        gradients.append(torch.autograd.grad((log_q + z.square().sum(-1)).sum(), [loc, lower]))
    for one, other in zip(*gradients, strict=True):
        assert_equal(one.tril(), other.tril(), "the gradient")


def test_moments_and_entropy() -> None:
    q, reference = pair()
    assert_equal(q.mean, reference.mean, "the mean")
    assert_equal(q.variance, reference.variance, "the variance")
    assert_equal(q.entropy(), reference.entropy(), "the entropy")


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_density_integrates_to_one_and_samples_follow_it(dims: int) -> None:
    q, _ = pair(batch=(), dims=dims)
    check_density(q.log_prob, q.sample(torch.Size([20_000])), "CholeskyNormal")


def test_divergence_from_another_full_gaussian() -> None:
    (q, q_reference), (p, p_reference) = pair(0), pair(1)
    assert_equal(kl_divergence(q, p), kl_divergence(q_reference, p_reference), "KL(q‖p)")
    assert_equal(kl_divergence(q, q), torch.zeros(4), "KL(q‖q)")


def test_divergence_from_a_diagonal_gaussian() -> None:
    q, reference = pair()
    loc, scale = torch.randn(3).double(), torch.rand(3).double() + 0.5
    expected = kl_divergence(reference, MultivariateNormal(loc, torch.diag(scale.square())))
    assert_equal(kl_divergence(q, Independent(Normal(loc, scale), 1)), expected, "KL(q‖p)")


def test_no_divergence_from_what_is_not_gaussian() -> None:
    q, _ = pair()
    assert divergence(q, Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)) is None
    assert divergence(q, Independent(Normal(torch.zeros(4, 3), torch.ones(4, 3)), 2)) is None


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(name: str, dims: int = DIMS, seed: int = 0) -> tuple[Distribution, MultivariateNormal]:
    """One of each kind, and the same with a dense covariance."""
    loc, spread = random(ROWS, dims, seed=seed), 0.5 + random(ROWS, dims, seed=seed + 1).square()
    if name == "householder":
        vectors = random(ROWS, 3, dims, seed=seed + 2)
        turn = torch.eye(dims).double().expand(ROWS, dims, dims)
        for v in vectors.unbind(1):
            outer = v[:, :, None] * v[:, None, :] / v.square().sum(-1)[:, None, None]
            turn = (torch.eye(dims).double() - 2 * outer) @ turn
        dense = MultivariateNormal((turn @ loc[..., None])[..., 0], turn @ torch.diag_embed(spread.square()) @ turn.mT)
        return HouseholderNormal(loc, spread, vectors), dense
    if name == "low-rank":
        columns = random(ROWS, dims, 2, seed=seed + 2)
        dense = MultivariateNormal(loc, torch.diag_embed(spread) + columns @ columns.mT)
        return LowRankNormal(loc, columns, spread, validate_args=False), dense
    factor = {"rank-one": 1.0, "rank-one without a direction": 0.0, "rank-one with a large one": 100.0}[name]
    u = factor * random(ROWS, dims, seed=seed + 2)
    precision = torch.diag_embed(spread) + u[:, :, None] * u[:, None, :]
    return RankOneNormal(loc, spread, u), MultivariateNormal(loc, precision_matrix=precision)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_they_are_the_dense_gaussian(name: str) -> None:
    q, dense = gaussian(name)
    z = 3 * random(7, ROWS, DIMS, seed=9)
    for what in ("mean", "variance", "stddev"):
        assert_equal(getattr(q, what), getattr(dense, what), what)
    assert_equal(q.log_prob(z), dense.log_prob(z), "log q")
    assert_equal(q.entropy(), dense.entropy(), "the entropy")


@pytest.mark.parametrize("name", GAUSSIANS)
def test_divergences_are_those_of_the_dense_gaussian(name: str) -> None:
    q, dense = gaussian(name)
    zero = torch.zeros(DIMS).double()
    for loc, scale in ((zero, zero + 1), (random(ROWS, DIMS, seed=5), 0.3 + random(ROWS, DIMS, seed=6).square())):
        found = divergence(q, Independent(Normal(loc, scale), 1))
        assert found is not None
        expected = kl_divergence(dense, MultivariateNormal(loc, torch.diag_embed(scale.square())))
        assert_equal(found[0], expected, "KL(q‖p) to a diagonal Gaussian")
    assert divergence(q, Independent(Normal(zero.reshape(1, DIMS), 1.0), 2)) is None


def test_divergence_between_two_of_rank_one() -> None:
    q, dense_q = gaussian("rank-one")
    p, dense_p = gaussian("rank-one", seed=20)
    assert_equal(kl_divergence(q, p), kl_divergence(dense_q, dense_p), "KL(q‖p)")
    assert_equal(kl_divergence(q, q), torch.zeros(ROWS), "KL(q‖q)")


@pytest.mark.parametrize("name", GAUSSIANS)
def test_samples_have_the_covariance(name: str) -> None:
    q, dense = gaussian(name)
    with seeded():
        z = q.rsample(torch.Size([20_000]))
    centred = z - dense.mean
    assert_mean(z, dense.mean, "the mean of samples")
    assert_mean(centred[..., :, None] * centred[..., None, :], dense.covariance_matrix, "the covariance of samples")


@pytest.mark.parametrize("name", ["rank-one", "rank-one without a direction"])
def test_the_factor_of_samples_is_exact(name: str) -> None:
    """R Rᵀ = C: the columns of R are what a sample does with unit noise."""
    q, dense = gaussian(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", lambda shape, **_: torch.eye(DIMS).double()[:, None].expand(shape))
        columns = q.rsample(torch.Size([DIMS])) - q.mean  # noise, row, latent
    assert_equal(torch.einsum("nri,nrj->rij", columns, columns), dense.covariance_matrix, "R Rᵀ")


def test_gradients_of_rank_one_are_right_where_there_is_no_direction() -> None:
    loc, precision, u = random(2, 3), 1 + random(2, 3, seed=1).square(), torch.zeros(2, 3).double()
    for tensor in (loc, precision, u):
        tensor.requires_grad_()

    def value() -> torch.Tensor:
        q = RankOneNormal(loc, precision, u)
        with seeded():
            z = q.rsample(torch.Size([4]))
        return (q.log_prob(z) + z.sin().sum(-1)).sum() + q.entropy().sum()

    check_gradient(value, [loc, precision, u], "a function of a rank-one sample")


def test_a_reflection_twice_is_nothing_and_keeps_lengths() -> None:
    v = torch.nn.functional.normalize(random(4), dim=-1)
    z = random(6, 4, seed=1)
    assert_equal(reflected(reflected(z, v), v), z, "a reflection twice")
    assert_equal(reflected(z, v).norm(dim=-1), z.norm(dim=-1), "the length")


def test_a_precise_low_rank_density_in_single_precision() -> None:
    """Loose along the columns, precise across them; also where the values and the batch have leading axes."""
    loc, columns, deviation = random(ROWS, 20), random(ROWS, 20, 2, seed=1), torch.full((ROWS, 20), 1e-3).double()
    single = LowRankNormal(loc.float(), columns.float(), deviation.float().square(), validate_args=False)
    double = MultivariateNormal(
        single.loc.double(),
        torch.diag_embed(single.cov_diag.double()) + single.cov_factor.double() @ single.cov_factor.double().mT,
    )
    with seeded():
        z = single.sample(torch.Size([4, 500]))
    error = single.log_prob(z).double() - double.log_prob(z.double())
    assert error.abs().max() < 0.01
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(single.log_prob(z).sum(), z)
    wide = z.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(double.log_prob(wide).sum(), wide)
    assert (gradient.double() - exact).norm() < 1e-3 * exact.norm()


def test_gradients_of_low_rank() -> None:
    loc, columns, variance = random(2, 4), random(2, 4, 2, seed=1), 0.5 + random(2, 4, seed=2).square()
    z = random(3, 2, 4, seed=3)
    leaves = [each.requires_grad_() for each in (loc, columns, variance, z)]

    def value() -> torch.Tensor:
        return LowRankNormal(loc, columns, variance).log_prob(z).sin().sum()

    check_gradient(value, leaves, "the density of a low-rank Gaussian")


@pytest.mark.parametrize("factor", [1e2, 1e4])
def test_variances_of_a_strong_direction_in_single_precision(factor: float) -> None:
    u = factor * torch.tensor([[1.0, 0.0, 1e-4], [0.7, 0.7, 1e-3]])
    q = RankOneNormal(torch.zeros(2, 3), torch.ones(2, 3), u)
    precision = torch.eye(3).double() + u.double()[:, :, None] * u.double()[:, None, :]
    exact = torch.linalg.inv(precision).diagonal(dim1=-2, dim2=-1)
    assert ((q.variance - exact).abs() < 1e-5 * exact).all()
