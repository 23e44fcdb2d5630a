"""Models that grow while they are trained: what stays goes on, the run can be read at any moment, resuming is exact."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_cases import assert_nearly_the_same, assert_same_run, small_digits, stop_after

import vaekit as vk
from vaekit import atomic
from vaekit.errors import Interrupted
from vaekit.models import Draw, Latent
from vaekit.parts import record
from vaekit.parts.record import update_arguments
from vaekit.run import checkpointer
from vaekit.run.state import State
from vaekit.schedules import Step


class Experts(nn.Module):
    """A mixture of VAEs, enumerated, that opens an expert after the second epoch."""

    abilities = frozenset({"density"})

    def __init__(self, num_experts: int = 1) -> None:
        super().__init__()
        self.experts = nn.ModuleList(self._new() for _ in range(num_experts))

    def _new(self) -> vk.VAE:
        shape, network = (1, 8, 8), vk.networks.MLP
        posterior = vk.posteriors.Diagonal(network(shape, hidden=(8,)), 2)
        likelihood = vk.likelihoods.Bernoulli(network(2, hidden=(8,)), shape)
        return vk.VAE(vk.priors.StandardNormal(2), posterior, likelihood)

    @property
    def num_branches(self) -> int:
        return len(self.experts)

    def after_epoch(self, model: nn.Module, step: Step) -> bool:
        if round(step.epoch) != 2:
            return False
        self.experts.append(self._new())
        update_arguments(self, num_experts=len(self.experts))
        return True

    def draw(self, batch: vk.Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        draws = [expert.draw(batch, samples) for expert in self.experts]  # type: ignore[operator]
        log_branch = torch.stack([draw.elbo for draw in draws], 1).detach().log_softmax(1)
        z = [draw.latents["z"] for draw in draws]
        value, log_pz = torch.stack([each.value for each in z], 1), torch.stack([each.log_pz for each in z], 1)
        log_qz = torch.stack([each.log_qz for each in z], 1)
        prior = torch.full_like(log_branch, -math.log(len(draws)))
        expert = torch.zeros(samples, len(draws), len(batch.x), 1)
        latents = {"z": Latent(value, log_pz, log_qz), "expert": Latent(expert, prior, log_branch)}
        return Draw(latents, torch.stack([draw.log_px for draw in draws], 1), 0.0, log_branch)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """A part while a test of this file runs."""
    record.part("model/experts")(Experts) if not hasattr(Experts, "part_name") else None
    record._REGISTRY["model/experts"] = Experts
    yield
    del record._REGISTRY["model/experts"]


def train(out: Path, epochs: int = 4, seed: int = 0, **options: Any) -> vk.Run:
    torch.manual_seed(seed)
    return vk.fit(Experts(), small_digits(), epochs=epochs, out=out, batch_size=16, quiet=True, **options)


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}, {"optimizer": "sgd"}], ids=str)
def test_what_is_new_is_trained_and_the_run_is_that_model(options: dict[str, Any], tmp_path: Path) -> None:
    run = train(tmp_path / "run", **options)
    assert (run.config["model"]["num_experts"], run.config["grown_from"]["num_experts"]) == (2, 1)
    before = train(tmp_path / "three", epochs=3, **options).model.experts[1].state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in run.model.experts[1].state_dict().items())
    assert run.evaluate(samples=3)["nll"] > 0


def test_what_stays_keeps_its_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experts from the start, one of which is hidden, would have taken the same steps with the other."""
    steps: list[list[float]] = []
    keep = State.keep_optimizers

    def noted(self: Any, before: Any) -> None:
        keep(self, before)
        optimizer = self.optimizers["model"]
        steps.append([float(state["step"]) for state in optimizer.state.values()])

    monkeypatch.setattr(State, "keep_optimizers", noted)
    train(tmp_path / "run")
    assert steps == [[10.0] * len(list(Experts().parameters()))]


@pytest.mark.parametrize("stop", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}], ids=str)
def test_it_goes_on_exactly(options: dict[str, Any], stop: int, tmp_path: Path) -> None:
    train(tmp_path / "whole", **options)
    train(tmp_path / "parts", epochs=stop, **options)
    run = train(tmp_path / "parts", seed=5, resume=True, **options)
    assert len(run.model.experts) == 2
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


class Killed(BaseException):
    pass


def test_killed_at_every_file_it_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "REST", 0.0)
    train(tmp_path / "whole")
    replace, kills = os.replace, 0
    while True:
        folder, count = tmp_path / f"{kills}", 0

        def fatal(source: Path, target: Path, at: int = kills) -> None:
            nonlocal count
            replace(source, target)
            count += 1
            if count == at + 1:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, "replace", fatal)
            try:
                train(folder)
                break
            except Killed:
                kills += 1
        train(folder, resume=True)
        assert_same_run(folder, tmp_path / "whole")
    assert kills == 2 + 4 * 2 + 1  # as ever, and the configuration once more


def test_a_configuration_ahead_of_its_weights_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kill leaves it between the two: to begin to go on is enough."""
    folder = tmp_path / "run"
    config = train(folder, epochs=1).config
    ahead = {**config, "model": {**config["model"], "num_experts": 2}, "grown_from": config["model"]}
    (folder / "config.json").write_text(json.dumps(ahead))
    with pytest.raises(vk.UserError, match="does not fit"):
        _ = vk.load(folder).model
    with monkeypatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(Interrupted):
            train(folder, resume=True)
    assert len(vk.load(folder).model.experts) == 1


@pytest.mark.slow
def test_compiled_steps_are_compiled_anew(tmp_path: Path) -> None:
    """Parameters that joined later have taken fewer steps, which Adam's correction counts."""
    train(tmp_path / "compiled", epochs=5, compile=True)
    train(tmp_path / "plain", epochs=5)
    assert_nearly_the_same(tmp_path / "compiled", tmp_path / "plain")
