"""Each player climbs its own value with its own parameters, and what rests does not move at all."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from training_cases import local_part, log_px, small_digits, small_plan, train

from vaekit.data import Dataset, as_dataset
from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Objective, Player, Value
from vaekit.recipes import Plan
from vaekit.schedules import Step
from vaekit.training import Phase


def tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def moved(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    """Names of the tensors that are not what they were."""
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


@local_part("objective/tug-of-war")
class TugOfWar(Objective):
    """Two players whose values both depend on every weight: one pulls up what the other pulls down."""

    def players(self, model: nn.Module) -> dict[str, Player]:
        posterior = list(model.get_submodule("posterior").parameters())
        likelihood = list(model.get_submodule("likelihood").parameters())
        return {"up": Player(posterior, self), "down": Player(likelihood, self.down)}

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        log_px = model.decode(model.encode(batch.x).mean).log_prob(batch.x)
        return Value(log_px, {"log_px": log_px})

    def down(self, model: Any, batch: Batch, step: Step) -> Value:
        value = self(model, batch, step).objective
        return Value(-0.5 * value, {})


@functools.cache
def one_batch() -> Dataset:
    """Sixteen images of black and white."""
    images = (small_digits(kind="none").train.x[:56] > 8).astype(np.uint8)
    return as_dataset({"train": images[:16], "validation": images[16:36], "test": images[36:]})


def binary_plan(phase: Phase) -> Plan:
    plan = small_plan(dataset=one_batch())
    return plan._replace(phases=(phase,))


def test_a_player_steps_along_the_gradient_of_its_own_value_with_its_own_weights(tmp_path: Path) -> None:
    """Two gradient steps by hand, the second one after the first has been taken."""
    rate = 0.01
    plan = binary_plan(Phase(TugOfWar(), epochs=1, learning_rate=rate))
    expected = small_plan(dataset=one_batch())
    train(plan, tmp_path / "run", optimizer="sgd")

    x = torch.from_numpy(one_batch().train.x).float()
    for player, sign in (("posterior", 1.0), ("likelihood", -0.5)):
        value = sign * log_px(expected, x).mean()
        own = dict(expected.model.get_submodule(player).named_parameters())
        gradients = torch.autograd.grad(value, list(own.values()), allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(own.values(), gradients, strict=True):
                if gradient is not None:
                    weight += rate * gradient
    start = small_plan(dataset=one_batch()).model
    for name, weight in plan.model.named_parameters():
        torch.testing.assert_close(weight, expected.model.get_parameter(name), msg=name, rtol=1e-4, atol=1e-6)
        assert not torch.equal(weight, start.get_parameter(name)), name


def test_the_critic_learns_and_feels_nothing_of_the_autoencoder(tmp_path: Path) -> None:
    """With weight 0 the encoder must train as if there were no critic, while the critic learns."""
    alone, watched = (small_plan("aae", weight=weight) for weight in (0.0, 0.0))
    before = tensors(watched.phases[0].objective)  # type: ignore[arg-type]
    train(watched, tmp_path / "watched")
    assert len(moved(before, watched.phases[0].objective)) == len(before)  # type: ignore[arg-type]
    # The critic's own steps cannot be told from the autoencoder's weights: its learning rate is all of the difference.
    objective = alone.phases[0].objective
    for parameter in objective.parameters():  # type: ignore[union-attr]
        parameter.data.zero_()
    train(alone, tmp_path / "alone")
    for name, weight in watched.model.named_parameters():
        assert torch.equal(weight, alone.model.get_parameter(name)), name


@pytest.mark.parametrize("codebook", ["moving-average", "gradient"])
class TestPhases:
    def test_the_first_moves_all_but_the_prior(self, codebook: str, tmp_path: Path) -> None:
        plan = small_plan("vq-vae", codebook=codebook)
        before = tensors(plan.model)
        train(plan._replace(phases=plan.phases[:1]), tmp_path / "run")
        changed = moved(before, plan.model)
        own = {name for name in before if name.startswith("prior.") and ".codebook." not in name}
        assert changed.isdisjoint(own)
        # The code book is reached by two names; it moves under both.
        assert {"posterior.codebook.embedding", "prior.codebook.embedding"} <= changed
        assert {name.split(".")[0] for name in changed} == {"posterior", "likelihood", "prior"}

    def test_the_second_moves_the_prior_and_neither_code_book_nor_its_counts(
        self, codebook: str, tmp_path: Path
    ) -> None:
        plan = small_plan("vq-vae", codebook=codebook)
        before = tensors(plan.model)
        train(plan._replace(phases=plan.phases[1:]), tmp_path / "run")
        changed = moved(before, plan.model)
        assert {name.split(".")[0] for name in changed} == {"prior"}
        assert not any(".codebook." in name for name in changed)
        assert {"prior.last.weight", "prior.first.convolution.weight", "prior.first.weight"} & changed


def test_a_part_that_rests_wins_over_one_that_moves(tmp_path: Path) -> None:
    plan = small_plan()
    before = tensors(plan.model)
    phase = Phase(ELBO(), epochs=1, train=("posterior", "likelihood"), rest=("likelihood",))
    train(plan._replace(phases=(phase,)), tmp_path / "posterior")
    assert {name.split(".")[0] for name in moved(before, plan.model)} == {"posterior"}
    plan = small_plan()
    train(plan._replace(phases=(Phase(ELBO(), epochs=1, rest=("posterior",)),)), tmp_path / "all but it")
    assert {name.split(".")[0] for name in moved(before, plan.model)} == {"likelihood"}


def test_parts_that_are_not_there(tmp_path: Path) -> None:
    for phase, said in (
        (Phase(ELBO(), train=("encoder",)), "the model has no part encoder; it has prior, posterior, likelihood"),
        (Phase(ELBO(), rest=("decoder",)), "the model has no part decoder; it has prior, posterior, likelihood"),
        (Phase(ELBO(), train=("prior",)), "nothing is left to train: the parts that are to move have no parameters"),
    ):
        with pytest.raises(UserError) as refused:
            train(binary_plan(phase), tmp_path / "run")
        assert refused.value.message == said + "."
        assert not (tmp_path / "run").exists()
