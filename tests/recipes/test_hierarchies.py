"""Recipes with several levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit import data, recipes
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.recipes.ladder import levels_of
from vaekit.schedules import Step

NUMBERS = np.random.RandomState(0)


def images(*shape: int) -> Dataset:
    return data.as_dataset(NUMBERS.randint(0, 256, (12, *shape)).astype(np.uint8))


def table(columns: int = 5) -> Dataset:
    return data.as_dataset(NUMBERS.randn(40, columns), validation=4, test=4)


def counts() -> Dataset:
    return data.as_dataset(NUMBERS.poisson(3.0, (40, 9)), validation=4, test=4)


def shapes(plan: recipes.Plan) -> dict[str, int]:
    return {name: value.shape[-1] for name, value in plan.model.sample_latents(1).items()}


def step(plan: recipes.Plan) -> None:
    """An objective has a value on the data, and what comes out looks like it."""
    batch = next(iter(Loader(plan.data.train, plan.data.kind, torch.device("cpu"), 4)))
    value = plan.phases[0].objective(plan.model, batch, Step())
    assert value.objective.isfinite().all()
    assert plan.model.generate(2).sample().shape == (2, *plan.data.shape)


@pytest.mark.parametrize("blocks, expected", [("4x2", (4, 4)), ("1x1/4x2/8x1", (1, 4, 4, 8)), ("1x1,4x1", (1, 4))])
def test_the_string_of_blocks(blocks: str, expected: tuple[int, ...]) -> None:
    assert levels_of(blocks) == expected


@pytest.mark.parametrize("blocks", ["", "4", "4x", "x2", "4x0", "0x1", "4x2//8x2", "4m1", "-4x2"])
def test_other_strings_are_refused(blocks: str) -> None:
    with pytest.raises(UserError, match="blocks are written as PLACExCOUNT from the top, such as 4x2/8x2"):
        recipes.make("ladder", images(8, 8), {"blocks": blocks or "/"})


def test_grids_that_do_not_grow_are_refused() -> None:
    for blocks in ("8x1/4x1", "4x1/16x1"):
        with pytest.raises(UserError, match=r"must grow from the top and end within the image \(8, 8\)"):
            recipes.make("ladder", images(8, 8), {"blocks": blocks})


@pytest.mark.parametrize(
    "dataset, options, expected",
    [
        (images(8, 8), {}, {"z2": 128, "z1": 128}),
        (images(8, 8), {"blocks": "1x1/4x1/8x1", "latent_channels": 2}, {"z3": 2, "z2": 32, "z1": 128}),
        (images(12, 9), {"blocks": "4x1/12x1", "latent_channels": 1}, {"z2": 12, "z1": 108}),
        (images(9, 8, 3), {"blocks": "3x1", "latent_channels": 1}, {"z": 9}),
        (images(8, 8), {"rung": "dense", "blocks": "2x1/6x1"}, {"z2": 2, "z1": 6}),
        (images(8, 8), {"posterior": "precision-weighted"}, {"z2": 128, "z1": 128}),
        (table(), {}, {"z3": 2, "z2": 2, "z1": 2}),
        (counts(), {"blocks": "2x3"}, {"z3": 2, "z2": 2, "z1": 2}),
        (images(4, 4), {"blocks": "3x1/5x1"}, {"z2": 3, "z1": 5}),
    ],
)
def test_ladders_fit_the_data(dataset: Dataset, options: dict, expected: dict[str, int]) -> None:
    plan = recipes.make("ladder", dataset, {"width": 8, "epochs": 4, **options})
    found = shapes(plan)
    assert list(found.values()) == list(expected.values())
    assert len(found) == 1 or found == expected
    step(plan)


def test_28_by_28_has_two_levels_on_each_of_4_7_and_14() -> None:
    plan = recipes.make("ladder", images(28, 28), {"width": 8, "latent_channels": 1})
    assert list(shapes(plan).values()) == [16, 16, 49, 49, 196, 196]


def test_an_unknown_rung() -> None:
    with pytest.raises(UserError, match="rung must be dense, or grid for images, got 'grid' for data of shape"):
        recipes.make("ladder", table(), {"rung": "grid"})
    with pytest.raises(UserError, match="got 'sparse'"):
        recipes.make("ladder", images(8, 8), {"rung": "sparse"})


@pytest.mark.parametrize("num_levels", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"posterior": "cholesky", "decoder": "linear"}, {"network": "gated-mlp"}])
def test_deep_latent_gaussian_models_fit_the_data(num_levels: int, options: dict) -> None:
    plan = recipes.make("dlgm", counts(), {"num_levels": num_levels, "latent_dim": 3, "epochs": 4, **options})
    assert list(shapes(plan).values()) == [3] * num_levels
    step(plan)


def test_deep_latent_gaussian_models_of_images_by_convolutions() -> None:
    step(recipes.make("dlgm", images(8, 8), {"network": "convolutional:channels=4/8", "latent_dim": 3, "epochs": 4}))


def test_the_linear_sigmoid_model() -> None:
    """One level and no hidden layer: log-odds are A ξ + b."""
    dataset = images(8, 8)
    asked = {"num_levels": 1, "decoder": "linear", "latent_dim": 3, "likelihood": "bernoulli"}
    generator = recipes.make("dlgm", dataset, asked).model.likelihood
    xi = torch.randn(5, 3)
    with torch.no_grad():
        at_zero = generator(torch.zeros(3)).mean.logit()
        each = generator(torch.eye(3)).mean.logit() - at_zero
        expected = at_zero + torch.einsum("nk,kchw->nchw", xi, each)
        torch.testing.assert_close(generator(xi).mean.logit(), expected, rtol=1e-4, atol=1e-4)


def test_no_levels_are_refused() -> None:
    with pytest.raises(UserError, match="num_levels must be at least 1, got 0"):
        recipes.make("dlgm", table(), {"num_levels": 0})


def test_the_convolutional_two_level_model_has_the_published_layers() -> None:
    plan = recipes.make("hvae", images(28, 28), {"network": "gated-convolutional", "latent_dim": 40})
    top, low = plan.model.posterior.levels["z2"], plan.model.posterior.levels["z1"]
    assert top.head.linear.in_features == 294
    assert low.network.of_condition.features == 294  # z₂ in a gated layer as long as the features of x,
    assert low.network.features == 300  # and one that joins them
    between = plan.model.prior.levels["z1"].network
    assert isinstance(between, vk.networks.GatedMLP)
    assert [layer.out_features for layer in between.layers] == [600, 600]  # 300-300, each with its gate
    decoder = plan.model.likelihood.network.network
    assert decoder.first.features == 300
    assert [layer.both.out_channels // 2 for layer in decoder.layers] == [64] * 4


def test_the_convolutional_two_level_model_trains_on_any_image() -> None:
    step(recipes.make("hvae", images(9, 8, 3), {"network": "gated-convolutional:channels=4/6/6", "epochs": 4}))
