"""Conditions of any shape: attributes, images; the network that takes one decides how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vaekit as vk
from vaekit.data import as_dataset
from vaekit.data.loader import Loader
from vaekit.testing import check_model, check_network

X = (np.random.default_rng(0).random((60, 1, 8, 8)) < 0.3).astype(np.uint8)


class Encoder(nn.Module):
    """Convolutions over the lower half and, above it, the upper half that is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten())

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.layers(torch.cat([condition, x], -2))


class Decoder(nn.Module):
    """Features of the upper half that is given, beside the latent."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
        self.mix = nn.Linear(128 + 2, 16)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return self.mix(torch.cat([self.layers(condition), z], -1)).relu()


def halves() -> vk.data.Dataset:
    """The lower half of images, given the upper one."""
    return as_dataset(X[:, :, 4:], condition=X[:, :, :4])


def convolutional() -> vk.VAE:
    torch.manual_seed(0)
    likelihood = vk.likelihoods.Bernoulli(Decoder(), (1, 4, 8))
    return vk.VAE(vk.priors.StandardNormal(2), vk.posteriors.Diagonal(Encoder(), 2), likelihood)


def dense() -> vk.VAE:
    torch.manual_seed(0)
    encoder = vk.networks.MLP((1, 4, 8), hidden=(8,), condition_dim=(1, 4, 8))
    likelihood = vk.likelihoods.Bernoulli(vk.networks.MLP(2, hidden=(8,), condition_dim=(1, 4, 8)), (1, 4, 8))
    return vk.VAE(vk.priors.StandardNormal(2), vk.posteriors.Diagonal(encoder, 2), likelihood)


def test_conditions_go_with_their_rows() -> None:
    data = halves()
    assert (data.condition_shape, data.condition_dim, data.conditioned_on) == ((1, 4, 8), 32, "array")
    for split in (data.train, data.validation, data.test, data.split("all").first(7)):
        for batch in Loader(split, data.kind, batch_size=9):
            assert batch.condition is not None
            for x, condition in zip(batch.x.numpy(), batch.condition.numpy(), strict=True):
                assert any(np.array_equal(np.concatenate([condition, x], -2), one) for one in X)
    assert halves().fingerprint != as_dataset(X[:, :, 4:], condition=1 - X[:, :, :4]).fingerprint


@pytest.mark.parametrize("make", [convolutional, dense])
def test_an_image_given_another_one(make: Any, tmp_path: Path) -> None:
    data = halves()
    run = vk.fit(make(), data, epochs=1, batch_size=16, quiet=True)
    if make is dense:  # of registered parts
        run = vk.load(run.save(tmp_path / "run").folder, data)
    assert (run.config["data"]["condition_shape"], run.config["data"]["condition_dim"]) == ([1, 4, 8], 32)
    assert np.isfinite(run.evaluate(samples=2)["elbo"])
    assert run.evaluate(samples=2)["condition"] == "array"
    given = X[:5, :, :4]
    assert run.sample(5, condition=given).shape == (5, 1, 4, 8)
    one, other = run.sample(1, condition=given[:1]), run.sample(1, condition=1 - given[:1])
    assert not np.array_equal(one, other)
    assert run.decode(np.zeros((5, 2)), condition=given).shape == (5, 1, 4, 8)
    assert run.encode(data).mean.shape[1] == 2
    with pytest.raises(vk.UserError, match=r"conditioned on arrays \(1, 4, 8\): give condition="):
        run.sample(5)
    with pytest.raises(vk.UserError, match=r"and 5 rows were given conditions"):
        run.sample(5, condition=np.zeros((5, 4)))
    with pytest.raises(vk.UserError, match="are missing"):
        run.score(X[:, :, 4:])


def test_laws() -> None:
    data = halves()
    batch = Loader(data.train, data.kind, batch_size=4).some(0, 4)
    check_model(dense(), batch)
    check_network(vk.networks.MLP((1, 4, 8), hidden=(8,)), (1, 4, 8))


def test_networks_flatten_what_they_are_given() -> None:
    for network in (
        vk.networks.MLP(3, (4,), condition_dim=(2, 2)),
        vk.networks.ResidualMLP(3, 4, 1, condition_dim=(2, 2)),
    ):
        condition = torch.randn(5, 2, 2)
        assert network(torch.randn(7, 5, 3), condition).shape[:2] == (7, 5)
        with pytest.raises(RuntimeError):
            network(torch.randn(5, 3), torch.randn(5, 2, 3))
    assert vk.networks.Affine(3, condition_dim=(2, 2))(torch.randn(5, 3), torch.randn(5, 2, 2)).shape == (5, 7)


def test_recipes_take_conditions_of_any_shape() -> None:
    plan = vk.recipes.make("vae", halves(), {"network": "mlp:hidden=8", "latent_dim": 2, "epochs": 1})
    assert vk.fit(plan.model, plan.data, epochs=1, quiet=True).metrics


def test_labels_are_conditions_as_before() -> None:
    data = as_dataset(X, np.arange(60) % 3).conditioned()
    assert data.conditioned_on == "label"
    assert "condition_shape" not in data.document
    assert data.fingerprint == as_dataset(X, np.arange(60) % 3).fingerprint


BAD: dict[str, tuple[Any, str]] = {
    "rows": (np.zeros((59, 2)), "has 60 rows and 59 conditions beside them"),
    "numbers": (np.full((60, 2), np.nan), "has values that are not finite"),
    "parts": ({"train": X, "test": X}, "are given for train, test, and rows for train"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    condition, said = BAD[case]
    with pytest.raises(vk.UserError, match=said):
        as_dataset(X, condition=condition)
