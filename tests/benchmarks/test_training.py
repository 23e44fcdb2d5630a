"""The comparison of epochs: the loop tuned by hand computes what vaekit computes, and other revisions can be had."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import torch

import vaekit as vk
from vaekit.errors import UserError
from vaekit.schedules import Step
from vaekit.testing import assert_equal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def expert(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "workers"))
    return importlib.import_module("mlp_expert")


def test_the_tuned_loop_computes_the_bound_and_its_gradient(expert: ModuleType) -> None:
    ours = importlib.import_module("images").default_vae().double()
    theirs = expert.Bound().double()
    names = {
        "encoder.0": ours.posterior.network.first,
        "encoder.2": ours.posterior.head.linear,
        "decoder.0": ours.likelihood.network.first,
        "decoder.2": ours.likelihood.head.linear,
    }
    for name, layer in names.items():
        theirs.get_submodule(name).load_state_dict(layer.state_dict())
    torch.manual_seed(0)
    x = (torch.rand(5, 784).double() < 0.13).double()
    torch.manual_seed(1)
    value = -vk.objectives.ELBO()(ours, vk.Batch(x), Step(0, 0.0, 1)).objective.mean()
    torch.manual_seed(1)
    other = theirs(x, torch.randn(1, 5, 16, dtype=torch.float64)[0])
    assert_equal(other, value, "minus the bound")
    value.backward()
    other.backward()
    for name, layer in names.items():
        for kind in ("weight", "bias"):
            own, given = (getattr(each, kind).grad for each in (theirs.get_submodule(name), layer))
            assert_equal(own, given, f"the gradient of {name}.{kind}")


def test_another_revision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    revisions = importlib.import_module("revisions")

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "file").write_text("old")
    git("add", "file")
    git("commit", "-qm", "old")
    (tmp_path / "file").write_text("new")
    monkeypatch.setattr(revisions, "ROOT", tmp_path)
    with revisions.checkout("HEAD") as tree:
        assert (tree / "file").read_text() == "old"
    assert not tree.exists()
    with pytest.raises(UserError, match="no checkout of the revision 'nothing'"), revisions.checkout("nothing"):
        pass


def test_pairs_of_revisions_stand_side_by_side() -> None:
    training = importlib.import_module("training")
    names = [worker.name for worker in training.workers(Path("there"), "v1")]
    assert names[:4] == ["vaekit", "vaekit at v1", "vaekit compiled", "vaekit at v1 compiled"]
    worker = training.workers(Path("there"), "v1")[1]
    assert worker.script == str(Path("there/benchmarks/workers/mlp_vaekit.py"))
    assert worker.variables["PYTHONPATH"] == str(Path("there/src"))
    chosen = training.workers(Path("there"), "v1")[:4]
    for worker, seconds in zip(chosen, (2.0, 4.0, 1.0, 1.0), strict=True):
        worker.rounds = [{"seconds": seconds}, {"seconds": 2 * seconds}, {"seconds": seconds}]
    assert training.against(chosen, "v1") == {
        "vaekit / vaekit at v1": 0.5,
        "vaekit compiled / vaekit at v1 compiled": 1.0,
    }
