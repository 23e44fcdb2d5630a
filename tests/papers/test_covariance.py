"""The measures of the exact statements, on models of which the answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.data.dataset import Dataset, Split
from vaekit.papers import covariance
from vaekit.papers.experiment import Budget, Job, Trained
from vaekit.testing.linear_gaussian import LinearGaussian, exact, mean_field, wrong

SIZES = (covariance.LATENTS, covariance.COLUMNS)


def trained(oracle: LinearGaussian) -> Trained:
    x = oracle.sample(50).numpy()
    data = Dataset("made up", vk.data.kinds.Real(), Split(x), Split(x), Split(x), by_name=False)
    return Trained(oracle.model, data, 0, 0.0, "set")


def test_gaps_are_those_of_the_oracle() -> None:
    gap = covariance.excess(lambda known: 0.0)
    assert covariance.furthest(trained(exact(*SIZES))) < 1e-6
    assert gap(trained(exact(*SIZES))) == pytest.approx(0, abs=1e-9)
    off = wrong(*SIZES)
    assert covariance.furthest(trained(off)) > 0.1
    assert gap(trained(off)) == pytest.approx(off.gap(off.sample(50)).mean().item(), rel=1e-9)
    best = mean_field(*SIZES)
    assert gap(trained(best)) == pytest.approx(best.mean_field_gap, rel=1e-9)
    assert covariance.excess(lambda known: known.mean_field_gap)(trained(best)) == pytest.approx(0, abs=1e-9)


def test_training_a_posterior_leaves_the_rest_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covariance, "ROWS", (200, 50, 50))
    variant = next(each for each in covariance.COVARIANCE.variants if each.name == "diagonal")
    done = variant.train(Job(tmp_path / "run", covariance.rows(), Budget(1), 0))
    known = covariance.oracle()
    head: Any = done.model.likelihood.head
    torch.testing.assert_close(head.linear.weight.double(), known.weight, rtol=1e-6, atol=1e-6)
    assert covariance.excess(lambda oracle: oracle.mean_field_gap)(done) > 0


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_the_error_of_a_scale(factor: float) -> None:
    # z = x, μ(z) = 0: the root mean squared error is that of x itself.
    x = np.random.RandomState(0).randn(300, 4).astype(np.float32)
    rmse = float(np.sqrt(np.square(x.astype(np.float64)).mean()))
    likelihood = vk.likelihoods.Gaussian(vk.networks.Affine(2), (4,), scale=factor * rmse)
    torch.nn.init.zeros_(likelihood.head.linear.weight)
    torch.nn.init.zeros_(likelihood.head.linear.bias)
    model = vk.VAE(vk.priors.StandardNormal(2), vk.posteriors.Diagonal(vk.networks.Affine(4), 2), likelihood)
    split = Split(x)
    done = Trained(model, Dataset("made up", vk.data.kinds.Real(), split, split, split, by_name=False), 0, 0.0, "set")
    assert covariance.off(done) == pytest.approx(factor - 1, abs=1e-6)
    # E log N(x; 0, s²) of 4 values for s = RMSE and s = factor · RMSE.
    expected = 4 * (np.log(factor) - 0.5 * (1 - 1 / factor**2))
    assert covariance.loss(done) == pytest.approx(expected, abs=1e-5)
