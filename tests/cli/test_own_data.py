"""The data that a run was trained on, later: as it was, changed or gone; and other data beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from cli_cases import Command

SMALL = ["--epochs", "1", "--network", "mlp:hidden=4", "--latent-dim", "2", "--quiet"]


@pytest.fixture
def trained(vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The rows of ``d.npy``, on which the run ``r`` was trained."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.RandomState(0).randn(60, 3) * 5 + 2
    np.save("d.npy", rows)
    assert vaekit("train", "d.npy", *SMALL, "--out", "r").code == 0
    return rows


@pytest.mark.parametrize(
    "typed",
    [
        "evaluate r --samples 2",
        "compare r r --samples 2",
        "score r -o s.csv --samples 2",
        "encode r -o z.npy",
        "reconstruct r -o x.npy",
        "impute r -o i.npy",
        "traverse r -o t.npy",
        "doctor r",
        "report r --samples 2",
        "fit-prior r --prior mixture:num_components=2 --out f",
    ],
)
@pytest.mark.parametrize("change", ["scaled", "longer"])
def test_data_that_has_changed(typed: str, change: str, vaekit: Command, trained: np.ndarray) -> None:
    np.save("d.npy", trained * 1000 if change == "scaled" else np.concatenate([trained, trained[:1]]))
    message, hint = vaekit.refused(*typed.split())
    assert message == f"{Path('d.npy').resolve()} is not the data that r was trained on, or it has changed."
    assert "name it as DATA" in hint


def test_changed_data_that_is_named_is_read_as_the_model_reads_it(vaekit: Command, trained: np.ndarray) -> None:
    np.save("d.npy", trained * 1000)
    figures = json.loads(vaekit("evaluate", "r", "d.npy", "--samples", 2, "--json").out)
    assert figures["examples"] == 60
    assert figures["elbo"] < -1e5


@pytest.mark.parametrize("recipe", ["vae", "m2:num_labelled=6"])
def test_labels_that_are_hidden_or_conditioned_on_are_no_change(
    recipe: str, vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.RandomState(0).randn(60, 2)
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{'uv'[n % 2]}\n" for n, (a, b) in enumerate(x)))
    data = "t.csv:label=y" + ",condition=label" * (recipe == "vae")
    assert vaekit("train", data, "--recipe", recipe, *SMALL, "--out", "r").code == 0
    assert vaekit("evaluate", "r", "--samples", 2).code == 0
    assert vaekit("train", "--resume", "r", "--epochs", 2, "--quiet").code == 0
    if recipe != "vae":
        Path("t.csv").write_text(Path("t.csv").read_text().replace(",u\n", ",w\n").replace(",v\n", ",u\n"))
        message, _ = vaekit.refused("evaluate", "r", "--samples", 2)
        assert "has changed" in message


def test_a_file_has_no_splits(vaekit: Command, trained: np.ndarray) -> None:
    np.savetxt("other.csv", trained, delimiter=",")
    for split in ("train", "validation", "test"):
        message, hint = vaekit.refused("evaluate", "r", "other.csv", "--split", split)
        assert message == f"other.csv has no {split} split of its own."
        assert hint == f"leave --split out; without DATA it is the {split} split of the run's own data."
    said = vaekit("evaluate", "r", "other.csv", "--samples", 2)
    assert said.out.startswith("other.csv, all rows, 60 examples")


def test_a_file_with_parts_of_its_own_has_splits(vaekit: Command, trained: np.ndarray) -> None:
    np.savez("parts.npz", x_train=trained[:30], x_test=trained[50:])
    for split, rows in {None: 10, "test": 10, "train": 30, "all": 40}.items():
        figures = vaekit("evaluate", "r", "parts.npz", "--samples", 2, "--json", *(["--split", split] if split else []))
        assert json.loads(figures.out)["examples"] == rows
    message, _ = vaekit.refused("evaluate", "r", "parts.npz", "--split", "validation")
    assert message.startswith("parts.npz has no validation split")


@pytest.mark.parametrize(
    "typed",
    [
        "evaluate r other.npy --samples 2",
        "encode r other.npy -o z.npy",
        "reconstruct r other.npy -o x.npy",
        "impute r other.npy -o i.npy",
        "traverse r other.npy -o t.npy",
        "report r other.npy --samples 2",
    ],
)
def test_other_data_once_the_own_file_is_gone(typed: str, vaekit: Command, trained: np.ndarray) -> None:
    np.save("other.npy", trained[:20])
    Path("d.npy").unlink()
    assert vaekit(*typed.split()).code == 0
    message, _ = vaekit.refused("evaluate", "r")
    assert message.endswith("d.npy does not exist.")


@pytest.mark.parametrize("own", ["changed", "gone"])
def test_scores_without_the_rows_for_a_threshold(own: str, vaekit: Command, trained: np.ndarray) -> None:
    np.save("other.npy", trained[:20])
    vaekit("score", "r", "other.npy", "-o", "before.npy")
    if own == "changed":
        np.save("d.npy", trained[1:])
    else:
        Path("d.npy").unlink()
    said = vaekit("score", "r", "other.npy", "-o", "s.csv", "--json")
    assert "no threshold" in said.err
    summary = json.loads(said.out)
    assert summary["threshold"] is None
    assert summary["anomalies"] is None
    assert Path("s.csv").read_text().startswith("score\n")
    np.testing.assert_allclose(np.loadtxt("s.csv", skiprows=1), np.load("before.npy"))
    assert "20 rows scored" in vaekit("score", "r", "other.npy", "-o", "s.csv").out


def test_figures_given_the_label_say_so(vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.RandomState(0).randn(60, 2)
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{'uv'[n % 2]}\n" for n, (a, b) in enumerate(x)))
    for run, data in {"plain": "t.csv:label=y", "given": "t.csv:label=y,condition=label"}.items():
        assert vaekit("train", data, *SMALL, "--out", run).code == 0
        given = run == "given"
        for typed in (f"evaluate {run} --samples 2", f"compare {run} {run} --samples 2", f"score {run} -o s.csv"):
            assert ("p(x|y)" in vaekit(*typed.split()).out) == given
            said = json.loads(vaekit(*typed.split(), "--json").out)
            assert said.get("runs", [said])[0]["condition"] == ("label" if given else None)
        assert ("p(x|y)" in Path(run, "report.html").read_text()) == given


def test_tables_come_back_as_tables(vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.random.RandomState(0).randn(60, 2) * 5 + 2
    np.savetxt("t.csv", rows, delimiter=",", header="height,weight", comments="")
    assert vaekit("train", "t.csv", *SMALL, "--out", "r").code == 0
    assert vaekit("encode", "r", "t.csv", "-o", "z.npy").code == 0
    for typed in ("sample r -n 60", "reconstruct r t.csv -n 60", "decode r z.npy"):
        for ending, delimiter in {"csv": ",", "tsv": "\t"}.items():
            assert vaekit(*typed.split(), "-o", f"x.{ending}").code == 0
            assert Path(f"x.{ending}").read_text().splitlines()[0] == f"height{delimiter}weight"
            table = np.loadtxt(f"x.{ending}", delimiter=delimiter, skiprows=1)
            assert vaekit(*typed.split(), "-o", "x.npy").code == 0
            np.testing.assert_allclose(table, np.load("x.npy"))
        assert vaekit(*typed.split(), "-o", "x.parquet").code == 0
        assert pyarrow.parquet.read_table("x.parquet").column_names == ["height", "weight"]
    assert vaekit("encode", "r", "t.csv", "-o", "z.csv").code == 0
    assert Path("z.csv").read_text().splitlines()[0] == "z_mean_0,z_mean_1,z_scale_0,z_scale_1"


def test_imputing_the_own_data_keeps_the_name_of_the_label(
    vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.RandomState(0).randn(60, 2)
    Path("t.csv").write_text("a,b,sort\n" + "".join(f"{a},{b},{'uv'[n % 2]}\n" for n, (a, b) in enumerate(x)))
    assert vaekit("train", "t.csv:label=sort", *SMALL, "--out", "r").code == 0
    assert vaekit("impute", "r", "-o", "i.csv").code == 0
    assert Path("i.csv").read_text().startswith("a,b,sort\n")


def test_commands_and_counts_can_be_read(vaekit: Command, trained: np.ndarray) -> None:
    loud = [word for word in SMALL if word != "--quiet"]
    said = vaekit("train", "d.npy", *loud, "--out", "my run")
    assert "next: vaekit evaluate 'my run'\n" in said.err
    figures = vaekit("evaluate", "my run", "--samples", 1, "--limit", 1).out
    assert " 1 example," in figures
    assert " 1 importance sample\n" in figures


@pytest.mark.parametrize("said", ["kind=grey", "binarization=dynamic"])
def test_grey_levels_from_0_to_1_once_more(
    said: str, vaekit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", np.random.RandomState(0).rand(40, 4, 4).astype(np.float32))
    assert vaekit("train", f"grey.npy:{said}", *SMALL, "--out", "r").code == 0
    _, hint = vaekit.refused("evaluate", "r", "grey.npy", "--samples", 2)
    assert hint == f"numbers from 0 to 1 are taken for grey levels if you say {said}."
    assert vaekit("evaluate", "r", f"grey.npy:{said}", "--samples", 2).code == 0
