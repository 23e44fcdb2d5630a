"""The verbs that work on finished runs: decode, score, compare, doctor."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from cli_cases import Command
from safetensors.torch import load_file, save_file

from vaekit.cli import main


@pytest.mark.parametrize("recipe", ["vae", "aae", "hvae", "vq-vae"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_decoding_what_was_encoded_is_reconstructing(
    recipe: str, ending: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    latents, decoded, rebuilt = tmp_path / f"z.{ending}", tmp_path / "x.npy", tmp_path / "r.npy"
    assert vaekit("encode", runs[recipe], "-o", latents).code == 0
    assert vaekit("decode", runs[recipe], latents, "-o", decoded).code == 0
    assert vaekit("reconstruct", runs[recipe], "-n", 270, "-o", rebuilt).code == 0
    np.testing.assert_allclose(np.load(decoded), np.load(rebuilt), atol=1e-5)


def test_latents_that_do_not_fit(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((4, 7), np.float32))
    message, _ = vaekit.refused("decode", runs["vae"], wrong, "-o", tmp_path / "x.npy")
    assert message == f"{wrong} has rows of shape (7,); the model has 3 latents side by side."
    message, _ = vaekit.refused("decode", runs["vae"], tmp_path / "none.npy", "-o", tmp_path / "x.npy")
    assert message == f"{tmp_path / 'none.npy'} does not exist."
    np.savez(tmp_path / "other.npz", y=np.zeros((4, 3)))
    message, _ = vaekit.refused("decode", runs["vae"], tmp_path / "other.npz", "-o", tmp_path / "x.npy")
    assert message == f"{tmp_path / 'other.npz'} does not hold the latent z; it holds y."
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize(
    "name, content, what",
    [
        ("z.npy", np.zeros((0, 3)), "{path} has no rows of the latent z."),
        ("z.npy", np.array([[0, np.inf, 0]]), "the latent z in {path} holds values that are not finite."),
        ("z.npy", np.full((1, 3), 1e300), "the latent z in {path} holds values that are not finite."),
        ("z.npy", np.array([["a", "b", "c"]]), "the latent z in {path} holds no numbers, but values of type <U1."),
        ("z.npy", np.array([[0, None, 0]]), "{path} holds Python objects, which are never loaded because"),
        ("z.npy", "a,b,c\n1,2,3\n", "{path} is not a .npy file: it begins with"),
        ("z.npz", "a,b,c\n1,2,3\n", "{path} is not a .npz file."),
        ("z.csv", "a,b,c\n1,2,3\n", "{path} must end in .npy or .npz: latents as vaekit encode writes them."),
    ],
)
def test_files_that_hold_no_latents(
    name: str, content: np.ndarray | str, what: str, vaekit: Command, runs: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    message, _ = vaekit.refused("decode", runs["vae"], path, "-o", tmp_path / "x.npy")
    assert message.startswith(what.format(path=path))
    assert not (tmp_path / "x.npy").exists()


def test_the_class_of_m2_can_be_chosen(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    latents = tmp_path / "z.npz"
    assert vaekit("encode", runs["m2"], "-o", latents).code == 0
    with np.load(latents) as content:
        ones = np.eye(10)[np.full(270, 7)]
        np.savez(tmp_path / "sevens.npz", y=ones, z=content["z_mean"])
    assert vaekit("decode", runs["m2"], latents, "--label", 7, "-o", tmp_path / "a.npy").code == 0
    assert vaekit("decode", runs["m2"], tmp_path / "sevens.npz", "-o", tmp_path / "b.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model is told the digit."""
    folder = tmp_path_factory.mktemp("conditional") / "run"
    options = ("--latent-dim", "3", "--network", "mlp:hidden=16", "--epochs", "2", "--quiet", "--out", f"{folder}")
    assert main(["train", "digits:condition=label", *options]) == 0
    return folder


def test_decode_takes_the_classes_that_encode_wrote(vaekit: Command, conditional: Path, tmp_path: Path) -> None:
    latents, decoded, rebuilt, sevens = (tmp_path / name for name in ("z.npz", "x.npy", "r.npy", "7.npy"))
    assert vaekit("encode", conditional, "-o", latents).code == 0
    assert vaekit("decode", conditional, latents, "-o", decoded).code == 0
    assert vaekit("reconstruct", conditional, "-n", 270, "-o", rebuilt).code == 0
    np.testing.assert_allclose(np.load(decoded), np.load(rebuilt), atol=1e-5)
    assert vaekit("decode", conditional, latents, "--label", 7, "-o", sevens).code == 0
    with np.load(latents) as file:
        content = dict(file)
        same = np.isclose(np.load(sevens), np.load(decoded), atol=1e-5).reshape(270, -1).all(1)
        assert (same == (content["label"] == 7)).all()
    np.savez(latents, **content | {"label": content["label"][:9]})
    message, _ = vaekit.refused("decode", conditional, latents, "-o", decoded)
    assert message == "there are 270 rows of latents and 9 labels beside them."
    np.savez(latents, **content | {"label": np.full(270, 11)})
    message, _ = vaekit.refused("decode", conditional, latents, "-o", decoded)
    assert message.startswith(f"unknown class of the model of {conditional} '11'")


def test_decode_where_the_prior_is_told_the_class_too(vaekit: Command, conditional: Path, tmp_path: Path) -> None:
    fitted, latents = tmp_path / "fitted", tmp_path / "z.npz"
    options = ("--prior", "flow:transforms=1", "--epochs", 1, "--out", fitted)
    assert vaekit("fit-prior", conditional, *options).code == 0
    assert vaekit("encode", fitted, "-o", latents).code == 0
    assert vaekit("decode", fitted, latents, "-o", tmp_path / "x.npy").code == 0


def test_scores_in_every_format(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    said = vaekit("score", runs["vae"], "-o", tmp_path / "s.csv", "--samples", 3, "--json")
    summary = json.loads(said.out)
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert len(rows) == summary["rows"] == 270
    assert sum(row["anomaly"] == "True" for row in rows) == summary["anomalies"]
    for row in rows:
        assert (float(row["score"]) > summary["threshold"]) == (row["anomaly"] == "True")
    for name in ("s.npy", "s.npz", "s.parquet"):
        assert vaekit("score", runs["vae"], "-o", tmp_path / name, "--samples", 3).code == 0
    scores = np.load(tmp_path / "s.npy")
    np.testing.assert_allclose(scores, [float(row["score"]) for row in rows], rtol=1e-6)
    np.testing.assert_array_equal(pyarrow.parquet.read_table(tmp_path / "s.parquet")["score"], scores)


def test_rows_unlike_the_data_are_anomalies(vaekit: Command, tmp_path: Path) -> None:
    trained = tmp_path / "run"
    assert vaekit("train", "digits", "--network", "mlp:hidden=32", "--epochs", 15, "--out", trained).code == 0
    np.save(tmp_path / "ones.npy", np.ones((20, 8, 8), np.uint8))
    said = vaekit("score", trained, tmp_path / "ones.npy", "-o", tmp_path / "s.npy", "--samples", 3, "--json")
    assert json.loads(said.out)["anomalies"] == 20


def test_compare(vaekit: Command, runs: dict[str, Path]) -> None:
    chosen = [runs[name] for name in ("vae", "hvae", "aae", "m2")]
    said = vaekit("compare", *chosen, "--samples", 3, "--limit", 40, "--json")
    rows = {row["system"]: row for row in json.loads(said.out)["runs"]}
    alone = json.loads(vaekit("evaluate", runs["hvae"], "--samples", 3, "--limit", 40, "--json").out)
    assert rows["hvae"]["nll"] == alone["nll"]
    assert rows["aae"]["nll"] is None
    said = vaekit("compare", *chosen, "--samples", 3, "--limit", 40).out
    assert said.count("\n") == 7
    assert said.endswith(f"{runs['aae']} has no elbo, nll and KL: the model has no density\n")
    assert "1 example, nats" in vaekit("compare", *chosen, "--samples", 3, "--limit", 1).out


def test_what_cannot_be_compared(vaekit: Command, runs: dict[str, Path]) -> None:
    message, _ = vaekit.refused("compare", runs["vae"], runs["vectors"])
    assert "cannot be compared: one is of digits" in message
    message, _ = vaekit.refused("compare", runs["vae"])
    assert message == "compare needs at least two runs."


@pytest.mark.parametrize("recipe", ["vae", "aae", "hvae", "m2", "vq-vae", "vectors"])
def test_doctor(recipe: str, vaekit: Command, runs: dict[str, Path]) -> None:
    findings = json.loads(vaekit("doctor", runs[recipe], "--limit", 50, "--json").out)["findings"]
    assert all(finding["what"] and finding["cure"] for finding in findings)
    assert vaekit("doctor", runs[recipe], "--limit", 50).code == 0


def test_doctor_of_the_machine(vaekit: Command) -> None:
    assert {"vaekit", "python", "torch", "threads"} <= json.loads(vaekit("doctor", "--json").out).keys()


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_a_model_that_is_not_finite(value: float, vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vectors"], run)
    tensors = load_file(run / "model.safetensors")
    save_file({name: torch.full_like(tensor, value) for name, tensor in tensors.items()}, run / "model.safetensors")
    what = "weights of the model are not finite" if value != value else "log p(x|z) is finite for none of the rows"
    for typed in (
        ["evaluate", run, "--samples", 2],
        ["report", run, "--samples", 2],
        ["score", run, "-o", tmp_path / "s.csv"],
        ["compare", run, run, "--samples", 2],
    ):
        message, hint = vaekit.refused(*typed)
        assert what in message
        assert "--learning-rate" in hint
    assert not (tmp_path / "s.csv").exists()
    (found,) = json.loads(vaekit("doctor", run, "--json").out)["findings"]
    assert what in found["what"]
