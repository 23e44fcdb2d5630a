"""``vaekit report`` and ``vaekit traverse`` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_cases import Command
from PIL import Image

from vaekit import training
from vaekit.distributions import centre
from vaekit.evaluation.latents import Encoding
from vaekit.evaluation.traversal import Unit, moved, rank_units


class TestReport:
    def test_it_is_written(self, vaekit: Command, runs: dict[str, Path]) -> None:
        said = vaekit("report", runs["vectors"], "--samples", 3, "--limit", 20)
        assert (said.code, said.out) == (0, f"{runs['vectors'] / 'report.html'}\n")
        assert (runs["vectors"] / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        # The run is as good as before, and the page is the same each time.
        before = (runs["vectors"] / "report.html").read_bytes()
        assert vaekit("report", runs["vectors"], "--samples", 3, "--limit", 20).code == 0
        assert (runs["vectors"] / "report.html").read_bytes() == before

    def test_on_other_data(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        np.save(tmp_path / "other.npy", np.random.RandomState(1).randn(30, 5).astype(np.float32))
        assert vaekit("report", runs["vectors"], tmp_path / "other.npy", "--samples", 3).code == 0
        assert "all rows, 30 examples" in (runs["vectors"] / "report.html").read_text(encoding="utf-8")

    def test_refusals(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit.refused("report", runs["vae"], "--samples", 0)[0] == (
            "--samples must be a whole number from 1, got 0."
        )
        assert "is not a run folder" in vaekit.refused("report", tmp_path)[0]
        message = vaekit.refused("report", runs["vectors"], "digits")[0]
        assert "was made for examples of shape (5,)" in message


class TestAfterTraining:
    ASKED = ("digits", "--network", "mlp:hidden=8", "--epochs", 1, "--device", "cpu")

    def test_the_last_line_names_the_page(self, vaekit: Command, tmp_path: Path) -> None:
        said = vaekit("train", *self.ASKED, "--out", tmp_path / "run")
        page = tmp_path / "run" / "report.html"
        assert said.code == 0
        assert said.err.splitlines()[-1].startswith(f"report: {page}")
        assert page.read_text(encoding="utf-8").endswith("</html>\n")

    def test_findings_are_said_and_shown(self, vaekit: Command, tmp_path: Path) -> None:
        asked = (*self.ASKED[:-3], 3, "--objective", "elbo:beta=100", "--out", tmp_path / "run")
        said = vaekit("train", *asked)
        assert "found: the decoder ignores z: " in said.err
        assert "decoder-ignores-z" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        said = vaekit("train", *asked, "--overwrite", "--json", "--quiet")
        assert said.err == ""
        summary = json.loads(said.out)
        assert summary["report"] == str(tmp_path / "run" / "report.html")
        assert "decoder-ignores-z" in [found["name"] for found in summary["findings"]]

    @pytest.mark.parametrize(
        "error, why", [(ZeroDivisionError("no ink"), "no ink"), (KeyboardInterrupt(), "interrupted")]
    )
    def test_a_page_that_cannot_be_drawn_costs_nothing(
        self, error: BaseException, why: str, vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr("vaekit.report.write_report", broken)
        said = vaekit("train", *self.ASKED, "--out", tmp_path / "run")
        assert said.code == 0
        run = tmp_path / "run"
        assert f"warning: the report was not drawn ({why}); vaekit report {run} tries again." in said.err
        assert (run / "model.safetensors").exists()
        assert not (run / "report.html").exists()
        assert json.loads(vaekit("train", *self.ASKED, "--out", tmp_path / "two", "--json").out)["report"] is None
        assert vaekit("train", *self.ASKED, "--out", tmp_path / "three", "--quiet").err == ""


class TestTraverse:
    @pytest.mark.parametrize("recipe", ["vae", "aae", "hvae", "m2"])
    def test_arrays(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path, recipe: str) -> None:
        out = tmp_path / "t.npz"
        assert vaekit("traverse", runs[recipe], "-o", out, "--units", 2, "--steps", 5, "--range", 2).code == 0
        content = np.load(out)
        assert content["x"].shape == (2, 5, 1, 8, 8)
        assert content["value"].tolist() == [-2, -1, 0, 1, 2]
        assert content["weight"][0] >= content["weight"][1]
        assert vaekit("traverse", runs[recipe], "-o", tmp_path / "t.npy", "--steps", 4).code == 0
        units = 6 if recipe == "hvae" else 3
        assert np.load(tmp_path / "t.npy").shape == (units, 4, 1, 8, 8)

    def test_one_unit_moves_and_nothing_else(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        """The arrays are the decoder's answer to latents made by hand."""
        np.save(tmp_path / "data.npy", np.random.RandomState(1).randn(30, 5).astype(np.float32))
        options = ("--row", 7, "--steps", 3, "--range", 1.5, "--device", "cpu")
        assert vaekit("traverse", runs["vectors"], tmp_path / "data.npy", "-o", tmp_path / "t.npz", *options).code == 0
        content = np.load(tmp_path / "t.npz")
        run = training.load(runs["vectors"])
        x = run.kind.prepare(torch.from_numpy(np.load(tmp_path / "data.npy")[7:8]))
        with torch.no_grad():
            mean = centre(run.model.encode(x))
            assert isinstance(mean, torch.Tensor)
            for unit, path in zip(content["unit"], content["x"], strict=True):
                for value, shown in zip((-1.5, 0.0, 1.5), path, strict=True):
                    z = mean.clone()
                    z[0, unit] = value
                    expected = run.kind.restore(run.model.decode(z).mean)[0]
                    assert np.allclose(shown, expected, atol=1e-5)

    def test_units_are_in_the_order_of_their_kl(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("traverse", runs["vae"], "-o", tmp_path / "t.npz", "--device", "cpu").code == 0
        content = np.load(tmp_path / "t.npz")
        kl = training.load(runs["vae"]).evaluate(samples=1)["kl_by_unit"]["z"]
        # Closed form: it depends on no draw but that of the binarisation.
        assert content["unit"].tolist() == sorted(range(3), key=lambda unit: -kl[unit])
        assert content["weight"] == pytest.approx(sorted(kl, reverse=True), rel=0.05)

    def test_pictures(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        for ending in ("png", "gif"):
            out = tmp_path / f"t.{ending}"
            said = vaekit("traverse", runs["vae"], "-o", out, "--steps", 5, "--units", 2)
            assert (said.code, said.err) == (0, f"wrote {out}\n")
        with Image.open(tmp_path / "t.gif") as moving:
            assert moving.n_frames <= 5 + 3  # equal frames in a row are one
            assert moving.n_frames > 1
            assert moving.size == (2 * 14 * 9 - 14, 14 * 8)
        with Image.open(tmp_path / "t.png") as sheet:
            assert sheet.width > 500

    def test_refusals(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        out = tmp_path / "t.npy"
        vae = ("traverse", runs["vae"], "-o")
        assert vaekit.refused(*vae, out, "--row", 270)[0] == "there is no row 270: digits has rows 0 to 269 (test)."
        assert vaekit.refused(*vae, out, "--row", -1)[0] == "there is no row -1: digits has rows 0 to 269 (test)."
        assert vaekit.refused(*vae, out, "--range", 0)[0] == "--range must be a positive number, got 0."
        assert vaekit.refused(*vae, out, "--range", "nan")[0] == "--range must be a positive number, got nan."
        assert vaekit.refused(*vae, out, "--steps", 1)[0].startswith("--steps must be at least 2")
        assert vaekit.refused(*vae, tmp_path / "t.jpg")[0].startswith(f"'{tmp_path / 't.jpg'}' must end in .png, .gif")
        message = vaekit.refused("traverse", runs["vq-vae"], "-o", out)[0]
        assert message.endswith("has no latent that is a vector of numbers: nothing to move.")
        message, hint = vaekit.refused("traverse", runs["vectors"], "-o", tmp_path / "t.gif")
        assert message == "examples of shape (5,) are no images."
        assert hint == "write a .npy or .npz instead."
        assert list(tmp_path.iterdir()) == []


def test_units_by_kl_or_by_variance() -> None:
    mean = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    latents = {
        "z": Encoding(mean, torch.ones(2, 2)),
        "y": Encoding(torch.eye(2), torch.zeros(2, 2), discrete=True),
        "grid": Encoding(torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)),
    }
    ranking = rank_units(latents, {})
    assert ranking.units == [Unit("z", 1, 1.0), Unit("z", 0, 0.0)]
    assert ranking.by == "variance of its mean"
    ranking = rank_units(latents, {"a": [0.1, 0.5], "b": [0.3]})
    assert [(unit.latent, unit.index) for unit in ranking.units] == [("a", 1), ("b", 0), ("a", 0)]
    assert ranking.by == "KL in nats"


def test_moved_changes_one_number() -> None:
    mean = {"a": torch.arange(3.0)[None], "b": torch.arange(2.0)[None]}
    path = moved(mean, Unit("a", 1, 0.0), torch.tensor([7.0, 8.0]))
    assert isinstance(path, dict)
    assert path["a"].tolist() == [[0, 7, 2], [0, 8, 2]]
    assert path["b"].tolist() == [[0, 1], [0, 1]]
    assert mean["a"].tolist() == [[0, 1, 2]]
