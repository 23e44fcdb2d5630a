"""Every recipe with every objective that can be named: a step is taken, or a sentence says why not."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.parts.record import parts
from vaekit.recipes import recipes
from vaekit.schedules import Step

SMALL = {"network": "mlp:hidden=4", "latent_dim": 2, "blocks": "2x1/3x1", "rung": "dense", "width": 4}
WITH_AN_OBJECTIVE = [name for name, each in recipes().items() if "objective" in each.options]
OBJECTIVES = [
    name
    for name in part_cases.from_context("objective")
    if not issubclass(parts("objective")[name], torch.nn.Module) and name != "log-prior"
]
# Gradients of lower variance need a density that can be held still; sorted projections need rows of equal weight.
REFUSED = {
    ("hamiltonian", "elbo-stl"),
    ("hamiltonian", "iwae-stl"),
    ("hamiltonian", "iwae-dreg"),
    ("hamiltonian", "wake-sleep"),
    ("hamiltonian", "reweighted-wake-sleep"),
    ("hamiltonian", "piwae"),
    ("m2", "sliced-wasserstein"),
}


@pytest.fixture(scope="module")
def data() -> vk.data.Dataset:
    return vk.data.load("digits")


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("recipe", WITH_AN_OBJECTIVE)
def test_a_step_or_a_sentence(recipe: str, objective: str, data: vk.data.Dataset) -> None:
    def step() -> None:
        torch.manual_seed(0)
        known = recipes()[recipe].options
        options = {name: value for name, value in SMALL.items() if name in known}
        plan = vk.recipes.make(recipe, data, {"objective": objective, "epochs": 1, **options})
        x = torch.from_numpy(data.train.x[:6]).float().div(16).round()
        batch = vk.Batch(x, torch.tensor([0, 1, 2, -1, -1, -1]))
        goal = plan.phases[0].objective
        for player in goal.players(plan.model).values():
            value = player.value(plan.model, batch, Step(1, 0.5, 1))
            gradients = torch.autograd.grad(value.objective.mean(), list(player.parameters), allow_unused=True)
            assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
            assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)

    if (recipe, objective) in REFUSED:
        with pytest.raises(vk.UserError):
            step()
    else:
        step()
