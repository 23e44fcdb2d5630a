"""Two players who do not pull at each other's strings."""

from __future__ import annotations

import part_cases
import torch
from torch.nn.functional import logsigmoid

import vaekit as vk
from vaekit.objectives import Adversarial
from vaekit.schedules import Step
from vaekit.testing import assert_equal, seeded


def setting() -> tuple[vk.VAE, Adversarial, vk.Batch]:
    torch.manual_seed(0)
    model = vk.VAE(
        part_cases.make("prior", "standard-normal"),
        part_cases.make("posterior", "point"),
        part_cases.make("likelihood", "bernoulli"),
    ).double()
    objective = Adversarial(part_cases.LATENT_DIM, weight=3.0, hidden=(8,)).double()
    return model, objective, vk.Batch(torch.rand(5, *part_cases.SHAPE).round().double())


def test_players_own_the_model_and_the_critic() -> None:
    model, objective, _ = setting()
    players = objective.players(model)
    assert list(players) == ["autoencoder", "critic"]
    own = [{id(parameter) for parameter in player.parameters} for player in players.values()]
    assert own[0] == {id(parameter) for parameter in model.parameters()}
    assert own[1] == {id(parameter) for parameter in objective.parameters()}
    assert not own[0] & own[1]


def test_a_value_reaches_its_own_player_only() -> None:
    model, objective, batch = setting()
    for name, player in objective.players(model).items():
        model.zero_grad()
        objective.zero_grad()
        # As the loop does it.
        loss = -player.value(model, batch, Step()).objective.mean()
        loss.backward(inputs=list(player.parameters))
        others = objective.parameters() if name == "autoencoder" else model.parameters()
        assert all(parameter.grad is None for parameter in others), f"{name} moves the other player"
        assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in player.parameters)


def test_the_critic_is_told_nothing_that_leads_back_to_the_model() -> None:
    model, objective, batch = setting()
    objective.discriminate(model, batch, Step()).objective.sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in objective.parameters())


def test_the_autoencoder_feels_the_critic() -> None:
    model, objective, batch = setting()
    value = objective(model, batch, Step())
    gradients = torch.autograd.grad(value.terms["log_fooled"].sum(), list(model.posterior.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_values_by_hand() -> None:
    model, objective, batch = setting()
    z = model.encode(batch.x).mean
    value = objective(model, batch, Step())
    expected = model.likelihood(z).log_prob(batch.x) + 3 * logsigmoid(objective.logit(z))
    assert_equal(value.objective, expected, "log p(x|z) + w log D(z)")
    with seeded():
        told = objective.discriminate(model, batch, Step())
    with seeded():
        real = model.prior().sample(torch.Size([5]))
    real, fake = objective.logit(real), objective.logit(z)
    assert_equal(
        told.objective, torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log(), "log D(z′) + log(1 − D(z))"
    )
    correct = ((real > 0).double() + (fake <= 0).double()) / 2
    assert torch.equal(told.terms["critic_accuracy"], correct)


def test_no_weight_is_a_plain_autoencoder() -> None:
    model, objective, batch = setting()
    objective.weight = 0.0
    gradients = []
    for value in (objective(model, batch, Step()), vk.objectives.ELBO()(model, batch, Step())):
        parameters = [*model.posterior.parameters(), *model.likelihood.parameters()]
        gradients.append((value.objective, *torch.autograd.grad(value.objective.sum(), parameters)))
    for one, other in zip(*gradients, strict=True):
        assert_equal(one, other, "value and gradient")
