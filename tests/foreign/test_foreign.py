"""Models of other papers, each in one file by the contract alone, train, resume, are rebuilt and keep the laws."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import cvae_gan
import dp_mixture
import factor_vae
import gmvae
import lstm_vae
import numpy as np
import pytest
import torch
import vae_gan
from safetensors.torch import load_file
from training_cases import metrics, small_digits, stop_after

import vaekit as vk
from vaekit.data.loader import Loader
from vaekit.errors import Interrupted
from vaekit.models.draw import encoded
from vaekit.parts import record
from vaekit.testing import check_model, check_objective

MODELS: dict[str, ModuleType] = {
    "factor": factor_vae,
    "gmvae": gmvae,
    "vae-gan": vae_gan,
    "cvae-gan": cvae_gan,
    "dp-mixture": dp_mixture,
    "lstm": lstm_vae,
}
# In the list of parts only for these tests: no other test is to see them.
HOMES = {module.__name__ for module in MODELS.values()}
FOREIGN = {name: cls for name, cls in record._REGISTRY.items() if cls.__module__ in HOMES}
for each in FOREIGN:
    del record._REGISTRY[each]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in FOREIGN.items():
        monkeypatch.setitem(record._REGISTRY, name, cls)


def rows(name: str) -> vk.data.Dataset:
    if name == "lstm":
        stream = np.random.default_rng(0)
        lengths = stream.integers(2, 7, 100)
        return vk.data.as_dataset([np.arange(length) % 3 for length in lengths], kind="categories")
    data = small_digits(80)
    return data.conditioned() if name == "cvae-gan" else data


def train(name: str, out: Path, **options: Any) -> vk.Run:
    torch.manual_seed(0)
    data = rows(name)
    model, objective = MODELS[name].make(data)
    settings = {"batch_size": 16, "quiet": True, "compile": False} | options
    return vk.fit(model, data, objective=objective, epochs=2, learning_rate=0.01, out=out, **settings)


def first(data: vk.data.Dataset, count: int = 3) -> vk.Batch:
    return next(iter(Loader(data.train.first(count), data.kind, batch_size=count)))


@pytest.mark.parametrize("name", MODELS)
def test_ten_steps_are_saved_rebuilt_and_resumed_bit_for_bit(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(name, tmp_path / "whole")
    batch = first(rows(name))
    torch.manual_seed(1)
    expected = whole.model.draw(batch, 2)
    torch.manual_seed(1)
    again = vk.load(tmp_path / "whole").model.draw(batch, 2)
    assert torch.equal(again.log_px, expected.log_px)
    assert torch.equal(again.kl, expected.kl)
    with monkeypatch.context() as patch:
        stop_after(7, patch)  # in the second epoch
        with pytest.raises(Interrupted):
            train(name, tmp_path / "halves")
    train(name, tmp_path / "halves", resume=True)
    assert metrics(tmp_path / "halves") == metrics(tmp_path / "whole")
    for file in ("model.safetensors", "objective.safetensors", "state/training.safetensors"):
        if (tmp_path / "whole" / file).exists():
            one, other = (load_file(tmp_path / run / file) for run in ("halves", "whole"))
            assert one.keys() == other.keys()
            assert not [key for key in one if one[key].numpy().tobytes() != other[key].numpy().tobytes()], file


@pytest.mark.parametrize("name", MODELS)
def test_laws(name: str) -> None:
    torch.manual_seed(0)
    data = rows(name)
    model, objective = MODELS[name].make(data)
    check_model(model, first(data))
    check_objective(objective, model, first(data))


def test_every_player_moves_what_is_its_own(tmp_path: Path) -> None:
    for name, players in (("vae-gan", 3), ("cvae-gan", 4), ("factor", 2)):
        torch.manual_seed(0)
        model, objective = MODELS[name].make(rows(name))
        before = {key: each.clone() for key, each in [*model.state_dict().items(), *objective.state_dict().items()]}
        run = train(name, tmp_path / name)
        after = {**run.model.state_dict(), **run.objective.state_dict()}
        assert len(objective.players(model)) == players
        assert not [key for key, each in before.items() if torch.equal(each, after[key])]


def test_an_expert_that_was_opened_is_trained_and_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[torch.Tensor] = []
    after_epoch = dp_mixture.DPMixture.after_epoch

    def watched(self: Any, *arguments: Any) -> bool:
        changed = after_epoch(self, *arguments)
        opened.append(self.experts[-1].likelihood.head.linear.weight.detach().clone())
        return changed

    monkeypatch.setattr(dp_mixture.DPMixture, "after_epoch", watched)
    run = train("dp-mixture", tmp_path / "run", keep_best=False)
    model = vk.load(tmp_path / "run").model
    assert run.config["model"]["num_experts"] == len(model.experts) == 3
    second, third = (expert.likelihood.head.linear.weight for expert in list(model.experts)[1:])
    assert (second - opened[0]).abs().max() > 0.01  # five steps of 0.01 lie behind it
    assert torch.equal(third, opened[1])
    torch.testing.assert_close(model.shares, torch.tensor([0.5, 0.25, 0.25]))


def test_rows_of_mixed_lengths_are_as_each_alone_without_its_padding() -> None:
    torch.manual_seed(0)
    data = rows("lstm")
    model: Any = lstm_vae.make(data)[0].double()
    batch = first(data, 6)
    assert batch.length is not None
    assert len(set(batch.length.tolist())) > 1
    batch = batch._replace(x=batch.x.double())
    q = encoded(model, batch)
    draw = model.draw(batch)
    for row, length in enumerate(batch.length.tolist()):
        alone = vk.Batch(batch.x[row : row + 1, :length])
        torch.testing.assert_close(encoded(model, alone).mean, q.mean[row : row + 1])
        p = lstm_vae.Steps(lstm_vae.LSTMLikelihood((length, 3), 2).double(), draw.z[:, row : row + 1])
        p.likelihood.load_state_dict(model.likelihood.state_dict())
        torch.testing.assert_close(p.log_prob(alone.x), draw.log_px[:, row : row + 1])
