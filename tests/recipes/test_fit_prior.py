"""Another prior for a trained model."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.cli import main
from vaekit.data import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.errors import Interrupted
from vaekit.schedules import Cosine
from vaekit.training.loop import Training

FITTED_BY_THEMSELVES = ["mixture:num_components=4", "kernel-density:num_points=50"]
TRAINED = ["flow:transforms=1,hidden=8", "vamp:num_components=8", "autoregressive:hidden=8", "two-stage:hidden=8"]
# With so small a β the encodings are far from the prior that they were trained under.
SMALL = {
    "network": "mlp:hidden=16",
    "latent_dim": 2,
    "epochs": 15,
    "objective": "elbo:beta=0.02",
    "learning_rate": 0.01,
}


def two_sorts() -> Dataset:
    """Rows of two sorts that no standard normal describes well, a few bits flipped."""
    random = np.random.RandomState(0)
    sort = np.repeat(random.randint(2, size=(360, 1)), 16, 1)
    x = (sort ^ (random.rand(360, 16) < 0.1)).astype(np.uint8)
    return Dataset("sorts", Binary(), Split(x[:240]), Split(x[240:300]), Split(x[300:]), by_name=False)


def train(folder: Path, recipe: str = "vae", **options: object) -> vk.Run:
    torch.manual_seed(0)
    plan = vk.recipes.make(recipe, two_sorts(), SMALL | options)
    return vk.fit(plan.model, plan.data, phases=plan.phases, out=folder, quiet=True, batch_size=40)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vk.Run:
    return train(tmp_path_factory.mktemp("runs") / "old")


def contents(folder: Path) -> dict[str, bytes]:
    return {f"{path}": path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("prior", [*FITTED_BY_THEMSELVES, *TRAINED])
def test_the_new_prior_fits_and_all_else_stays(prior: str, run: vk.Run, tmp_path: Path) -> None:
    before = contents(run.folder)
    new = vk.fit_prior(run, prior, out=tmp_path / "new", epochs=10, learning_rate=0.02, quiet=True)
    assert contents(run.folder) == before
    assert run.model.prior.part_name == "prior/standard-normal"
    opened = vk.load(new.folder, two_sorts())
    assert opened.model.prior.part_name == f"prior/{prior.partition(':')[0]}"
    x = torch.from_numpy(two_sorts().test.x).float()
    assert torch.equal(opened.model.encode(x).mean, run.model.encode(x).mean)
    z = torch.randn(5, 2)
    assert torch.equal(opened.model.decode(z).mean, run.model.decode(z).mean)
    old_figures, figures = run.evaluate(samples=200), opened.evaluate(samples=200)
    assert figures["elbo"] > old_figures["elbo"] + 0.5
    assert figures["nll"] < old_figures["nll"]
    assert figures["prior_is_bound"] is ("two-stage" in prior)
    assert opened.model.generate(3).mean.shape == (3, 16)
    asked = {"from": "old", "prior": prior, "seed": 0}
    asked |= {"epochs": 10, "learning_rate": 0.02} if prior in TRAINED else {}
    assert opened.config["fitted_prior"] == asked


def test_a_wide_likelihood_is_no_sum_over_labels(tmp_path: Path) -> None:
    old = train(tmp_path / "old", likelihood="pixelcnn:channels=8,num_layers=1", epochs=1)
    new = vk.fit_prior(old, "mixture:num_components=3", out=tmp_path / "new", quiet=True)
    assert new.model.prior.part_name == "prior/mixture"


@pytest.mark.parametrize(
    "recipe, options, below",
    [
        ("hvae", {}, ["posterior/diagonal"]),
        ("dlgm", {}, ["prior/standard-normal"]),
        ("dlgm", {"num_levels": 1}, []),
    ],
)
def test_the_prior_of_the_first_latent_is_replaced(
    recipe: str, options: dict[str, int], below: list[str], tmp_path: Path
) -> None:
    old = train(tmp_path / "old", recipe, **{"epochs": 2, **options})
    for prior in ("mixture:num_components=3", "vamp:num_components=5"):
        new = vk.fit_prior(old, prior, epochs=2, quiet=True)
        levels = vk.load(new.folder, two_sorts()).model.prior.levels
        assert [level.part_name for level in levels.values()] == [f"prior/{prior.partition(':')[0]}", *below]
        assert new.folder.name == f"old-{prior.partition(':')[0]}-1"
        assert new.evaluate(samples=5)["nll"] is not None


@pytest.mark.parametrize("prior", ["mixture:num_components=3", "flow:transforms=1,hidden=8"])
def test_a_plain_autoencoder_gets_a_prior(prior: str, tmp_path: Path) -> None:
    old = train(tmp_path / "old", posterior="point", epochs=5)
    new = vk.fit_prior(old, prior, epochs=10, learning_rate=0.02, quiet=True)
    z = old.model.encode(torch.from_numpy(two_sorts().test.x).float()).mean
    assert new.model.prior().log_prob(z).mean() > old.model.prior().log_prob(z).mean()
    assert new.evaluate(samples=5)["nll"] is None


def test_trained_again_after_a_stop_is_the_same(run: vk.Run, tmp_path: Path) -> None:
    whole = vk.fit_prior(run, TRAINED[0], out=tmp_path / "whole", epochs=4, quiet=True)
    vk.fit_prior(run, TRAINED[0], out=tmp_path / "parts", epochs=2, quiet=True)
    parts = vk.fit_prior(run, TRAINED[0], out=tmp_path / "parts", epochs=4, resume=True, quiet=True)
    z = torch.randn(5, 2)
    assert torch.equal(parts.model.prior().log_prob(z), whole.model.prior().log_prob(z))


def test_what_is_not_given_is_as_it_was(run: vk.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"epochs": 2, "learning_rate": Cosine(0.01, warmup=1), "seed": 3, "quiet": True}
    whole = vk.fit_prior(run, TRAINED[0], out=tmp_path / "whole", **asked)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_requests", lambda self: [True, False])
        with pytest.raises(Interrupted):
            vk.fit_prior(run, TRAINED[0], out=tmp_path / "parts", **asked)
    parts = vk.fit_prior(run, out=tmp_path / "parts", resume=True, quiet=True)
    assert parts.config == whole.config
    z = torch.randn(5, 2)
    assert torch.equal(parts.model.prior().log_prob(z), whole.model.prior().log_prob(z))


def test_nothing_to_go_on_with(run: vk.Run, tmp_path: Path) -> None:
    with pytest.raises(vk.UserError, match=r"new is not a run folder"):
        vk.fit_prior(run, TRAINED[0], out=tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()
    with pytest.raises(vk.UserError, match=r"needs its run folder.\nhint: name it with --out"):
        vk.fit_prior(run, TRAINED[0], resume=True)
    with pytest.raises(vk.UserError, match="was not made by fit-prior"):
        vk.fit_prior(run, out=run.folder, resume=True)
    vk.fit_prior(run, FITTED_BY_THEMSELVES[0], out=tmp_path / "new")
    with pytest.raises(vk.UserError, match="records no training of a prior to go on with"):
        vk.fit_prior(run, out=tmp_path / "new", resume=True)
    vk.fit_prior(run, TRAINED[0], out=tmp_path / "trained", epochs=1, quiet=True)
    with pytest.raises(vk.UserError, match="was started with model/prior flow, and not mixture"):
        vk.fit_prior(run, FITTED_BY_THEMSELVES[0], out=tmp_path / "trained", resume=True)


def test_what_cannot_be_is_refused(run: vk.Run, tmp_path: Path) -> None:
    with pytest.raises(vk.UserError, match="is the run itself"):
        vk.fit_prior(run, out=run.folder)
    with pytest.raises(vk.UserError, match="'mixtur'"):
        vk.fit_prior(run, "mixtur", out=tmp_path / "new")
    with pytest.raises(vk.UserError, match=r"to 240 encodings\.\nhint: ask for fewer: mixture:num_components=24\."):
        vk.fit_prior(run, "mixture:num_components=500", out=tmp_path / "new")
    with pytest.raises(vk.UserError, match="prior cannot be trained: learning_rate must be a number from 0, got -1"):
        vk.fit_prior(run, TRAINED[0], out=tmp_path / "new", learning_rate=-1)
    assert not (tmp_path / "new").exists()
    vk.fit_prior(run, FITTED_BY_THEMSELVES[0], out=tmp_path / "new")
    with pytest.raises(vk.UserError, match="is not empty"):
        vk.fit_prior(run, FITTED_BY_THEMSELVES[0], out=tmp_path / "new")
    again = vk.fit_prior(run, FITTED_BY_THEMSELVES[1], out=tmp_path / "new", overwrite=True)
    assert again.model.prior.part_name == "prior/kernel-density"
    # Nothing was trained, so that there is nothing to go on with; the weights are not lost by trying.
    kept = contents(tmp_path / "new")
    assert main(["train", "digits", "--resume", f"{tmp_path / 'new'}"]) == 2
    assert contents(tmp_path / "new") == kept


def test_the_commands_that_are_told_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = ["--network", "mlp:hidden=16", "--latent-dim", "3", "--epochs", "1"]
    assert main(["train", "digits", *network, "--out", "old", "--quiet"]) == 0
    asked = ["--prior", "flow:transforms=1,hidden=8", "--learning-rate", "cosine(0.01)", "--epochs", "2"]
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_requests", lambda self: [True, False])
        assert main(["fit-prior", "old", *asked, "--out", "new"]) == 130
    said = capsys.readouterr().err
    (command,) = re.findall(r"hint: vaekit (.*) goes on from there", said)
    assert main(command.split()) == 0
    assert main(["report", "new", "--samples", "3", "--limit", "20"]) == 0
    words = unescape(re.sub("<[^>]*>", "", Path("new/report.html").read_text()))
    (command,) = re.findall(r"vaekit (fit-prior .*) --out AGAIN", words)
    assert main([*shlex.split(command), "--out", "again"]) == 0
    assert Path("again/model.safetensors").read_bytes() == Path("new/model.safetensors").read_bytes()


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = f"{tmp_path / 'old'}"
    network = ["--network", "mlp:hidden=16", "--latent-dim", "3"]
    assert main(["train", "digits", *network, "--epochs", "2", "--out", old, "--quiet"]) == 0
    capsys.readouterr()
    new = f"{tmp_path / 'new'}"
    assert main(["fit-prior", old, "--prior", "two-stage:hidden=16", "--epochs", "1", "--out", new, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"] == new
    assert said["elbo_before"] == vk.load(old).best["validation_elbo"]
    assert main(["evaluate", new, "--samples", "3", "--limit", "20"]) == 0
    assert "log p(z) of this prior is a bound" in capsys.readouterr().out
    assert main(["evaluate", old, "--samples", "3", "--limit", "20"]) == 0
    assert "is a bound" not in capsys.readouterr().out
    assert main(["report", new, "--samples", "3", "--limit", "20"]) == 0
    assert "log p(z) of this prior is itself a bound" in (tmp_path / "new" / "report.html").read_text()
    for verb in (["sample", new, "-o", f"{tmp_path / 'x.npz'}"], ["doctor", new], ["cite", new], ["compare", old, new]):
        assert main([*verb, *(["--samples", "3", "--limit", "20"] if verb[0] == "compare" else [])]) == 0
    capsys.readouterr()
    assert main(["fit-prior", old, "--resume", "--overwrite", "--out", new]) == 2
    assert "--resume goes on and --overwrite starts again: give one of them." in capsys.readouterr().err
    assert main(["fit-prior", old, "--learning-rate", "fast"]) == 2
    assert "--learning-rate must be a number or a schedule" in capsys.readouterr().err


def test_a_model_that_sums_over_a_label_or_has_codes_or_a_ladder_is_refused(tmp_path: Path) -> None:
    digits = vk.data.load("digits")
    for recipe, options, why in (
        ("ladder", {"blocks": "2x1/4x1", "width": 8, "latent_channels": 1}, "gives z2, z1 by one network"),
        ("m2", {"network": "mlp:hidden=8", "latent_dim": 2}, "sums over a label"),
        ("vq-vae", {"num_codes": 4, "code_dim": 2, "channels": (2, 2), "prior_epochs": 1}, "is fitted to vectors"),
    ):
        plan = vk.recipes.make(recipe, digits, {"epochs": 1, **options})
        old = vk.fit(plan.model, plan.data, phases=plan.phases, out=tmp_path / recipe, quiet=True)
        with pytest.raises(vk.UserError, match=why):
            vk.fit_prior(old, "vamp:num_components=3")
