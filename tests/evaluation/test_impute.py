"""Imputation, held against conditionals that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import vaekit as vk
from vaekit.data import Split, as_dataset, kinds
from vaekit.evaluation.impute import complete, impute
from vaekit.testing import enumerable, linear_gaussian
from vaekit.testing.linear_gaussian import Conditional, LinearGaussian
from vaekit.testing.statistics import seeded

OBSERVED, MISSING = [0, 2], [1]


def gappy(oracle: LinearGaussian, rows: int) -> vk.Batch:
    """Rows of p(x) whose middle cell is missing."""
    x = oracle.sample(rows)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, MISSING] = False
    return vk.Batch(torch.where(mask, x, 0.0), mask=mask)


def truth(oracle: LinearGaussian, x: Tensor) -> tuple[Tensor, Tensor]:
    """E[x_missing | x_observed], ``(batch,)``, and the variance."""
    covariance = oracle.weight @ oracle.weight.T + oracle.scale**2 * torch.eye(3).double()
    given = linear_gaussian.conditional(oracle.bias, covariance, MISSING, OBSERVED)
    return (x[:, OBSERVED] @ given.matrix.T + given.offset)[:, 0], given.covariance[0, 0]


def knowing_the_gap(shift: float = 0.0, spread: float = 1.0) -> LinearGaussian:
    """A model whose q(z|x) is p(z|x_observed), so that all weights are equal; or that with another mean and scale."""
    plain = linear_gaussian.exact()
    few = linear_gaussian.exact_conditional(plain.weight[OBSERVED], plain.bias[OBSERVED], plain.scale)
    matrix = torch.zeros(2, 3).double()
    matrix[:, OBSERVED] = few.matrix
    q = Conditional(matrix, few.offset + shift, spread**2 * few.covariance)
    return linear_gaussian.with_posterior(plain.weight, plain.bias, plain.scale, q)


def test_the_exact_proposal_has_equal_weights_and_the_error_of_a_mean() -> None:
    oracle, samples = knowing_the_gap(), 200
    batch = gappy(oracle, 2000)
    result = impute(oracle.model, [batch], samples=samples)
    torch.testing.assert_close(result.effective_samples, torch.full((2000,), float(samples)).double())
    expected, variance = truth(oracle, batch.x)
    # E[x|z] varies less than x: by the variance that the noise of the data is not.
    error = (result.x[:, 1] - expected) / ((variance - oracle.scale**2) / samples).sqrt()
    assert error.square().mean().item() == pytest.approx(1, abs=4 * (2 / 2000) ** 0.5)
    assert abs(error.mean().item()) < 4 / 2000**0.5


@pytest.mark.parametrize(("shift", "spread"), [(0.5, 1.5), (-1.0, 2.0)])
def test_a_wrong_proposal_is_mended_by_draws(shift: float, spread: float) -> None:
    oracle = knowing_the_gap(shift, spread)
    batch = gappy(oracle, 300)
    expected, variance = truth(oracle, batch.x)
    errors = [
        ((impute(oracle.model, [batch], samples=samples).x[:, 1] - expected).square().mean() / variance).sqrt().item()
        for samples in (1, 30, 3000)
    ]
    # From 30 draws to 3000 an error of the order 1/√K becomes ten times smaller.
    assert errors[0] > 3 * errors[1]
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.4)
    assert errors[2] < 0.1


@pytest.mark.parametrize("budget", [3 * 25, 3 * 300 * 70, 10**9])
def test_chunks_of_draws_do_not_matter(budget: int) -> None:
    oracle = knowing_the_gap(0.5, 1.5)
    batch = gappy(oracle, 300)
    expected, variance = truth(oracle, batch.x)
    result = impute(oracle.model, [batch], samples=500, budget=budget, seed=2)
    assert ((result.x[:, 1] - expected).square().mean() / variance).sqrt().item() < 0.1
    assert 50 < result.effective_samples.mean().item() < 500


def test_draws_are_those_of_the_conditional() -> None:
    oracle, rows = knowing_the_gap(0.5, 1.5), 4000
    one = gappy(oracle, 1)
    batch = vk.Batch(one.x.repeat(rows, 1), mask=None if one.mask is None else one.mask.repeat(rows, 1))
    drawn = impute(oracle.model, [batch], samples=400, values="sample", budget=rows * 3 * 90).x[:, 1]
    expected, variance = truth(oracle, batch.x)
    error = (drawn.mean() - expected[0]) / (variance / rows).sqrt()
    assert abs(error.item()) < 4
    assert (drawn.var() / variance).item() == pytest.approx(1, abs=4 * (2 / rows) ** 0.5)


@pytest.mark.parametrize("make", [enumerable.binary_vae, enumerable.m2])
def test_a_bit_is_as_probable_as_both_completions_say(make) -> None:
    """With M2 the class is summed out, and its branches carry weights too."""
    case = make()
    with torch.no_grad():
        # A classifier far from p(y): its probabilities must not matter.
        for name, parameter in case.model.named_parameters():
            parameter.mul_(10 if name.startswith("classifier_head") else 1)
    x = case.every_x
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 0] = False
    one, zero = x.clone(), x.clone()
    one[:, 0], zero[:, 0] = 1, 0
    expected = torch.sigmoid(case.log_p(one) - case.log_p(zero))
    found = impute(case.model, [vk.Batch(zero, mask=mask)], samples=30_000)
    torch.testing.assert_close(found.x[:, 0], expected, atol=0.02, rtol=0)
    assert (found.effective_samples <= 30_000).all()
    assert expected.std() > 0.03


def test_without_a_density_it_is_the_reconstruction() -> None:
    with seeded(0):
        model = vk.VAE(
            prior=vk.priors.StandardNormal(2),
            posterior=vk.posteriors.Point(vk.networks.MLP(3), 2),
            likelihood=vk.likelihoods.Gaussian(vk.networks.MLP(2), (3,)),
        ).eval()
    batch = vk.Batch(torch.randn(5, 3), mask=torch.ones(5, 3, dtype=torch.bool))
    result = impute(model, [batch], samples=50)
    torch.testing.assert_close(result.x, model.decode(model.encode(batch.x).mean).mean.detach())


KINDS = {
    "real": (np.random.default_rng(0).normal(100, 5, (60, 4)), {"kind": "real"}),
    "real in single precision": (np.random.default_rng(0).normal(3, 5, (60, 4)).astype(np.float32), {"kind": "real"}),
    "integers as real": (np.random.default_rng(0).integers(0, 90, (60, 4)), {"kind": "real"}),
    "binary": (np.random.default_rng(0).integers(0, 2, (60, 4)), {"kind": "binary"}),
    "counts": (np.random.default_rng(0).integers(0, 9, (60, 4)), {"kind": "counts"}),
    "categories": (np.random.default_rng(0).integers(0, 3, (60, 4)).astype(np.uint8), {"kind": "categories"}),
    "images": (np.random.default_rng(0).integers(0, 256, (60, 6, 5), dtype=np.uint8), {"kind": "grey"}),
    "bits": (np.random.default_rng(0).integers(0, 256, (60, 6, 5), dtype=np.uint8), {"binarization": "dynamic"}),
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("values", ["mean", "sample"])
def test_every_kind_gets_values_of_its_own_and_keeps_the_observed(name: str, values: str) -> None:
    from vaekit.recipes import make

    x, options = KINDS[name]
    mask = np.random.default_rng(1).random(x.shape) < 0.7
    mask.reshape(60, -1)[:, 0] = True
    data = as_dataset(x, mask=mask, **options)
    with seeded(0):
        model = make("vae", data, {"epochs": 1, "network": "mlp:hidden=8"}).model.eval()
    filled, effective = complete(model, data.train, data.kind, samples=20, values=values)
    assert data.train.mask is not None
    np.testing.assert_array_equal(filled[data.train.mask], data.train.x[data.train.mask])
    assert filled.shape == data.train.x.shape
    assert len(effective) == (~data.train.mask).reshape(len(filled), -1).any(1).sum()
    # It is data of the same kind, without a gap.
    again = as_dataset(filled, kind=data.kind)
    assert torch.isfinite(again.kind.prepare(torch.from_numpy(again.train.x))).all()
    if data.kind.adjective == "real":
        gaps = filled[~data.train.mask]
        assert len(np.unique(gaps)) > 0.9 * len(gaps)
        assert (np.abs((gaps - x.mean()) / x.std()) < 6).all()


def test_nothing_missing_is_nothing_done() -> None:
    x = np.random.default_rng(0).normal(size=(7, 3))
    filled, effective = complete(None, Split(x), kinds.Real())
    np.testing.assert_array_equal(filled, x)
    assert not len(effective)


def test_values_of_another_name() -> None:
    with pytest.raises(ValueError, match="values must be one of mean, sample, got 'mode'"):
        impute(None, [], values="mode")
