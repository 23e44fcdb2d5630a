"""Every verb from end to end: results on stdout, talk on stderr, files where they were asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_cases import Command
from PIL import Image

from vaekit import data, training
from vaekit.acceleration.switch import why_off
from vaekit.errors import UserError
from vaekit.parts import record as config

RECIPES = ("vae", "aae", "hamiltonian", "hvae", "ladder", "dlgm", "m2", "vq-vae")
LATENTS = {
    "vae": {"z": (3,)},
    "aae": {"z": (3,)},
    "hamiltonian": {"z": (3,)},
    "hvae": {"z2": (3,), "z1": (3,)},
    "ladder": {"z2": (4,), "z1": (16,)},
    "dlgm": {"z2": (3,), "z1": (3,)},
    "m2": {"y": (10,), "z": (3,)},
    "vq-vae": {"z": (4, 2, 2)},
}


def one_object(text: str) -> dict[str, Any]:
    """The only line of a text, read as strict JSON."""
    (line,) = text.splitlines()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(line, parse_constant=refuse)


class TestTrain:
    def test_for_people(self, vaekit: Command, tmp_path: Path) -> None:
        run = tmp_path / "run"
        said = vaekit("train", "digits", "--network", "mlp:hidden=16", "--epochs", 2, "--out", run)
        assert said.code == 0
        (result,) = said.out.splitlines()
        figure = training.load(run).best["validation_elbo"]
        assert result == f"{run}  validation elbo {figure:.3f} nats per example (epoch 2)"
        lines = said.err.splitlines()
        assert lines[0] == (
            "digits: 1,257 + 270 + 270 examples, 8 × 8 binary images, dynamic binarisation from 17 levels → bernoulli; "
            "say --likelihood to change"
        )
        assert [line.split()[:2] for line in lines[2:4]] == [["epoch", "1"], ["epoch", "2"]]
        # What it proposes next works.
        begin = next(place for place, line in enumerate(lines) if line.startswith("next:"))
        proposals = [line.removeprefix("next:").split() for line in lines[begin:-1]]
        assert [words[1] for words in proposals] == ["evaluate", "sample", "reconstruct"]
        assert [words[-1] for words in proposals[1:]] == ["samples.png", "reconstructions.png"]
        assert vaekit(*proposals[2][1:-1], tmp_path / "r.png").code == 0

    def test_for_programs(self, vaekit: Command, tmp_path: Path) -> None:
        options = ("--network", "mlp:hidden=16", "--epochs", 2, "--out", tmp_path / "run", "--json")
        said = vaekit("train", "digits", *options)
        assert said.code == 0
        summary = one_object(said.out)
        assert {"run", "epochs", "elbo", "seconds"} <= summary.keys()
        assert summary["run"] == str(tmp_path / "run")
        assert summary["epochs"] == 2
        assert summary["elbo"] == training.load(tmp_path / "run").best["validation_elbo"]
        assert 0 < summary["seconds"] < 60

    def test_without_a_density(self, vaekit: Command, tmp_path: Path) -> None:
        options = ("--recipe", "aae", "--network", "mlp:hidden=16", "--epochs", 1)
        summary = one_object(vaekit("train", "digits", *options, "--out", tmp_path / "run", "--json").out)
        assert summary["elbo"] is None
        assert summary["log_px"] < 0
        said = vaekit("train", "digits", *options, "--out", tmp_path / "run", "--overwrite", "--quiet")
        assert " validation log_px " in said.out
        assert said.err == ""

    def test_options_reach_what_they_name(self, vaekit: Command, tmp_path: Path) -> None:
        run = tmp_path / "run"
        options = (
            "--prior mixture:num_components=4 --posterior cholesky --likelihood bernoulli --latent-dim 3 --epochs 1 "
            "--objective iwae:samples=2 --network gated-mlp:hidden=16 --learning-rate cosine(0.01) --batch-size 500 "
            "--seed 7 --optimizer adamax --weight-decay 0.01 --clip-norm 2 --ema-decay 0.5 --patience 3 "
            "--device cpu --precision bfloat16 --compile"
        )
        assert vaekit("train", "digits", *options.split(), "--out", run).code == 0
        config = training.load(run).config
        assert config["settings"] == {
            "part": "training/settings",
            "batch_size": 500,
            "seed": 7,
            "optimizer": "adamax",
            "weight_decay": 0.01,
            "clip_norm": 2.0,
            "ema_decay": 0.5,
            "patience": 3,
            "keep_best": True,
            "device": "cpu",
            "precision": "bfloat16",
            "accumulate": 1,
            "compile": True,
        }
        (phase,) = config["phases"]
        assert phase["objective"] == {"part": "objective/iwae", "samples": 2}
        assert phase["learning_rate"] == {"part": "schedule/cosine", "start": 0.01, "end": 0.0, "warmup": 0.0}
        model = config["model"]
        assert model["prior"].items() >= {"part": "prior/mixture", "latent_dim": 3, "num_components": 4}.items()
        assert model["posterior"]["part"] == "posterior/cholesky"
        assert model["posterior"]["network"]["part"] == "network/gated-mlp"
        assert model["posterior"]["network"]["hidden"] == [16]

    def test_resume_needs_only_the_folder(
        self, vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also from another working directory, for data that was named by a relative path."""
        (tmp_path / "elsewhere").mkdir()
        np.save(tmp_path / "own.npy", np.random.RandomState(0).rand(50, 4))
        monkeypatch.chdir(tmp_path)
        start = vaekit("train", "own.npy:test=5", "--network", "mlp:hidden=16", "--epochs", 1, "--out", "run")
        assert start.code == 0
        assert "reconstruct run -o reconstructions.npz\n" in start.err  # vectors are no pictures
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert vaekit("train", "--resume", tmp_path / "run", "--epochs", 3).code == 0
        assert len(training.load(tmp_path / "run").metrics) == 3
        assert one_object(vaekit("evaluate", tmp_path / "run", "--samples", 2, "--json").out)["examples"] == 5

    @pytest.mark.parametrize(
        ("options", "settings"),
        [((), {}), (("--compile",), {"compile": True}), (("--no-compile",), {"compile": False})],
        ids=["left open", "asked for", "refused"],
    )
    def test_whether_steps_are_compiled(
        self,
        options: tuple[str, ...],
        settings: dict[str, bool],
        vaekit: Command,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """What is said is handed on, and left out where nothing is."""
        seen: list[dict[str, Any]] = []

        def stop(*arguments: object, **given: Any) -> None:
            seen.append(given)
            raise UserError("enough seen.")

        monkeypatch.setattr(training, "fit", stop)
        said = vaekit("train", "digits", "--network", "mlp:hidden=16", "--out", tmp_path / "run", *options)
        assert said.code == 2
        assert {name: value for name, value in seen[0].items() if name == "compile"} == settings

    def test_to_compile_and_not_to(self, vaekit: Command, tmp_path: Path) -> None:
        said = vaekit("train", "digits", "--compile", "--no-compile", "--out", tmp_path / "run")
        assert (said.code, said.out) == (2, "")
        assert "--compile and --no-compile cannot both be given" in said.err
        assert not (tmp_path / "run").exists()

    def test_own_parts(self, vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(config, "_REGISTRY", dict(config._REGISTRY))  # no other test is to see it
        file = tmp_path / "own.py"
        file.write_text(
            "from dataclasses import dataclass\n"
            "from vaekit import part\n"
            "from vaekit.objectives.objective import Objective, Value\n"
            "\n"
            "@part('objective/own')\n"
            "@dataclass(frozen=True)\n"
            "class Own(Objective):\n"
            "    scale: float = 1.0\n"
            "    def __call__(self, model, batch, step):\n"
            "        value = model.draw(batch).log_px.mean(0) * self.scale\n"
            "        return Value(value, {})\n"
        )
        options = ("--network", "mlp:hidden=16", "--epochs", 1, "--batch-size", 128, "--parts", file)
        run = tmp_path / "run"
        said = vaekit("train", "digits", *options, "--objective", "own:scale=nan", "--out", run)
        assert said.code == 0
        assert "\nfound: 10 steps were skipped" in said.err
        message, hint = vaekit.refused("train", "digits", *options[:-2], "--objective", "ownn")
        assert message.startswith("unknown objective 'ownn'; known: ")
        assert hint.startswith("did you mean own")
        said = vaekit("train", "digits", *options, "--objective", "own:scale=2", "--out", run, "--overwrite")
        assert said.code == 0, said.err


def test_steps_that_are_never_finite(vaekit: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--network", "mlp:hidden=16", "--epochs", 30, "--out", run)
    said = vaekit("train", "digits", *options, "--objective", "elbo:beta=linear(1,nan,epochs=1)")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1].startswith("error: 20 steps in a row were not finite: ")
    assert said.out == ""


class TestEvaluate:
    KEYS = (
        *("elbo", "nll", "nll_standard_error", "samples", "split", "examples"),
        *("log_px", "kl", "active_units", "binarization"),
    )

    @pytest.mark.parametrize("recipe", RECIPES)
    def test_for_programs(self, recipe: str, vaekit: Command, runs: dict[str, Path]) -> None:
        said = vaekit("evaluate", runs[recipe], "--samples", 3, "--limit", 30, "--json")
        assert said.code == 0
        assert said.err == ""
        figures = one_object(said.out)
        assert set(self.KEYS) <= figures.keys()
        assert figures["run"] == str(runs[recipe])
        assert (figures["samples"], figures["split"], figures["examples"]) == (3, "test", 30)
        assert figures["binarization"] == "dynamic"
        if recipe == "aae":
            assert figures["elbo"] is figures["nll"] is figures["nll_standard_error"] is figures["kl"] is None
            assert "likelihood" in figures["skipped"]
        else:
            assert figures["elbo"] <= 0
            assert figures["nll"] >= 0
            assert figures["elbo"] == pytest.approx(figures["log_px"] - figures["kl"], rel=1e-4)
            assert figures["elbo"] <= -figures["nll"] + 1e-3
        assert (figures["accuracy"] is not None) == (recipe == "m2")

    @pytest.mark.parametrize("recipe", RECIPES)
    def test_for_people(self, recipe: str, vaekit: Command, runs: dict[str, Path]) -> None:
        said = vaekit("evaluate", runs[recipe], "--samples", 3, "--limit", 30)
        assert said.code == 0
        lines = said.out.splitlines()
        assert lines[0] == "digits, test split, 30 examples, binarisation dynamic; nats per example"
        assert any(line.startswith("  log p(x|z)") for line in lines)
        assert any("classification" in line for line in lines) == (recipe != "m2")

    def test_rounded_products_are_said(self, vaekit: Command, runs: dict[str, Path]) -> None:
        asked = "evaluate", runs["vae"], "--samples", 3, "--limit", 30
        rounded = one_object(vaekit(*asked, "--precision", "bfloat16", "--json").out)
        plain = one_object(vaekit(*asked, "--json").out)
        assert (rounded["precision"], plain["precision"]) == ("bfloat16", "float32")
        assert rounded["nll"] == pytest.approx(plain["nll"], abs=0.5)
        assert vaekit(*asked, "--precision", "bfloat16").out.splitlines()[0].endswith("example, products in bfloat16")

    def test_a_compiled_estimate_is_the_same(
        self, vaekit: Command, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[Any] = []
        monkeypatch.setattr("vaekit.acceleration.program.inductor", lambda graph, *_: made.append(graph) or graph)
        asked = "evaluate", runs["vae"], "--samples", 3, "--limit", 230, "--json"
        compiled, plain = (one_object(vaekit(*asked, *more).out) for more in (["--compile"], []))
        assert bool(made) is not bool(why_off())
        assert compiled["nll"] == pytest.approx(plain["nll"], abs=1e-3)

    def test_split_and_seed(self, vaekit: Command, runs: dict[str, Path]) -> None:
        def figures(*options: object) -> dict[str, Any]:
            return one_object(vaekit("evaluate", runs["vae"], "--samples", 2, "--json", *options).out)

        assert figures("--split", "validation")["nll"] == figures("--split", "validation")["nll"]
        assert figures("--seed", 1)["nll"] != figures("--seed", 2)["nll"]
        sizes = [figures("--split", split)["examples"] for split in ("train", "validation", "test", "all")]
        assert sizes == [1257, 270, 270, 1797]

    def test_other_data(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        rows = data.load("digits").test.x[:20]
        np.save(tmp_path / "own.npy", rows // 16)
        figures = one_object(vaekit("evaluate", runs["vae"], tmp_path / "own.npy", "--samples", 2, "--json").out)
        assert figures["examples"] == 20
        assert figures["split"] == "all"


class TestSample:
    @pytest.mark.parametrize("recipe", RECIPES)
    @pytest.mark.parametrize("values", ["mean", "sample"])
    def test_arrays(self, recipe: str, values: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        file = tmp_path / "below" / "x.npy"
        said = vaekit("sample", runs[recipe], "-n", 5, "-o", file, "--values", values)
        assert (said.code, said.out, said.err) == (0, "", f"wrote {file}\n")
        x = np.load(file)
        assert x.shape == (5, 1, 8, 8)
        assert np.isin(x, (0, 1)).all() == (values == "sample")
        assert ((x >= 0) & (x <= 1)).all()

    def test_picture(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("sample", runs["vae"], "-n", 7, "-o", tmp_path / "X.PNG").code == 0
        assert Image.open(tmp_path / "X.PNG").format == "PNG"

    def test_the_seed_decides(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            assert vaekit("sample", runs["vae"], "-n", 5, "-o", tmp_path / f"{name}.npy", "--seed", seed).code == 0
        a, b, c = (np.load(tmp_path / f"{name}.npy") for name in "abc")
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


class TestReconstruct:
    @pytest.mark.parametrize("recipe", RECIPES)
    def test_arrays(self, recipe: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("reconstruct", runs[recipe], "-n", 6, "-o", tmp_path / "r.npz").code == 0
        with np.load(tmp_path / "r.npz") as arrays:
            assert np.array_equal(arrays["x"], data.load("digits").test.x[:6] / 16)
            reconstruction = arrays["reconstruction"]
        assert vaekit("reconstruct", runs[recipe], "-n", 6, "-o", tmp_path / "r.npy").code == 0
        assert np.array_equal(np.load(tmp_path / "r.npy"), reconstruction)
        assert reconstruction.shape == (6, 1, 8, 8)

    def test_pairs_side_by_side(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("reconstruct", runs["vae"], "digits", "-n", 1, "-o", tmp_path / "r.png").code == 0
        pair = Image.open(tmp_path / "r.png")
        assert pair.width / pair.height == pytest.approx((16 + 4) / (8 + 4))
        left = np.asarray(pair.resize((20, 12), Image.Resampling.NEAREST))[2:10, 2:10]
        assert np.array_equal(left > 127, data.load("digits").test.x[0, 0] > 8)

    def test_a_split(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("reconstruct", runs["vae"], "--split", "all", "-n", 5000, "-o", tmp_path / "r.npy").code == 0
        assert len(np.load(tmp_path / "r.npy")) == 1797


class TestEncode:
    @pytest.mark.parametrize("recipe", RECIPES)
    def test_arrays(self, recipe: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        assert vaekit("encode", runs[recipe], "-o", tmp_path / "z.npz").code == 0
        with np.load(tmp_path / "z.npz") as file:
            arrays = dict(file)
        shapes = {name: array.shape for name, array in arrays.items()}
        expected = {f"{z}_{what}": (270, *shape) for z, shape in LATENTS[recipe].items() for what in ("mean", "scale")}
        assert shapes == {**expected, "label": (270,)}
        assert arrays["label"].tolist() == np.asarray(data.load("digits").test.label).tolist()
        for ending in ("npy", "NPY"):
            assert vaekit("encode", runs[recipe], "-o", tmp_path / f"z.{ending}").code == 0
            flat = [arrays[f"{z}_mean"].reshape(270, -1) for z in LATENTS[recipe]]
            assert np.array_equal(np.load(tmp_path / f"z.{ending}"), np.concatenate(flat, axis=1))

    def test_rows_of_a_file_keep_their_order(self, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
        rows = np.random.RandomState(1).randn(30, 5).astype(np.float32)
        for name, array in (("forward", rows), ("backward", rows[::-1])):
            np.save(tmp_path / f"{name}.npy", array)
            out = tmp_path / f"{name}-z.npy"
            assert vaekit("encode", runs["vectors"], tmp_path / f"{name}.npy", "-o", out).code == 0
        forward, backward = (np.load(tmp_path / f"{name}-z.npy") for name in ("forward", "backward"))
        np.testing.assert_allclose(forward, backward[::-1], rtol=1e-5, atol=1e-6)


class TestList:
    @pytest.mark.parametrize("what, known", [
        ("systems", {"vae", "aae", "hvae", "m2", "vq-vae"}),
        ("parts", {"prior mixture", "posterior diagonal", "likelihood bernoulli", "schedule linear"}),
        ("data", {"mnist", "fashion-mnist", "digits"}),
        ("papers", {"Burda et al. 2016, equation 8"}),
    ])  # fmt: skip
    def test_lists(self, what: str, known: set[str], vaekit: Command) -> None:
        said = vaekit("list", what)
        assert (said.code, said.err) == (0, "")
        assert known <= {line for line in said.out.splitlines() if not line.startswith(" ")}
        listed = vaekit("list", what, "--json")
        (line,) = listed.out.splitlines()
        rows = json.loads(line)
        assert known <= {row["name"] for row in rows}
        assert all(row.keys() == {"name", "what", "options", "paper"} for row in rows)
        assert all(row["what"] for row in rows)

    def test_options_as_they_are_written(self, vaekit: Command) -> None:
        """Every option that is listed can be given with its default, in the part specification, as printed."""
        lines = vaekit("list", "parts").out.splitlines()
        place = lines.index("network mlp")
        assert "    options: hidden=300/300, activation=relu, initialization=torch" in lines[place:]

    def test_what_no_command_line_makes_says_so(self, vaekit: Command) -> None:
        lines = vaekit("list", "parts").out.splitlines()
        what = dict(pairwise(lines))
        assert what["network log-input"].endswith("Made of other parts, by a recipe or in Python.")
        assert what["network tutorial-encoder"].endswith("One direction: the option is tutorial.")
        assert "Python" not in what["network mlp"] + what["prior vamp"] + what["posterior diagonal"]


def test_demo(vaekit: Command, tmp_path: Path) -> None:
    said = vaekit("demo", "--data", "digits", "--epochs", 1, "--out", tmp_path / "demo")
    assert said.code == 0, said.err
    for name in ("samples.png", "reconstructions.png", "curves.png"):
        assert Image.open(tmp_path / "demo" / name).format == "PNG"
    assert "elbo" in said.out
    again = vaekit("demo", "--data", "digits", "--epochs", 1, "--out", tmp_path / "demo")
    assert again.code == 0
    assert (tmp_path / "demo" / "config.json").exists()


class TestProcess:
    """What only a real process shows."""

    ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}  # noqa: RUF012

    @pytest.mark.parametrize("arguments", [["--help"], ["list", "parts"]])
    def test_a_reader_that_goes_away(self, arguments: list[str]) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "vaekit", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.ENVIRONMENT,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(timeout=60) == 0
        assert errors == ""

    def test_plain_without_colour(self) -> None:
        said = subprocess.run(
            [sys.executable, "-m", "vaekit", "train", "digits", "--epoch", "3"],
            capture_output=True,
            check=False,
            text=True,
            env=self.ENVIRONMENT,
        )
        assert said.returncode == 2
        assert said.stdout == ""
        assert said.stderr == "error: unknown option --epoch.\nhint: did you mean --epochs?\n"
