"""The parts of the KL against quadrature of the mixture that q(z) is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import vaekit as vk
from vaekit.data.dataset import Split
from vaekit.data.kinds import Binary
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.evaluation.context import EvaluationContext
from vaekit.evaluation.split import KLSplit, split_kl
from vaekit.testing import enumerable, linear_gaussian, seeded
from vaekit.testing.statistics import assert_equal, assert_mean

EVERY = 4000  # times each row is drawn for


def exact(mean: torch.Tensor, scale: torch.Tensor) -> dict[str, float]:
    """The parts for q(z|x_n) = N(mean_n, diag scale_n²) with two units, by trapezia on a grid."""
    side = torch.linspace(-9, 9, 721).double()
    log_each = Normal(mean, scale).log_prob(side[:, None, None])  # (points, rows, units)
    rows = len(mean)
    log_one = log_each.logsumexp(1) - math.log(rows)  # (points, units)
    log_joint = (log_each[:, None, :, 0] + log_each[None, :, :, 1]).logsumexp(-1) - math.log(rows)
    area = (side[1] - side[0]).item()
    entropy = -(log_joint.exp() * log_joint).sum().item() * area**2
    entropies = [-(one.exp() * one).sum().item() * area for one in log_one.T]
    cross = [-(one.exp() * Normal(0.0, 1.0).log_prob(side)).sum().item() * area for one in log_one.T]
    conditional = Normal(mean, scale).entropy().sum(-1).mean().item()
    return {
        "index_code": entropy - conditional,
        "marginal_kl": sum(cross) - entropy,
        "total_correlation": sum(entropies) - entropy,
        "dimension_kl": sum(cross) - sum(entropies),
    }


def test_parts_against_quadrature() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(5)
    q = oracle.model.encode(x).base_dist
    truth = exact(q.mean, q.stddev)
    split = split_kl(oracle.model, [vk.Batch(x[:2]), vk.Batch(x[2:])], vk.Batch(x.repeat(EVERY, 1)))
    for name, expected in truth.items():
        value = getattr(split, name)
        assert_mean(value, expected, name)
        assert abs(expected) > 0.01, "a part that is nothing would show nothing"
    kl = torch.distributions.kl_divergence(q, Normal(0.0, 1.0)).sum(-1).mean()
    assert_mean(split.index_code + split.marginal_kl, kl, "the sum of the parts")
    assert_equal(split.total_correlation + split.dimension_kl, split.marginal_kl, "total correlation and units")  # type: ignore[operator]


def test_chunks_change_nothing() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(7)
    whole, chunked = (split_kl(oracle.model, [vk.Batch(x)], vk.Batch(x), budget=budget) for budget in (10**6, 1))
    for one, other in zip(whole, chunked, strict=True):
        assert_equal(other, one, "a part")


@pytest.mark.parametrize("make", [linear_gaussian.wrong, linear_gaussian.hierarchy])
def test_units_that_do_not_come_apart(make) -> None:
    """Full covariances and chains: q(z) of many rows is the exact aggregate N(0, I) where q is the exact posterior."""
    oracle = make()
    x = oracle.sample(4)
    split = split_kl(oracle.model, [vk.Batch(x)], vk.Batch(x.repeat(500, 1)))
    assert split.total_correlation is None
    with seeded(), torch.no_grad():
        latents = oracle.model.draw(vk.Batch(x), 500).latents.values()
        kl = sum(latent.log_qz - latent.log_pz for latent in latents)
    mean, error = kl.mean().item(), (kl.std() / 2000**0.5).item()  # type: ignore[union-attr]
    assert_mean(split.index_code + split.marginal_kl, mean, "the sum of the parts", error)
    assert split.index_code.mean() <= math.log(4)


def test_a_single_row_says_nothing_about_itself() -> None:
    oracle = linear_gaussian.wrong(diagonal=True)
    x = oracle.sample(1)
    split = split_kl(oracle.model, [vk.Batch(x)], vk.Batch(x))
    assert_equal(split.index_code, 0.0, "the information about the only row")
    assert split.total_correlation is not None
    assert_equal(split.total_correlation, 0.0, "dependence inside a product")


def test_rows_that_are_far_apart_are_told() -> None:
    model = linear_gaussian.wrong(diagonal=True).model
    x = torch.tensor([[-1e3, 0.0, 0.0], [1e3, 0.0, 0.0]]).double()
    assert_equal(split_kl(model, [vk.Batch(x)], vk.Batch(x)).index_code, math.log(2), "log 2")


@pytest.mark.parametrize("condition", [False, True])
def test_a_dynamic_binarisation_is_drawn_once(condition: bool) -> None:
    """Narrow posteriors of grey rows: z is of a row that q(z) holds, so that it says at most log N of it."""
    grey = np.random.RandomState(0).randint(64, 192, (30, 12)).astype(np.uint8)
    label = torch.eye(2)[torch.arange(30) % 2].numpy() if condition else None
    loader = Loader(Split(grey, condition=label), Binary(levels=256, binarization="dynamic"), batch_size=7)
    with seeded():
        posterior = vk.posteriors.Diagonal(vk.networks.MLP(12, (16,), condition_dim=2 * condition), 2)
        likelihood = vk.likelihoods.Bernoulli(vk.networks.MLP(2, (4,), condition_dim=2 * condition), (12,))
        model = vk.VAE(vk.priors.StandardNormal(2), posterior, likelihood)
    with torch.no_grad():
        *_, bias = (weight for weight in posterior.head.parameters() if weight.ndim == 1)
        bias[2:] -= 6
    figures = KLSplit(draws=20)(EvaluationContext(model, loader, None, 1, seed=0))
    assert figures["split_index_code"] <= math.log(30) + 1e-4
    assert figures["split_marginal_kl"] > 0
    frozen = torch.cat([batch.x for batch in loader.fixed(0)])
    conditions = None if label is None else torch.from_numpy(label)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))[:20].sort().values
    draws = vk.Batch(frozen[order], condition=None if conditions is None else conditions[order])
    truth = split_kl(model, [vk.Batch(frozen, condition=conditions)], draws, seed=0)
    for name in ("index_code", "marginal_kl", "total_correlation", "dimension_kl"):
        assert figures[f"split_{name}"] == pytest.approx(getattr(truth, name).mean().item(), rel=1e-4), name


def test_labels_that_are_summed_out_and_codes_are_refused() -> None:
    for case, why in ((enumerable.m2(), r"summed out \(y\)"), (enumerable.quantized(), "without chance")):
        with pytest.raises(UserError, match=why):
            split_kl(case.model, [vk.Batch(case.every_x)], vk.Batch(case.every_x))
