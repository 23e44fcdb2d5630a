"""Directions: normaliser, divergence, samples and their gradients against Bessel functions and quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.distributions import kl_divergence

from vaekit.distributions import HypersphericalUniform, VonMisesFisher
from vaekit.distributions.von_mises_fisher import Angles, log_area, versine
from vaekit.testing import assert_equal, assert_mean, check_gradient, check_on_sphere, seeded

DIMS = [2, 3, 4, 10, 50]
CONCENTRATIONS = [1e-6, 0.1, 1.0, 10.0, 300.0, 1e4, 1e6]


def direction(dims: int, rows: int = 1, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(noise, dim=-1)


def log_normalizer(dims: int, kappa: np.ndarray) -> np.ndarray:
    """log ∫ exp(κ (cos θ − 1)) sin^(m−2) θ dθ = log [√π Γ((m−1)/2) (2/κ)^ν I_ν(κ) exp(−κ)]."""
    order = dims / 2 - 1
    scaled = np.log(special.ive(order, kappa)) - order * np.log(kappa / 2)
    return scaled + 0.5 * math.log(math.pi) + math.lgamma((dims - 1) / 2)


@pytest.mark.parametrize("dims", DIMS)
def test_normaliser_is_the_scaled_bessel_function(dims: int) -> None:
    # Where SciPy's own value does not underflow.
    kappa = np.array([k for k in CONCENTRATIONS if special.ive(dims / 2 - 1, k) > 1e-300])
    assert len(kappa) >= 5
    ours = Angles(dims, torch.from_numpy(kappa)).log_normalizer
    assert_equal(ours, torch.from_numpy(log_normalizer(dims, kappa)), "the logarithm of the normaliser")
    rough = Angles(dims, torch.from_numpy(kappa).float()).log_normalizer
    assert (rough - ours).abs().max() < 2e-5 * (1 + ours.abs().max())


@pytest.mark.parametrize("dims", DIMS)
def test_mean_is_the_ratio_of_bessel_functions(dims: int) -> None:
    kappa = torch.tensor([1.0, 10.0, 300.0, 1e4]).double()
    expected = special.ive(dims / 2, kappa.numpy()) / special.ive(dims / 2 - 1, kappa.numpy())
    mu = direction(dims)
    q = VonMisesFisher(mu.expand(4, -1), kappa)
    assert_equal((q.mean * mu).sum(-1), torch.from_numpy(expected), "the mean along μ")


@pytest.mark.parametrize("dims", [1000, 3000])
def test_thousands_of_dimensions(dims: int) -> None:
    kappa = np.array([1e4, 1e5, 1e6])
    angles = Angles(dims, torch.from_numpy(kappa))
    assert_equal(angles.log_normalizer, torch.from_numpy(log_normalizer(dims, kappa)), "the normaliser's logarithm")
    expected = special.ive(dims / 2, kappa) / special.ive(dims / 2 - 1, kappa)
    assert_equal(1 - angles.mean_of(versine), torch.from_numpy(expected), "the mean along μ")


def test_without_concentration_it_is_uniform() -> None:
    for dims in [*DIMS, 1000, 3000]:
        q = VonMisesFisher(direction(dims), torch.zeros(1).double())
        p = HypersphericalUniform(torch.zeros(dims).double())
        assert_equal(q.log_prob(direction(dims, seed=1)), p.log_prob(direction(dims)), "log q")
        assert_equal(kl_divergence(q, p), torch.zeros(1), "the divergence")
        assert_equal(q.mean, torch.zeros(1, dims), "the mean")
        assert_equal(q.variance, p.variance.expand(1, -1), "the variance")


def test_areas() -> None:
    for dims, area in ((1, 2), (2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2)):
        assert_equal(math.exp(log_area(dims)), float(area), f"the area of the sphere in {dims} dimensions")


@pytest.mark.parametrize("dims, kappa", [(2, 0.3), (2, 30.0), (3, 2.0), (3, 100.0), (4, 5.0), (7, 20.0)])
def test_samples_follow_the_density(dims: int, kappa: float) -> None:
    q = VonMisesFisher(direction(dims), torch.tensor([kappa]).double())
    with seeded():
        z = q.rsample(torch.Size([20_000]))[:, 0]
    check_on_sphere(lambda points: q.log_prob(points[:, None])[:, 0], z, f"vMF({dims}, {kappa})")
    assert_mean(z, q.mean[0], "the mean")
    assert_mean((z - q.mean[0]).square(), q.variance[0], "the variance")


@pytest.mark.parametrize("dims", [20, 50])
@pytest.mark.parametrize("kappa", [1.0, 50.0, 1e5])
def test_samples_in_many_dimensions_and_great_concentration(dims: int, kappa: float) -> None:
    q = VonMisesFisher(direction(dims), torch.tensor([kappa]).double())
    with seeded():
        z = q.rsample(torch.Size([10_000]))[:, 0]
    assert_mean(z, q.mean[0], "the mean")
    assert_mean(-q.log_prob(z[:, None])[:, 0], q.entropy()[0], "the entropy")
    in_float32 = VonMisesFisher(direction(dims).float(), torch.tensor([kappa]))
    with seeded():
        rough = in_float32.rsample(torch.Size([10_000]))[:, 0]
    assert rough.isfinite().all()
    assert_mean(-in_float32.log_prob(rough[:, None])[:, 0], q.entropy()[0].float(), "the entropy in float32", 1e-3)


@pytest.mark.parametrize("dims", [2, 3, 10])
def test_divergence_is_that_of_samples_and_has_the_gradient(dims: int) -> None:
    kappa = torch.tensor([0.5, 20.0, 2000.0]).double()
    q = VonMisesFisher(direction(dims, 3), kappa)
    uniform = HypersphericalUniform(torch.zeros(dims).double())
    other = VonMisesFisher(direction(dims, 3, seed=3), torch.tensor([2.0, 5.0, 1.0]).double())
    with seeded():
        z = q.rsample(torch.Size([20_000]))
    for p in (uniform, other):
        assert_mean(q.log_prob(z) - p.log_prob(z), kl_divergence(q, p), "KL(q‖p) against its formula")
    assert_equal(kl_divergence(q, q), torch.zeros(3), "KL(q‖q)")
    kappa.requires_grad_()
    check_gradient(
        lambda: kl_divergence(VonMisesFisher(q.loc, kappa), uniform).sum(), [kappa], "the divergence from uniform"
    )


@pytest.mark.parametrize("dims, kappa", [(2, 0.2), (2, 8.0), (3, 4.0), (5, 1.0), (5, 50.0), (50, 10.0), (50, 1e4)])
def test_angles_move_so_that_their_distribution_function_stays(dims: int, kappa: float) -> None:
    """dθ/dκ at each quantile, against the difference of quantiles found by integration on a fine grid."""
    step = 1e-3 * kappa
    grid = torch.linspace(
        0, float(Angles(dims, torch.tensor(kappa - step).double()).most), 200_001, dtype=torch.float64
    )

    def quantiles(kappa: float, levels: torch.Tensor) -> torch.Tensor:
        log_density = -kappa * 2 * (grid / 2).sin().square() + (dims - 2) * grid.sin().clamp_min(1e-300).log()
        density = (log_density - log_density.max()).exp()
        total = torch.cat([torch.zeros(1).double(), torch.cumulative_trapezoid(density)])
        return torch.from_numpy(np.interp(levels.numpy(), (total / total[-1]).numpy(), grid.numpy()))

    levels = torch.tensor([0.001, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999]).double()
    expected = (quantiles(kappa + step, levels) - quantiles(kappa - step, levels)) / (2 * step)
    angle = quantiles(kappa, levels)
    slope = Angles(dims, torch.full((7,), kappa).double()).slope(angle)
    assert ((slope - expected).abs() < 2e-4 * expected.abs().max()).all(), (slope, expected)


@pytest.mark.parametrize("dims, kappa", [(2, 1.0), (3, 3.0), (4, 0.5), (10, 20.0)])
def test_gradients_of_samples_are_those_of_expectations(dims: int, kappa: float) -> None:
    """E of linear and quadratic functions of z has a formula whose gradient, in κ and μ, that of samples must have."""
    draws = 10_000
    mu = direction(dims)[0].requires_grad_()
    concentration = torch.tensor(kappa).double().requires_grad_()
    target = direction(dims, seed=5)[0]
    many = VonMisesFisher(mu.expand(draws, -1), concentration.expand(draws))
    with seeded():
        along = many.rsample() @ target
    # E (tᵀz)² = tᵀ(Cov + E E)t with E zzᵀ = E sin²θ/(m−1) (I − μμᵀ) + E cos²θ μμᵀ.
    q = VonMisesFisher(mu, concentration)
    share = (mu @ target).square()
    across = q._angles.mean_of(lambda angle: angle.sin().square())
    formulas = [q.mean @ target, (1 - across) * share + across / (dims - 1) * (1 - share)]
    for function, formula in zip((along, along.square()), formulas, strict=True):
        want_mu, want_kappa = torch.autograd.grad(formula, [mu, concentration], retain_graph=True)
        each_kappa = torch.autograd.grad(function.sum(), many.concentration, retain_graph=True)[0]
        each_mu = torch.autograd.grad(function.sum(), many.loc, retain_graph=True)[0]
        assert_mean(each_kappa, want_kappa, "the derivative in κ")
        # Only the part across μ says how μ turns.
        flat = torch.eye(dims).double() - torch.outer(mu, mu).detach()
        assert_mean(each_mu @ flat, flat @ want_mu, "the derivative in μ")
