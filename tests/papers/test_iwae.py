"""The two models of the paper, and its schedule."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.papers import iwae


@pytest.fixture
def images() -> Dataset:
    split = Split((np.random.RandomState(0).rand(4, 1, 28, 28) < 0.2).astype(np.uint8))
    return Dataset("made up", Binary(), split, split, split, by_name=False)


def test_sizes() -> None:
    def weights(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    def layers(*sizes: int) -> int:
        return sum(a * b + b for a, b in pairwise(sizes))

    assert weights(iwae.one_layer()) == layers(784, 200, 200, 100) + layers(50, 200, 200, 784)
    assert weights(iwae.two_layers()) == sum(
        layers(*sizes)
        for sizes in ((784, 200, 200, 200), (100, 100, 100, 100), (50, 100, 100, 200), (100, 200, 200, 784))
    )


def test_two_layers_are_a_markov_chain() -> None:
    torch.manual_seed(0)
    model = iwae.two_layers()
    x = (torch.rand(3, 1, 28, 28) < 0.2).float()
    draw = model.draw(vk.Batch(x), 2)
    assert list(draw.latents) == ["z2", "z1"]
    assert {name: latent.value.shape for name, latent in draw.latents.items()} == {"z2": (2, 3, 50), "z1": (2, 3, 100)}
    z1, z2 = draw.latents["z1"].value, draw.latents["z2"].value
    # p(x|z1) does not look at z2, nor q(z2|z1) at x.
    assert torch.equal(model.decode({"z2": z2, "z1": z1}).mean, model.decode({"z2": z2 + 1, "z1": z1}).mean)
    q2 = model.posterior.levels["z2"]
    torch.testing.assert_close(q2(x, z1).log_prob(z2), draw.latents["z2"].log_qz)
    assert torch.equal(q2(x, z1).mean, q2(1 - x, z1).mean)
    log_w = draw.log_px + sum(latent.log_pz - latent.log_qz for latent in draw.latents.values())
    torch.testing.assert_close(draw.log_w, log_w)


def test_the_papers_schedule(images: Dataset) -> None:
    plan = iwae.plan(images, 3280, layers=1, samples=5, stretches=8)
    assert [phase.epochs for phase in plan.phases] == [1, 3, 9, 27, 81, 243, 729, 2187]
    rates = [phase.learning_rate for phase in plan.phases]
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-4)
    assert {phase.objective for phase in plan.phases} == {vk.objectives.IWAE(5)}
    (short,) = iwae.plan(images, 2, layers=2, samples=1, stretches=8).phases
    assert (short.epochs, short.learning_rate) == (2, 1e-3)


def test_the_table() -> None:
    names = [variant.name for variant in iwae.IWAE_PAPER.variants]
    assert names == ["k1-1", "k5-1", "k50-1", "k1-2", "k5-2", "k50-2"]
    unverified = {v.name for v in iwae.IWAE_PAPER.variants if v.figures[0].certainty.startswith("published figure not")}
    assert unverified == {"k1-2", "k5-2"}
    assert iwae.IWAE_PAPER.budgets["paper"].epochs == 3280
