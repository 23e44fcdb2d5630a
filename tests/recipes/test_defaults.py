"""The rule for what is not asked for."""

from __future__ import annotations

import numpy as np
import pytest

from vaekit import data, recipes
from vaekit.data.dataset import Dataset
from vaekit.errors import UserError
from vaekit.objectives import ELBO
from vaekit.recipes import Defaults
from vaekit.schedules import Cosine, Linear


def table(rows: int, columns: int) -> Dataset:
    return data.as_dataset(np.random.RandomState(0).randn(rows, columns), validation=2, test=2)


def images(*shape: int) -> Dataset:
    return data.as_dataset(np.random.RandomState(0).randint(0, 256, (12, *shape)).astype(np.uint8))


@pytest.mark.parametrize(
    "dataset, size, latent_dim, network",
    [
        (table(40, 3), "medium", 2, "mlp:hidden=64/64"),
        (table(40, 3), "small", 2, "mlp:hidden=32/32"),
        (table(40, 100), "medium", 10, "mlp:hidden=64/64"),
        (table(40, 200), "large", 28, "mlp:hidden=256/256"),
        (table(40, 9000), "medium", 64, "mlp:hidden=256/256"),
        (table(40, 9000), "large", 128, "mlp:hidden=512/512"),
        (images(28, 28), "medium", 28, "mlp:hidden=256/256"),
        (images(40, 20), "small", 14, "convolutional:channels=16/32"),
        (images(16, 16, 3), "large", 55, "convolutional:channels=64/128"),
    ],
)
def test_the_size_follows_from_an_example(dataset: Dataset, size: str, latent_dim: int, network: str) -> None:
    default = Defaults(dataset, size)
    assert (default.latent_dim, default.network) == (latent_dim, network)


@pytest.mark.parametrize(
    "rows, epochs, batch_size",
    [(14, 300, 32), (504, 300, 32), (1800, 223, 32), (5004, 80, 64), (8004, 50, 128), (40_004, 20, 128)],
)
def test_the_length_follows_from_the_rows(rows: int, epochs: int, batch_size: int) -> None:
    default = Defaults(table(rows, 2))
    assert (default.epochs, default.batch_size) == (epochs, batch_size)


def test_the_plan_follows_the_rule() -> None:
    plan = recipes.make("vae", table(504, 9), {"epochs": 30, "size": "large"})
    (phase,) = plan.phases
    assert phase.objective == ELBO(beta=Linear(0, 1, epochs=7.5))
    assert phase.learning_rate == Cosine(0.002)
    assert plan.settings == {"batch_size": 32}
    assert plan.model.sample_latents(1)["z"].shape == (1, 6)


def test_images_are_warmed_up_for_longer() -> None:
    (phase,) = recipes.make("hvae", images(8, 8), {"epochs": 30}).phases
    assert phase.objective == ELBO(beta=Linear(0, 1, epochs=15))


def test_what_is_asked_for_stands() -> None:
    asked = {"epochs": 3, "objective": "elbo", "learning_rate": 0.1, "latent_dim": 5, "network": "linear"}
    asked["likelihood"] = "gaussian:scale=learned"
    plan = recipes.make("vae", table(504, 9), asked)
    (phase,) = plan.phases
    assert (phase.objective, phase.learning_rate, phase.epochs) == (ELBO(), 0.1, 3)
    assert plan.model.sample_latents(1)["z"].shape == (1, 5)
    assert sum(parameter.numel() for parameter in plan.model.parameters()) == 9 * 10 + 10 + 5 * 9 + 9 + 1


@pytest.mark.parametrize("recipe", ["vae", "hvae", "aae", "ladder", "dlgm", "vq-vae"])
def test_every_recipe_has_the_dial(recipe: str) -> None:
    weights = {
        size: sum(
            parameter.numel() for parameter in recipes.make(recipe, images(16, 16), {"size": size}).model.parameters()
        )
        for size in ("small", "medium", "large")
    }
    assert weights["small"] < weights["medium"] < weights["large"]


def test_an_unknown_size() -> None:
    with pytest.raises(UserError, match=r"^unknown size 'huge'; known: large, medium, small\.$"):
        recipes.make("vae", table(40, 3), {"size": "huge"})
