"""Monte-Carlo EM, the integral over the prior, and the table of the paper on made-up images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.cli import main
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.errors import Interrupted
from vaekit.papers import aevb, mcem, perform
from vaekit.papers.aevb import prior_integral
from vaekit.papers.experiment import Budget, Job


def made_up(rows: int = 120) -> Dataset:
    random = np.random.RandomState(0)
    train, test = ((random.rand(n, 1, 4, 4) < 0.3).astype(np.uint8) for n in (rows, 40))
    return Dataset("made up", Binary(), Split(train), Split(test), Split(test), by_name=False)


def small(latent_dim: int = 2) -> Any:
    return vk.VAE(
        vk.priors.StandardNormal(latent_dim),
        vk.posteriors.Diagonal(vk.networks.MLP((1, 4, 4), hidden=(5,)), latent_dim),
        vk.likelihoods.Bernoulli(vk.networks.MLP(latent_dim, hidden=(5,)), (1, 4, 4)),
    )


def sharp() -> Any:
    """A model whose posterior is about a third as wide as the prior."""
    torch.manual_seed(0)
    model = small()
    for parameter in model.likelihood.parameters():
        torch.nn.init.normal_(parameter, std=1.5)
    return model


def grid_log_p(model: Any, x: torch.Tensor) -> torch.Tensor:
    """log p(x) by the trapezoidal rule on a plane of latents, in float64."""
    line = torch.linspace(-6, 6, 121, dtype=torch.float64)
    plane = torch.cartesian_prod(line, line)
    log_pz = torch.distributions.Normal(0.0, 1.0).log_prob(plane).sum(-1)
    model = model.double()
    with torch.no_grad():
        log_px = model.decode(plane.unsqueeze(1)).log_prob(x.double())
    return (log_px + log_pz.unsqueeze(1)).logsumexp(0) + 2 * (line[1] - line[0]).log()


def test_the_integral_over_the_prior() -> None:
    model = sharp()
    x = model.generate(40).sample()
    found = prior_integral(model, x, 2, 2**14, seed=0)
    again = prior_integral(model, x, 2, 2**14, seed=1)
    assert found.shape == (40,)
    # Evenly spread points err by far less than as many random ones would.
    torch.testing.assert_close(found.double(), grid_log_p(model, x), atol=0.02, rtol=0)
    torch.testing.assert_close(found, again, atol=0.02, rtol=0)
    assert not torch.equal(found, again)


def job(folder: Path, epochs: int, rows: int = 120) -> Job:
    return Job(folder, made_up(rows), Budget(epochs), 3)


def test_chains_are_in_the_posterior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Many rows that are all the same x and weights that rest: the chains are draws of p(z|x).
    monkeypatch.setattr(mcem, "UPDATES", 0)
    monkeypatch.setattr(mcem, "BATCH", 1000)
    one = (np.random.RandomState(1).rand(1, 1, 4, 4) < 0.3).astype(np.uint8)
    split = Split(np.repeat(one, 1000, axis=0))
    data = Dataset("one image", Binary(), split, split, split, by_name=False)
    model = sharp()
    torch.manual_seed(1)
    training = mcem.MCEM(model, Job(tmp_path, data, Budget(150), 0))
    training.run()
    assert 0.8 < training.accepted < 0.97
    line = torch.linspace(-7, 7, 141)
    plane = torch.cartesian_prod(line, line)
    x = torch.from_numpy(one).float()
    with torch.no_grad():
        log_joint = training.log_joint(plane.unsqueeze(1), x).squeeze(1).double()
    weight = (log_joint - log_joint.logsumexp(0)).exp().unsqueeze(1)
    mean = (weight * plane).sum(0)
    spread = (weight * (plane - mean).square()).sum(0).sqrt()
    assert (spread < 0.9).any()
    # In standard errors of 1,000 independent chains.
    assert ((training.chains.mean(0) - mean).abs() < 5 * spread / 1000**0.5).all()
    assert ((training.chains.std(0) / spread - 1).abs() < 0.15).all()


def test_monte_carlo_em_climbs_and_is_resumed(tmp_path: Path) -> None:
    def trained(folder: Path, epochs: int) -> Any:
        return mcem.mcem(lambda data: small())(job(folder, epochs))

    before = trained(tmp_path / "start", 1)
    whole = trained(tmp_path / "whole", 4)
    x = torch.from_numpy(made_up().train.x).float()
    assert grid_log_p(whole.model, x).mean() > grid_log_p(before.model, x).mean() + 0.05
    whole.model.float()

    first = trained(tmp_path / "parts", 2)
    assert "2 epochs" in first.words
    second = trained(tmp_path / "parts", 4)
    for (name, one), (_, other) in zip(
        whole.model.state_dict().items(), second.model.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-6, msg=name)
    assert second.seconds > first.seconds


def test_monte_carlo_em_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    torch.manual_seed(3)
    training = mcem.MCEM(small(), job(tmp_path, 3))
    training.ask()
    with pytest.raises(Interrupted, match="stopped after epoch 1"):
        training.run()
    assert training.path.exists()


def test_the_table() -> None:
    names = [variant.name for variant in aevb.AEVB.variants]
    assert names == [
        *(f"aevb-{size}" for size in (3, 5, 10, 20, 200)),
        *(f"wake-sleep-{size}" for size in (3, 5, 10, 20, 200)),
        *("aevb-1000", "wake-sleep-1000", "mcem-1000"),
        *(f"frey-{size}" for size in (2, 5, 10, 20)),
    ]
    for difference in aevb.AEVB.differences:
        assert {difference.variant, difference.less} <= set(names)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made-up images in the place of all data, few points."""
    random = np.random.RandomState(0)

    def load(text: str) -> Dataset:
        high, wide = (28, 20) if text == "frey-faces" else (28, 28)
        grey = random.randint(0, 256 if text == "frey-faces" else 2, size=(150, 1, high, wide)).astype(np.uint8)
        kind = vk.data.kinds.GreyLevels(256) if text == "frey-faces" else Binary()
        return Dataset(text, kind, Split(grey), Split(grey[:20]), Split(grey[:20]), by_name=False)

    monkeypatch.setattr(aevb, "load", load)
    monkeypatch.setattr(perform, "load", load)
    monkeypatch.setattr(aevb, "POINTS", 64)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("tiny", "undrawn")
def test_the_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    variants = "aevb-3,wake-sleep-3,aevb-1000,mcem-1000,frey-2"
    assert main(["reproduce", "aevb", "--variant", variants, "--epochs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["system"], row["metric"]) for row in rows] == [
        ("AEVB, 3 latents", "test ELBO"),
        ("wake–sleep, 3 latents", "test ELBO"),
        ("AEVB, 1,000 images", "test log p(x)"),
        ("AEVB, 1,000 images", "training log p(x)"),
        ("Monte-Carlo EM, 1,000 images", "test log p(x)"),
        ("Monte-Carlo EM, 1,000 images", "training log p(x)"),
        ("AEVB, Frey faces, 2 latents", "test ELBO"),
        ("AEVB, 3 latents less wake–sleep, 3 latents", "difference of test ELBO"),
        ("Monte-Carlo EM, 1,000 images less AEVB, 1,000 images", "difference of test log p(x)"),
    ]
    assert all(np.isfinite(row["measured"]) for row in rows)
    assert "10 leapfrog steps" in rows[4]["protocol"]
    assert rows[6]["certainty"].startswith("published figure not verified")
    assert "wake-sleep for 1 epoch" in rows[1]["protocol"]
