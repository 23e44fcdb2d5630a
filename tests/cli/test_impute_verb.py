"""Missing cells and names of classes, from a file through a run to a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from cli_cases import Command

ROWS = 900
SPECIES = ("iris", "rose", "setosa")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A table of six columns that two latents explain, a fifth of it missing; the truth, and where the gaps are."""
    rng = np.random.default_rng(0)
    units = np.array([1, 10, 0.1, 5, 2, 30])
    x = (rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, 6)) + 0.2 * rng.normal(size=(ROWS, 6))) * units + 5 * units
    gap = rng.random(x.shape) < 0.2
    gap[gap.all(1), 0] = False
    path = tmp_path_factory.mktemp("table") / "gaps.csv"
    with path.open("w") as file:
        file.write("a,b,species,c,d,e,f\n")
        for index, (row, holes) in enumerate(zip(x, gap, strict=True)):
            cells = ["" if hole else f"{value:.3f}" for value, hole in zip(row, holes, strict=True)]
            file.write(",".join([*cells[:2], SPECIES[index % 3], *cells[2:]]) + "\n")
    return path, x, gap


@pytest.fixture(scope="module")
def run(table: tuple[Path, np.ndarray, np.ndarray]) -> Path:
    from vaekit.cli import main

    out = table[0].parent / "run"
    arguments = ["--latent-dim", "2", "--network", "mlp:hidden=32", "--epochs", "80", "--learning-rate", "0.005"]
    data = f"{table[0]}:label=species,missing=nan"
    assert main(["train", data, *arguments, "--batch-size", "64", "--out", str(out), "--quiet"]) == 0
    return out


def test_filled_cells_are_near_the_truth_and_the_others_as_they_were(
    vaekit: Command, table: tuple[Path, np.ndarray, np.ndarray], run: Path, tmp_path: Path
) -> None:
    path, x, gap = table
    said = vaekit("impute", run, f"{path}:label=species,missing=nan", "-o", tmp_path / "f.csv", "--json")
    summary = json.loads(said.out)
    assert (summary["rows"], summary["filled"]) == (ROWS, gap.sum())
    assert summary["rows_with_gaps"] == gap.any(1).sum()
    assert 1 < summary["effective_samples"] <= 1000
    before, after = (list(csv.reader(file.open())) for file in (path, tmp_path / "f.csv"))
    assert before[0] == after[0]
    for old, new in zip(before, after, strict=True):
        assert [cell or "filled" for cell in old] == [b if a else "filled" for a, b in zip(old, new, strict=True)]
    filled = np.array([[float(cell) for cell in row[:2] + row[3:]] for row in after[1:]])
    error = ((filled - x) / x.std(0))[gap]
    with_mean = ((x.mean(0) - x) / x.std(0))[gap]
    assert np.sqrt((error**2).mean()) < 0.5 * np.sqrt((with_mean**2).mean())
    # Nothing is missing any more: the same text.
    said = vaekit("impute", run, f"{tmp_path / 'f.csv'}:label=species", "-o", tmp_path / "again.csv")
    assert said.out == "nothing is missing: the data is written as it is\n"
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "f.csv").read_bytes()


def test_the_runs_own_data_and_other_formats(
    vaekit: Command, table: tuple[Path, np.ndarray, np.ndarray], run: Path, tmp_path: Path
) -> None:
    data = f"{table[0]}:label=species,missing=nan"
    for name in ("x.parquet", "x.npz", "x.npy", "x.tsv"):
        assert vaekit("impute", run, data, "-o", tmp_path / name, "--samples", 20).code == 0
    archive = np.load(tmp_path / "x.npz")
    np.testing.assert_array_equal(archive["mask"], ~table[2])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), archive["x"])
    assert archive["species"].tolist()[:3] == [row["species"] for row in list(csv.DictReader(table[0].open()))[:3]]
    columns = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    assert columns.column_names == ["a", "b", "c", "d", "e", "f", "species"]
    np.testing.assert_array_equal(columns["d"], archive["x"][:, 3])
    text = list(csv.DictReader((tmp_path / "x.tsv").open(), delimiter="\t"))
    np.testing.assert_array_equal([float(row["d"]) for row in text], archive["x"][:, 3])
    said = vaekit("impute", run, "-o", tmp_path / "own.csv", "--values", "sample", "--samples", 20)
    assert said.code == 0
    assert " missing cells in " in said.out
    assert len(list(csv.DictReader((tmp_path / "own.csv").open()))) == 90
    drawn = vaekit("impute", run, "-o", tmp_path / "2.npy", "--values", "sample", "--samples", 20, "--seed", 1)
    assert drawn.code == 0
    again = np.genfromtxt(tmp_path / "own.csv", delimiter=",", skip_header=1, usecols=range(6))
    assert (again != np.load(tmp_path / "2.npy")).any()


def test_what_is_printed_says_which_p_of_x(
    vaekit: Command, table: tuple[Path, np.ndarray, np.ndarray], run: Path, tmp_path: Path
) -> None:
    said = vaekit("evaluate", run, "--samples", 5)
    assert "p(x) is that of the observed cells of each example, " in said.out.splitlines()[0]
    assert 0.7 < json.loads(vaekit("evaluate", run, "--samples", 5, "--json").out)["observed"] < 0.9
    scored = vaekit("score", run, "-o", tmp_path / "s.csv", "--samples", 5, "--json")
    assert json.loads(scored.out)["score"] == "-log p(observed x)"
    assert {row["label"] for row in csv.DictReader((tmp_path / "s.csv").open())} == set(SPECIES)
    message, hint = vaekit.refused("evaluate", run, f"{table[0]}:label=species", "--samples", 5)
    assert message.startswith(f"{table[0]} holds {table[2].sum():,} cells without a finite number")
    assert "missing=nan" in hint


def test_endings(vaekit: Command, run: Path, tmp_path: Path) -> None:
    message, _ = vaekit.refused("impute", run, "-o", tmp_path / "x.png")
    assert message.endswith("must end in .csv, .tsv, .parquet, .npy, .npz: the ending says in which format to write.")


def test_images_with_a_mask(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (12, 8, 8), dtype=np.uint8)
    seen = np.ones_like(x, bool)
    seen[:6, 4:] = False
    np.savez(tmp_path / "x.npz", x=x, seen=seen)
    said = vaekit("impute", runs["m2"], f"{tmp_path / 'x.npz'}:mask=seen", "-o", tmp_path / "f.npy", "--samples", 5)
    assert said.code == 0, said
    filled = np.load(tmp_path / "f.npy")[:, 0]
    np.testing.assert_array_equal(filled[seen], x[seen])
    assert set(np.unique(filled[~seen])) <= {0, 1}


def test_a_model_without_a_density(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    x = np.zeros((3, 8, 8), np.uint8)
    np.savez(tmp_path / "x.npz", x=x, seen=np.arange(64).reshape(8, 8) % 2 + 0 * x)
    said = vaekit("impute", runs["aae"], f"{tmp_path / 'x.npz'}:mask=seen", "-o", tmp_path / "f.npy", "--json")
    summary = json.loads(said.out)
    assert (summary["given"], summary["samples"], summary["effective_samples"]) == ("code of observed x", 1, None)


@pytest.fixture(scope="module")
def conditional(table: tuple[Path, np.ndarray, np.ndarray]) -> Path:
    from vaekit.cli import main

    out = table[0].parent / "conditional"
    data = f"{table[0]}:label=species,missing=nan,condition=label"
    assert main(["train", data, "--network", "mlp:hidden=8", "--epochs", "1", "--out", str(out), "--quiet"]) == 0
    return out


def some(folder: Path, species: tuple[str, ...]) -> Path:
    """Rows of the classes given."""
    path = folder / "some.csv"
    lines = [f"{i}.5,2,{species[i % len(species)]},4,5,6,7" for i in range(6)]
    path.write_text("\n".join(["a,b,species,c,d,e,f", *lines]) + "\n")
    return path


def test_classes_keep_their_names_and_numbers(vaekit: Command, run: Path, conditional: Path, tmp_path: Path) -> None:
    assert json.loads((run / "config.json").read_text())["data"]["classes"] == list(SPECIES)
    path = some(tmp_path, ("setosa", "rose"))
    for folder in (run, conditional):
        assert vaekit("encode", folder, f"{path}:label=species", "-o", tmp_path / "z.npz").code == 0
        assert np.load(tmp_path / "z.npz")["label"].tolist() == ["setosa", "rose"] * 3
    # The same rows beside one more class have the same bound: their numbers are those of the run.
    path = some(tmp_path, ("setosa",))
    alone = vaekit("evaluate", conditional, f"{path}:label=species", "--samples", 3, "--limit", 1, "--json")
    path = some(tmp_path, ("setosa", "iris"))
    beside = vaekit("evaluate", conditional, f"{path}:label=species", "--samples", 3, "--limit", 1, "--json")
    assert json.loads(alone.out)["nll"] == json.loads(beside.out)["nll"]


def test_an_unknown_class(vaekit: Command, run: Path, conditional: Path, tmp_path: Path) -> None:
    path = some(tmp_path, ("setsa", "iris"))
    message, hint = vaekit.refused("evaluate", conditional, f"{path}:label=species")
    assert message == f"unknown class in the labels of {path}:label=species 'setsa'; known: iris, rose, setosa."
    assert hint == "did you mean setosa?"
    # A model that has no use for labels takes it as a new one.
    assert vaekit("encode", run, f"{path}:label=species", "-o", tmp_path / "z.npz").code == 0
    assert np.load(tmp_path / "z.npz")["label"].tolist() == ["setsa", "iris"] * 3


def test_a_class_is_sampled_by_its_name(
    vaekit: Command, run: Path, conditional: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    drawn = []
    for name in ("iris", "setosa", "iris"):
        out = tmp_path / "x.npy"
        assert vaekit("sample", conditional, "--label", name, "-n", 5, "-o", out).code == 0
        drawn.append(np.load(out))
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert (drawn[0] != drawn[1]).any()
    message, hint = vaekit.refused("sample", conditional, "--label", "setsa", "-o", tmp_path / "no.npy")
    assert message == f"unknown class of the model of {conditional} 'setsa'; known: iris, rose, setosa."
    assert hint == "did you mean setosa?"
    message, _ = vaekit.refused("sample", run, "--label", "iris", "-o", tmp_path / "no.npy")
    assert message == f"the model of {run} knows no class iris: it was not made with labels."
    threes = []
    for label in (3, 4):
        assert vaekit("sample", runs["m2"], "--label", label, "-n", 5, "-o", tmp_path / "m.npy").code == 0
        threes.append(np.load(tmp_path / "m.npy"))
    assert (threes[0] != threes[1]).any()
