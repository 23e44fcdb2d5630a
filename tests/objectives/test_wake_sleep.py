"""Inference learned from dreams, or from weighted draws, where the right gradient is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import vaekit as vk
from vaekit.objectives import PIWAE, ReweightedWakeSleep, WakeSleep
from vaekit.objectives.objective import sides
from vaekit.schedules import Step
from vaekit.testing import assert_equal, assert_mean, check_objective, enumerable, linear_gaussian, seeded

OBJECTIVES = [WakeSleep(), ReweightedWakeSleep(3), PIWAE(2, 2)]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
def test_two_players_share_all_parameters(objective) -> None:
    for model in (linear_gaussian.hierarchy().model, enumerable.m2().model, enumerable.quantized().model):
        players = objective.players(model)
        assert list(players) == ["generative", "recognition"]
        owned = [id(p) for player in players.values() for p in player.parameters]
        assert sorted(owned) == sorted(id(p) for p in model.parameters())
    case = enumerable.m2()
    of_q = {id(p) for p in objective.players(case.model)["recognition"].parameters}
    assert {id(p) for p in case.model.classifier_head.parameters()} <= of_q
    assert not {id(p) for p in case.model.likelihood.parameters()} & of_q


def test_what_prior_and_posterior_share_belongs_to_the_inference() -> None:
    model = enumerable.quantized().model
    infers, generates = sides(model)
    shared = {id(p) for p in model.prior.codebook.parameters()}
    assert shared <= {id(p) for p in infers}
    assert not shared & {id(p) for p in generates}
    with pytest.raises(vk.UserError, match="this objective trains inference by itself, and Linear is of one piece"):
        sides(torch.nn.Linear(2, 2))


def per_dream(model: vk.VAE, count: int) -> Tensor:
    """The gradient of the sleep phase at q's bias, one dream each, ``(count, parameters)``."""
    bias = model.posterior.head.linear.bias
    gradients = []
    for seed in range(count):
        with seeded(seed):
            value = WakeSleep().sleep(model, vk.Batch(torch.zeros(40, 3).double()), Step())
        gradients.append(torch.autograd.grad(value.objective.mean(), bias)[0])
    return torch.stack(gradients)


def test_asleep_the_exact_posterior_is_at_rest_and_a_wrong_one_is_not() -> None:
    right = per_dream(linear_gaussian.exact().model, 100)
    assert_mean(right, torch.zeros(right.shape[1]).double(), "the gradient of log q(z|x) over dreams")
    wrong = per_dream(linear_gaussian.wrong().model, 100)
    assert (wrong.mean(0).abs() > 10 * wrong.std(0) / 10).any()


def test_dreams_are_those_of_the_model() -> None:
    oracle = linear_gaussian.wrong()
    batch = vk.Batch(torch.zeros(5, 3).double())
    with seeded():
        value = WakeSleep().sleep(oracle.model, batch, Step())
    with seeded():
        z = oracle.model.prior().sample(torch.Size([5]))
        x = oracle.model.likelihood(z).sample()
    assert_equal(value.objective, oracle.model.posterior(x).log_prob(z), "log q(z|x)")


def test_weighted_draws_stand_for_the_posterior() -> None:
    """Σ v ∇ log q(z|x) against E ∇ log q(z|x) under the exact p(z|x)."""
    oracle = linear_gaussian.wrong()
    x = oracle.sample(3)
    bias = oracle.model.posterior.head.linear.bias
    found = []
    for seed in range(60):
        with seeded(seed):
            value = ReweightedWakeSleep(2000).infer(oracle.model, vk.Batch(x), Step()).objective.sum()
        found.append(torch.autograd.grad(value, bias)[0])
    with seeded(99):
        exact = oracle.exact_posterior(x).sample(torch.Size([200_000]))
    log_q = oracle.model.posterior(x).log_prob(exact).mean(0).sum()
    expected = torch.autograd.grad(log_q, bias)[0]
    drawn = torch.stack(found)
    assert expected.abs().max() > 0.5
    assert (drawn.mean(0) - expected).abs().max() < 0.02 * expected.abs().max()


def test_reweighted_by_hand_with_branches() -> None:
    case = enumerable.m2()
    batch = vk.Batch(case.every_x[:3], torch.tensor([1, -1, -1]))
    with seeded():
        value = ReweightedWakeSleep(4).infer(case.model, batch, Step()).objective
    with seeded():
        draw = case.model.draw(batch, 4)
    z, log_qy = draw.latents["z"], case.model.classify(batch.x).logits.T
    weight = draw.log_w_branches.exp()
    weight = weight / weight.sum((0, 1))
    assert z.log_qz is not None
    assert_equal(value, (weight * (z.log_qz + log_qy)).sum((0, 1)), "Σ v log q(y|x) q(z|x, y)")


def test_a_quantised_posterior_is_refused() -> None:
    case = enumerable.quantized()
    batch = vk.Batch(case.every_x[:3])
    for value in (WakeSleep().sleep, ReweightedWakeSleep().infer):
        with pytest.raises(vk.UserError, match="puts all mass in one place"):
            value(case.model, batch, Step())


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: type(objective).__name__)
def test_a_posterior_in_which_all_may_move_climbs_to_log_p(objective) -> None:
    """A few steps of each player bring the bound of a wrong posterior up."""
    oracle = linear_gaussian.wrong()
    batch = vk.Batch(oracle.sample(300))
    players = objective.players(oracle.model)
    optimizer = torch.optim.Adam(players["recognition"].parameters, lr=0.03)

    def gap() -> float:
        with seeded(), torch.no_grad():
            return (oracle.log_p(batch.x) - oracle.model.draw(batch, 20).elbo.mean(0)).mean().item()

    before = gap()
    torch.manual_seed(0)
    for _ in range(60):
        optimizer.zero_grad()
        (-players["recognition"].value(oracle.model, batch, Step()).objective.mean()).backward(
            inputs=list(players["recognition"].parameters)
        )
        optimizer.step()
    assert gap() < 0.4 * before


def test_a_classifier_beside_them() -> None:
    case = enumerable.m2()
    objective = vk.objectives.Classified(WakeSleep(), alpha=2.0)
    check_objective(objective, case.model, vk.Batch(case.every_x[:4], torch.tensor([0, -1, 2, -1])))
