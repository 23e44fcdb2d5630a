"""Table 1 of the paper: every cell is a model that can be made, and what is promised of it stands there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.papers import planned, vampprior
from vaekit.papers.experiment import Job, Variant
from vaekit.recipes import Plan

STATIC = [variant for variant in vampprior.VAMPPRIOR.variants if variant.data == "mnist:binarization=static"]


@pytest.fixture
def images() -> Dataset:
    split = Split((np.random.RandomState(0).rand(4, 1, 28, 28) < 0.2).astype(np.uint8))
    return Dataset("made up", Binary(), split, split, split, by_name=False)


@pytest.fixture
def plan_of(images: Dataset, monkeypatch: pytest.MonkeyPatch):
    """What a variant would train."""
    monkeypatch.setattr(planned, "_train", lambda plan, *rest: plan)

    def of(variant: Variant) -> Plan:
        budget = vampprior.VAMPPRIOR.budgets["paper"]
        return variant.train(Job(Path("nowhere"), images, budget, seed=0))  # type: ignore[return-value]

    return of


@pytest.mark.parametrize("variant", STATIC, ids=lambda variant: variant.name)
def test_every_cell_is_a_model(variant: Variant, plan_of) -> None:
    plan = plan_of(variant)
    x = torch.from_numpy(plan.data.train.x[:2]).float()
    with torch.no_grad():
        draw = plan.model.draw(vk.Batch(x), 2)
    assert draw.log_w.shape == (2, 2)
    assert len(draw.latents) == (1 if variant.name.startswith("vae") else 2)
    assert {latent.value.shape[-1] for latent in draw.latents.values()} == {40}
    (phase,) = plan.phases
    assert (phase.epochs, phase.learning_rate) == (2000, 5e-4)


def test_sizes_of_the_plain_vae(plan_of) -> None:
    """Gated layers have two matrices each; q has a mean and a scale; K pseudo-inputs are the only difference."""
    standard, vamp = (plan_of(variant).model for variant in STATIC if variant.name in ("vae-standard", "vae-vamp"))

    def weights(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    gated = 2 * (784 * 300 + 300 + 300 * 300 + 300) + 2 * (40 * 300 + 300 + 300 * 300 + 300)
    assert weights(standard) == gated + 2 * (300 * 40 + 40) + 300 * 784 + 784
    assert weights(vamp) == weights(standard) + 500 * 784


def test_the_table() -> None:
    paper = vampprior.VAMPPRIOR
    named = {variant.name: variant for variant in paper.variants}
    assert len(named) == len(paper.variants) == 16 + 12 + 2
    for (data, model, prior), (value, _) in vampprior.PUBLISHED.items():
        figure = named["-".join(filter(None, (data, model, prior)))].figures[0]
        assert figure.published == value
        assert figure.unit == ("bits" if data == "frey" else "nats per image")
    promised = {name: variant.figures[0].expected["paper"] for name, variant in named.items() if "frey" not in name}
    assert {name: bound for name, bound in promised.items() if bound} == vampprior.BOUNDS
    quick = {variant.name for variant in paper.variants if paper.budget(variant, "quick").epochs}
    assert quick == set(vampprior.QUICK)
    assert all(paper.budget(variant, "paper") is paper.budgets["paper"] for variant in paper.variants)


def test_bits_are_nats_of_each_pixel() -> None:
    class Fake:
        class data:
            shape = (1, 28, 20)

        def evaluate(self, samples: int, rows: int | None) -> dict[str, float]:
            return {"nll": 560 * np.log(2) * 4.5}

    assert vampprior.bits_of_test(5).of(Fake()) == pytest.approx(4.5)  # type: ignore[arg-type]
