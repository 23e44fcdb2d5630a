"""Annealed importance sampling brackets the exact log p(x), and closes in on it."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import vaekit as vk
from vaekit.errors import UserError
from vaekit.evaluation.annealing import SCHEDULES, Path, annealed, sandwich
from vaekit.evaluation.gaps import gaps
from vaekit.evaluation.hmc import density_at, move
from vaekit.testing import enumerable, linear_gaussian, seeded
from vaekit.testing.statistics import assert_equal, assert_mean, assert_mean_at_most, assert_same, assert_within

FEW = Path(temperatures=10, chains=8, leapfrog=5)
MANY = Path(temperatures=150, chains=32, leapfrog=5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_run_from_0_to_1(name: str) -> None:
    for count in (1, 2, 7, 100):
        betas = SCHEDULES[name](count)
        assert (len(betas), betas[0], betas[-1]) == (count + 1, 0.0, 1.0)
        assert all(before < after for before, after in itertools.pairwise(betas))
        # The same from either end.
        assert all(math.isclose(a + b, 1.0) for a, b in zip(betas, betas[::-1], strict=True))


def test_a_move_leaves_a_density_as_it_is() -> None:
    """Exact draws stay exact draws: mean, variance and correlation, with a step so long that many are refused."""
    covariance = torch.tensor([[1.0, 0.6], [0.6, 2.0]]).double()
    target = torch.distributions.MultivariateNormal(torch.tensor([1.0, -1.0]).double(), covariance)
    with seeded(1):
        z = target.sample(torch.Size([20_000, 1]))
        for _ in range(3):
            z, (log_p,), probability = move(
                z,
                lambda z: density_at(z, lambda z: (target.log_prob(z),), (1.0,)),
                torch.tensor([0.9]).double(),
                torch.ones(1, 2).double(),
                4,
            )
    assert 0.2 < probability.mean() < 0.95
    assert_equal(log_p, target.log_prob(z), "the density that comes with the state")
    centred = z[:, 0] - target.mean
    assert_mean(centred, 0.0, "the mean after three moves")
    assert_mean(centred.unsqueeze(-1) * centred.unsqueeze(-2), covariance, "the covariance after three moves")


def test_a_path_that_runs_away_is_refused() -> None:
    z = torch.ones(3, 1, 2)
    after, _, probability = move(
        z, lambda z: density_at(z, lambda z: (-z.pow(4).sum(-1),), (1.0,)), torch.tensor([50.0]), torch.ones(1, 2), 8
    )
    assert_same(after, z, "chains whose path overflows")
    assert float(probability.max()) == 0.0


def test_one_temperature_is_importance_sampling() -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(5)
    result = annealed(oracle.model, [vk.Batch(x)], Path(temperatures=1, chains=3))
    assert_equal(result.log_p, oracle.log_p(x), "with the exact posterior every weight is p(x)")
    assert_equal(result.effective_chains, 3.0, "equal weights")


@pytest.mark.parametrize("start", ["posterior", "prior"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_weights_are_unbiased_for_p(start: str, schedule: str) -> None:
    """E w = p(x), whatever the few temperatures and the steps that adapt: 4,000 rows of the same x."""
    oracle = linear_gaussian.wrong()
    x = oracle.sample(1)
    path = FEW._replace(chains=2, start=start, schedule=schedule, temperatures=6)
    result = annealed(oracle.model, [vk.Batch(x.expand(4000, -1))], path)
    assert_mean((result.log_p - oracle.log_p(x)).exp(), 1.0, "the mean weight against p(x)")
    assert_mean_at_most(result.log_p, oracle.log_p(x).item(), "its logarithm")


def test_weights_backwards_are_unbiased_for_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    """E 1/w = 1/p(x) for each simulated x."""
    oracle = linear_gaussian.wrong()
    result, log_p = simulated(oracle, FEW._replace(chains=2, temperatures=6), 4000, monkeypatch)
    assert_mean((log_p - result.upper).exp(), 1.0, "the mean inverse weight against 1/p(x)")
    assert_mean((result.lower - log_p).exp(), 1.0, "the mean weight against p(x)")


def simulated(oracle, path: Path, rows: int, monkeypatch: pytest.MonkeyPatch):
    """The bounds on data that the model draws, and the exact log p of the same data."""
    seen: list[torch.Tensor] = []
    encode = oracle.model.encode
    monkeypatch.setattr(oracle.model, "encode", lambda x, condition=None: (seen.append(x), encode(x, condition))[1])
    given = torch.zeros(rows, len(oracle.bias)).double()
    result = sandwich(oracle.model, [vk.Batch(given)], path)
    x = torch.cat([each for each in seen if not bool((each == 0).all())])
    return result, oracle.log_p(x)


@pytest.mark.parametrize("make", [linear_gaussian.wrong, linear_gaussian.hierarchy])
def test_forward_is_below_and_reverse_above(make, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = make()
    gaps = []
    for path in (FEW._replace(start="prior", chains=1), MANY._replace(start="prior")):
        result, log_p = simulated(oracle, path, 40, monkeypatch)
        assert_mean_at_most(result.lower - log_p, 0.0, "the forward bound")
        assert_mean_at_most(log_p - result.upper, 0.0, "the reverse bound")
        gaps.append((result.upper - result.lower).mean().item())
        monkeypatch.undo()
    assert gaps[1] < 0.1 < gaps[0]


def test_more_temperatures_come_within_a_tenth_of_a_nat() -> None:
    oracle = linear_gaussian.wrong()
    x = oracle.sample(40)
    far, near = (
        annealed(oracle.model, [vk.Batch(x)], path._replace(start="prior")).log_p
        for path in (FEW._replace(chains=1), MANY)
    )
    off = [(oracle.log_p(x) - estimate).mean().item() for estimate in (far, near)]
    assert abs(off[1]) < 0.1 < off[0]


def test_a_tiny_discrete_model_is_hit() -> None:
    case = enumerable.binary_vae()
    chains = 64
    result = annealed(case.model, [vk.Batch(case.every_x)], MANY._replace(temperatures=60, chains=chains))
    # The delta method, as for any mean of weights.
    error = (1 / result.effective_chains - 1 / chains).clamp_min(0).sqrt()
    assert error.median() < 0.1
    assert_within(result.log_p - case.log_p(case.every_x), error + 1e-6, "log p(x)")


def test_the_step_finds_the_target_acceptance() -> None:
    oracle = linear_gaussian.wrong()
    result = annealed(oracle.model, [vk.Batch(oracle.sample(20))], MANY)
    assert 0.55 < result.acceptance.mean().item() < 0.8


def test_chunks_and_missing_cells() -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(6)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 0] = False
    observed = torch.distributions.MultivariateNormal(
        oracle.bias[1:], oracle.weight[1:] @ oracle.weight[1:].T + oracle.scale**2 * torch.eye(2).double()
    )
    told: list[int] = []
    for budget in (12, 10_000):
        batch = vk.Batch(x, mask=mask)
        result = annealed(oracle.model, [batch], FEW._replace(temperatures=40), budget=budget, progress=told.append)
        error = (1 / result.effective_chains - 1 / FEW.chains).clamp_min(0).sqrt()
        assert_within(result.log_p - observed.log_prob(x[:, 1:]), error + 1e-6, "log p of what is observed")
    assert sum(told) == 12


def test_what_cannot_be_moved_is_refused() -> None:
    for case, why in ((enumerable.m2(), "the latent y is discrete"), (enumerable.quantized(), "without chance")):
        with pytest.raises(UserError, match=why):
            annealed(case.model, [vk.Batch(case.every_x[:2])], FEW)
    point = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Point(vk.networks.MLP(3, hidden=(4,)), 2),
        vk.likelihoods.Gaussian(vk.networks.MLP(2, hidden=(4,)), (3,)),
    )
    with pytest.raises(UserError, match="no density"):
        sandwich(point, [vk.Batch(torch.zeros(2, 3))], FEW)


@pytest.mark.parametrize("figures", [annealed, sandwich, gaps])
def test_a_prior_that_is_estimated_is_refused(figures) -> None:
    """Powers of an unbiased estimate are biased: the upper bound would lie below log p(x)."""
    likelihood = vk.likelihoods.Gaussian(vk.networks.MLP(2, hidden=(4,)), (3,))
    posterior = vk.posteriors.Diagonal(vk.networks.MLP(3, hidden=(4,)), 2)
    model = vk.VAE(vk.priors.TwoStage(2, hidden=(4,)), posterior, likelihood)
    with pytest.raises(UserError, match=r"log p\(z\) of its prior is itself an estimate"):
        figures(model, [vk.Batch(torch.zeros(2, 3))])


def test_same_seed_same_figures() -> None:
    oracle = linear_gaussian.wrong()
    batch = vk.Batch(oracle.sample(3))
    first, again, other = (annealed(oracle.model, [batch], FEW, seed=seed).log_p for seed in (1, 1, 2))
    assert_same(again, first, "the estimate")
    assert not torch.equal(other, first)
