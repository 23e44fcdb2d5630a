"""The laws of every registered objective on every kind of model."""

from __future__ import annotations

import part_cases
import pytest
import torch

import vaekit as vk
from vaekit.objectives import ELBO, Objective
from vaekit.parts.specification import parse
from vaekit.schedules import Step
from vaekit.testing import assert_equal, check_bound, check_objective, enumerable, linear_gaussian, seeded

ALL = [name for name in part_cases.names_of("objective") if name != "classified"]


def make(text: str) -> object:
    name, options = parse(text)
    if name == "adversarial" and not options:
        return vk.objectives.Adversarial(latent_dim=1, weight=2.0, hidden=(8,))
    return part_cases.make("objective", name, **options)


def models() -> dict[str, tuple[torch.nn.Module, vk.Batch]]:
    binary = enumerable.binary_vae()
    wrong = linear_gaussian.wrong(latent_dim=1)
    return {
        "binary": (binary.model, vk.Batch(binary.every_x[:6])),
        "real": (wrong.model, vk.Batch(wrong.sample(6))),
    }


@pytest.mark.parametrize("model", models())
@pytest.mark.parametrize("text", [*ALL, *part_cases.OBJECTIVE_VARIANTS])
def test_laws(text: str, model: str) -> None:
    check_objective(make(text), *models()[model], step=Step(index=3, epoch=2.5, epochs=20))


# Draws of a prior with parameters move with them, and carry no gradient.
MATCHING = ["wae", "info-vae", "sliced-wasserstein"]


@pytest.mark.parametrize(
    "text", [*(name for name in ALL if name != "adversarial"), "adversarial:latent_dim=4,hidden=8"]
)
@pytest.mark.parametrize("bottom_up", [False, True])
def test_laws_on_hierarchies(text: str, bottom_up: bool) -> None:
    oracle = linear_gaussian.hierarchy(bottom_up)
    # With the exact posterior all weights are equal, and the largest is any of them.
    differentiable = text not in [*MATCHING, "vr-max"]
    check_objective(make(text), oracle.model, vk.Batch(oracle.sample(4)), differentiable=differentiable)


@pytest.mark.parametrize(
    "text", ["classified", *(name for name in ALL if name not in ("adversarial", "sliced-wasserstein"))]
)
@pytest.mark.parametrize("label", [None, [0, -1, 2, -1]])
def test_laws_on_m2(text: str, label: list[int] | None) -> None:
    case = enumerable.m2()
    batch = vk.Batch(case.every_x[:4], None if label is None else torch.tensor(label))
    check_objective(make(text), case.model, batch)


def test_a_classifier_beside_an_objective_with_a_gradient_of_its_own() -> None:
    case = enumerable.m2()
    objective = vk.objectives.Classified(vk.objectives.DReG(3))
    assert not objective.differentiable
    assert objective.needs_density
    assert vk.objectives.Classified(ELBO()).differentiable
    check_objective(objective, case.model, vk.Batch(case.every_x[:4], torch.tensor([0, -1, 2, -1])))


def test_laws_of_a_classifier_beside_a_critic() -> None:
    case = enumerable.m2()
    objective = vk.objectives.Classified(vk.objectives.Adversarial(latent_dim=4, hidden=(8,)), alpha=2.0)
    batch = vk.Batch(case.every_x[:4], torch.tensor([0, -1, 2, -1]))
    check_objective(objective, case.model, batch)
    objective.networks()[0].double()
    players = objective.players(case.model)
    assert list(players) == ["autoencoder", "critic"]
    with seeded():
        climbed = players["autoencoder"].value(case.model, batch, Step()).objective
    with seeded():
        assert torch.equal(climbed, objective(case.model, batch, Step()).objective), "the classifier is left out"


@pytest.mark.parametrize(
    "text", [name for name in ALL if name not in ("adversarial", "wake-sleep", "reweighted-wake-sleep")]
)
def test_laws_on_a_quantised_model(text: str) -> None:
    case = enumerable.quantized()
    # Straight-through is not a derivative.
    check_objective(make(text), case.model, vk.Batch(case.every_x[:4]), differentiable=False)


def test_penalty_of_the_posterior_is_subtracted_once() -> None:
    case = enumerable.quantized()
    batch = vk.Batch(case.every_x[:4])
    draw = case.model.draw(batch)
    assert isinstance(draw.penalty, torch.Tensor)
    assert draw.penalty.min() > 0
    for text in ("elbo", "iwae:samples=3", "free-bits:nats=0", "elbo-stl", "iwae-dreg", "miwae", "vr-max", "renyi"):
        value = make(text)(case.model, batch, Step()).objective  # type: ignore[operator]
        assert_equal(value, draw.elbo[0] - draw.penalty, text)


# Those that are no lower bounds: α below 0 and α → −∞, and those that match the aggregate instead.
BOUNDS = {
    "elbo": True,
    "elbo:beta=2": False,
    "free-bits": False,
    "iwae:samples=1": True,
    "elbo-stl": True,
    "iwae-stl:samples=3": True,
    "iwae-dreg:samples=1": True,
    "iwae-dreg:samples=4": True,
    "renyi:alpha=1,samples=1": True,
    "renyi:alpha=0.5,samples=3": True,
    "renyi:alpha=0,samples=3": True,
    "miwae:groups=2,samples=3": True,
    "ciwae:beta=0.3,samples=3": True,
    "piwae:groups=2,samples=2": True,
    "wake-sleep": True,
    "reweighted-wake-sleep:samples=3": True,
}


@pytest.mark.parametrize("text", BOUNDS)
def test_a_bound_is_a_bound(text: str) -> None:
    check_bound(make(text), tight=BOUNDS[text])


@pytest.mark.parametrize("text", ALL)
def test_a_posterior_without_density_is_used_or_refused(text: str) -> None:
    with seeded():
        model = vk.VAE(
            part_cases.make("prior", "standard-normal"),
            part_cases.make("posterior", "point"),
            part_cases.make("likelihood", "bernoulli"),
        )
        batch = vk.Batch(torch.rand(4, *part_cases.SHAPE).round())
    objective = part_cases.make("objective", text)
    values = [player.value for player in objective.players(model).values()]
    if not objective.needs_density:
        for value in values:
            assert value(model, batch, Step()).objective.isfinite().all()
        return
    for value in values:
        with pytest.raises(vk.UserError, match="needs the density of the posterior"):
            value(model, batch, Step())


def test_an_objective_must_say_its_value() -> None:
    with pytest.raises(TypeError, match="must define __call__"):
        Objective()(None, vk.Batch(torch.zeros(1, 1)), Step())


def test_terms_are_those_of_the_bound() -> None:
    case = enumerable.binary_vae()
    with seeded():
        value = ELBO(beta=3.0)(case.model, vk.Batch(case.every_x), Step())
    assert_equal(value.terms["log_px"] - 3 * value.terms["kl"], value.objective, "log p(x|z) − β KL")
