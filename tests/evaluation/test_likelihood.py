"""Estimates of log p(x)."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.data import as_dataset
from vaekit.errors import UserError
from vaekit.evaluation import bound, evaluate, log_likelihood
from vaekit.evaluation.likelihood import elements_per_draw, evaluating
from vaekit.models.draw import Draw
from vaekit.testing import assert_equal, assert_mean_at_most, assert_same, enumerable, linear_gaussian, seeded
from vaekit.testing.statistics import assert_within

BUDGETS = [1, 40, 10**9]


@pytest.mark.parametrize("budget", [1, 10**6])
def test_effective_samples_do_not_depend_on_the_size_of_log_p(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In single precision, where log w is known to an eighth and 2 log w is not."""
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(4).float()
    model = oracle.model.float()
    rounded = Draw.log_w.fget  # type: ignore[attr-defined]
    effective = []
    for shift in (0.0, -1e6):
        # An eighth is a number in float32 at a million.
        monkeypatch.setattr(Draw, "log_w", property(lambda self, by=shift: (rounded(self) * 8).round() / 8 + by))
        effective.append(log_likelihood(model, [vk.Batch(x)], samples=50, budget=budget).effective_samples)
    torch.testing.assert_close(*effective, rtol=1e-4, atol=0)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("rows", [1, 3, 12])
def test_chunks_do_not_matter_with_the_exact_posterior(budget: int, rows: int) -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(12)
    result = log_likelihood(oracle.model, [vk.Batch(part) for part in x.split(rows)], samples=7, budget=budget)
    assert_equal(result.log_p, oracle.log_p(x), "the estimate")
    assert_equal(result.effective_samples, torch.full((12,), 7.0), "the effective number of samples")


@pytest.mark.parametrize("budget", BUDGETS)
def test_chunks_are_the_whole_within_the_noise(budget: int) -> None:
    oracle = linear_gaussian.wrong()
    x = oracle.sample(1).repeat(500, 1)  # one row many times: 500 independent estimates
    whole = log_likelihood(oracle.model, [vk.Batch(x)], samples=10, seed=1)
    chunked = log_likelihood(oracle.model, [vk.Batch(x)], samples=10, seed=2, budget=budget * 500 * 3)
    for name in ("log_p", "elbo", "log_px", "effective_samples"):
        one, other = getattr(whole, name), getattr(chunked, name)
        assert one.shape == (500,)
        error = ((one.var() + other.var()) / 500).sqrt()
        assert_within(one.mean() - other.mean(), error, f"{name} in chunks")
    assert_equal(chunked.kl, whole.kl, "the analytic KL in chunks")


@pytest.mark.parametrize(
    "budget, calls", [(1, [(1, 1)] * 35), (9, [(1, 3), (1, 2), (1, 2)] * 5), (44, [(2, 7)] * 2 + [(1, 7)])]
)
def test_chunks_are_of_few_rows_and_many_draws(budget: int, calls: list[tuple[int, int]]) -> None:
    """So that few rows are encoded again; no chunk is above the budget, and none is nearly empty."""
    seen: list[tuple[int, int]] = []
    oracle = linear_gaussian.exact()
    x = oracle.sample(5)
    assert x.shape == (5, 3)
    draw = oracle.model.draw
    oracle.model.draw = lambda batch, count: seen.append((len(batch.x), count)) or draw(batch, count)  # type: ignore[method-assign]
    log_likelihood(oracle.model, [vk.Batch(x)], samples=7, budget=budget)
    assert seen == calls


@pytest.mark.parametrize("budget", BUDGETS)
def test_rows_in_another_order_give_their_figures_in_that_order(budget: int) -> None:
    oracle = linear_gaussian.exact()
    x, order = oracle.sample(12), torch.randperm(12, generator=torch.Generator().manual_seed(0))
    plain, permuted = (log_likelihood(oracle.model, [vk.Batch(rows)], 7, budget=budget) for rows in (x, x[order]))
    assert_equal(permuted.log_p, plain.log_p[order], "the estimate")
    assert_equal(permuted.kl, plain.kl[order], "the KL")


def test_masks_and_conditions_stay_with_their_rows() -> None:
    case = enumerable.binary_vae()
    x = case.every_x[:6]
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    whole = log_likelihood(case.model, [vk.Batch(x, mask=mask)], samples=20_000)
    parts = log_likelihood(case.model, [vk.Batch(x, mask=mask)], samples=20_000, budget=x.shape[1] * 5000, seed=1)
    error = sum((1 / result.effective_samples - 1 / 20_000).clamp_min(0) for result in (whole, parts))
    assert_within(whole.log_p - parts.log_p, torch.as_tensor(error).sqrt() + 1e-6, "log p of what is observed")


def test_figures_by_hand() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(4)
    result = log_likelihood(oracle.model, [vk.Batch(x)], samples=6, seed=5)
    with evaluating(oracle.model, 5):
        draw = oracle.model.draw(vk.Batch(x), 6)
    weight = draw.log_w.exp()
    assert_equal(result.log_p, weight.mean(0).log(), "log (1/K) Σ w")
    assert_equal(result.effective_samples, weight.sum(0).square() / weight.square().sum(0), "(Σ w)² / Σ w²")
    assert_equal(result.elbo, draw.elbo.mean(0), "the bound")
    assert_equal(result.log_px, draw.log_px.mean(0), "log p(x|z)")
    assert_equal(result.elbo, result.log_px - result.kl, "log p(x|z) − KL")
    kl_dims = draw.latents["z"].kl_dims
    assert kl_dims is not None
    assert_equal(result.kl_dims["z"], kl_dims[0].mean(0), "the KL of each dimension")
    assert_equal(result.kl_dims["z"].sum(), result.kl.mean(), "their sum")
    chunked = log_likelihood(oracle.model, [vk.Batch(x[:1]), vk.Batch(x[1:])], samples=6, budget=1)
    assert_equal(chunked.kl_dims["z"], result.kl_dims["z"], "the KL of each dimension in chunks of rows and draws")


@pytest.mark.parametrize("make", [enumerable.binary_vae, enumerable.m2, enumerable.quantized])
def test_estimate_is_below_the_enumerated_p(make) -> None:
    case = make()
    x = case.every_x[:4]
    result = log_likelihood(case.model, [vk.Batch(x.repeat_interleave(200, 0))], samples=20)
    estimates = result.log_p.reshape(4, 200).T
    assert_mean_at_most(estimates, case.log_p(x), "the estimate of log p(x)")
    assert_mean_at_most(result.elbo.reshape(4, 200).T - estimates, 0.0, "the bound minus the estimate")


def test_estimate_tends_to_the_enumerated_p() -> None:
    for case in (enumerable.binary_vae(), enumerable.m2()):
        with seeded():
            result = log_likelihood(case.model, [vk.Batch(case.every_x)], samples=40_000)
        # The delta method: the standard error of log (1/K) Σ w is √(1/effective − 1/K).
        error = (1 / result.effective_samples - 1 / 40_000).clamp_min(0).sqrt()
        assert_within(result.log_p - case.log_p(case.every_x), error + 1e-6, "log p(x)")


def test_labels_are_not_looked_at() -> None:
    case = enumerable.m2()
    x = case.every_x[:4]
    plain = log_likelihood(case.model, [vk.Batch(x)], samples=5)
    labelled = log_likelihood(case.model, [vk.Batch(x, torch.tensor([0, 1, 2, -1]))], samples=5)
    assert_same(labelled.log_p, plain.log_p, "the estimate with labels")
    figures = [bound(case.model, [vk.Batch(x, label)]) for label in (None, torch.tensor([0, 1, 2, -1]))]
    assert figures[0] == figures[1]


def test_same_seed_same_figures_and_the_callers_random_numbers_stay() -> None:
    case = enumerable.binary_vae()
    case.model.train()
    batches = [vk.Batch(case.every_x[:3]), vk.Batch(case.every_x[3:])]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = log_likelihood(case.model, batches, samples=5, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert case.model.training, "the mode is put back"
    assert_same(log_likelihood(case.model, batches, samples=5, seed=3).log_p, first.log_p, "the estimate")
    assert not torch.equal(log_likelihood(case.model, batches, samples=5, seed=4).log_p, first.log_p)
    assert bound(case.model, batches, seed=3) == bound(case.model, batches, seed=3)


def test_bound_is_the_mean_over_rows_not_over_batches() -> None:
    oracle = linear_gaussian.exact()
    x = oracle.sample(5)
    # Without an analytic KL the bound of every row is log p(x), so that only the mean can be wrong.
    prior = vk.priors.MixtureOfGaussians(2, num_components=1, spread=0.0).double()
    model = vk.VAE(prior, oracle.model.posterior, oracle.model.likelihood)
    figures = bound(model, [vk.Batch(x[:4]), vk.Batch(x[4:])])
    assert math.isclose(figures["elbo"], oracle.log_p(x).mean().item(), rel_tol=1e-9)
    assert math.isclose(figures["log_px"] - figures["kl"], figures["elbo"], rel_tol=1e-9)


def test_rows_and_samples_are_told_of() -> None:
    told: list[int] = []
    oracle = linear_gaussian.exact()
    log_likelihood(oracle.model, [vk.Batch(oracle.sample(3)), vk.Batch(oracle.sample(2))], 4, progress=told.append)
    assert told == [3, 2]


def small() -> tuple[vk.data.Dataset, vk.VAE]:
    torch.manual_seed(0)
    data = as_dataset(np.random.RandomState(0).rand(40, 3).astype(np.float32))
    network = vk.networks.MLP
    posterior = vk.posteriors.Diagonal(network(3, hidden=(4,)), 2)
    return data, vk.VAE(vk.priors.StandardNormal(2), posterior, vk.likelihoods.Gaussian(network(2, hidden=(4,)), (3,)))


def test_evaluators_are_skipped_by_ability_with_the_reason() -> None:
    torch.manual_seed(0)
    data = as_dataset(np.random.RandomState(0).rand(40, 3).astype(np.float32))
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Point(vk.networks.MLP(3, hidden=(4,)), 2),
        vk.likelihoods.Gaussian(vk.networks.MLP(2, hidden=(4,)), (3,)),
    )
    report = evaluate(model, data, samples=3)
    assert report["nll"] is None
    assert report["elbo"] is None
    assert report["log_px"] is not None
    assert "density" in report["skipped"]["likelihood"]
    assert "classify" in report["skipped"]["classification"]
    assert report["samples"] == 3
    assert report["examples"] == len(data.test.x)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_products_of_the_likelihood_alone_are_rounded(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("vaekit.evaluation.evaluate")
    monkeypatch.setattr(module, "rounds_on_processors", lambda: True)
    seen = []

    def watched(name: str) -> None:
        plain = getattr(module, name)

        def asked(*given, **more):
            seen.append((name, torch.backends.mkldnn.matmul.fp32_precision))  # type: ignore[attr-defined]
            return plain(*given, **more)

        monkeypatch.setattr(module, name, asked)

    for name in ("log_likelihood", "bound", "encodings"):
        watched(name)
    data, model = small()
    report = evaluate(model, data, samples=3, precision=precision)
    expected = "bf16" if precision == "bfloat16" else torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    assert dict(seen)["log_likelihood"] == expected
    assert "bf16" not in {dict(seen)["bound"], dict(seen)["encodings"]}
    assert report["precision"] == precision


def test_where_nothing_is_rounded_it_is_told_and_the_protocol_says_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("vaekit.evaluation.evaluate")
    data, model = small()
    plain, said = evaluate(model, data, samples=3), []
    monkeypatch.setattr(module, "rounds_on_processors", lambda: False)
    figures = evaluate(model, data, samples=3, precision="bfloat16", say=said.append)
    assert said == ["warning: this processor does not round products to bfloat16: the figures are in float32."]
    assert figures == plain
    evaluate(model, data, samples=3, say=said.append)
    assert len(said) == 1


def test_an_unknown_precision_is_refused() -> None:
    data, model = small()
    with pytest.raises(UserError, match="precision must be one of float32, bfloat16, got 'float16'"):
        evaluate(model, data, samples=3, precision="float16")


def test_the_budget_counts_the_components_of_a_mixture() -> None:
    """Every component meets every draw: with more components than values in x they decide how many draws at a time."""

    def draws_at_a_time(prior: torch.nn.Module) -> list[int]:
        q = vk.posteriors.Diagonal(vk.networks.MLP(6, hidden=(4,)), 2)
        model = vk.VAE(prior, q, vk.likelihoods.Bernoulli(vk.networks.MLP(2, hidden=(4,)), (6,)))
        seen: list[int] = []
        model.likelihood.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
        log_likelihood(model, [vk.Batch(torch.ones(1, 6))], 100, budget=600)
        return seen

    assert draws_at_a_time(vk.priors.StandardNormal(2)) == [100]
    assert draws_at_a_time(vk.priors.MixtureOfGaussians(2, num_components=5)) == [100]
    assert draws_at_a_time(vk.priors.MixtureOfGaussians(2, num_components=60)) == [10] * 10
    chain = vk.priors.Chain({"z": vk.priors.MixtureOfGaussians(2, num_components=30)})
    assert draws_at_a_time(chain) == [20] * 5


def test_the_budget_counts_wide_likelihoods_in_every_branch() -> None:
    x, network = vk.Batch(torch.ones(1, 1, 4, 4)), vk.networks.MLP
    wide = vk.likelihoods.PixelCNN(network(2, hidden=(4,), condition_dim=3), (1, 4, 4), channels=8, num_layers=1)
    q = vk.posteriors.Diagonal(network((1, 4, 4), hidden=(4,), condition_dim=3), 2)
    prior = vk.priors.StandardNormal(2)
    model = vk.models.M2(network((1, 4, 4), hidden=(4,)), q, wide, prior, num_classes=3)
    assert elements_per_draw(vk.VAE(prior, q, wide), x) == 8 * 16
    assert elements_per_draw(model, x) == 3 * 8 * 16
    plain = vk.likelihoods.Bernoulli(network(2, hidden=(4,)), (1, 4, 4))
    assert elements_per_draw(vk.VAE(prior, q, plain), x) == 16
