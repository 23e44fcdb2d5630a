"""``.parquet``: the same data as csv, and its own mistakes."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaekit import data
from vaekit.data.formats import parquet
from vaekit.data.kinds import Counts
from vaekit.errors import UserError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NUMBERS = np.random.default_rng(1).normal(size=(40, 2)).round(4)
WORDS = ["ant", "bee", "cat", None] * 10


def write(folder: Path, table: dict[str, Any] | Any, name: str = "table.parquet") -> str:
    path = folder / name
    pq.write_table(pa.table(table) if isinstance(table, dict) else table, path, row_group_size=7)
    return str(path)


def test_the_same_data_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 9)
    columns = {"a": NUMBERS[:, 0], "sort": WORDS, "b": NUMBERS[:, 1]}
    one = data.load(write(tmp_path, columns), label="sort")
    lines = ["a,sort,b", *(f"{a},{word or ''},{b}" for (a, b), word in zip(NUMBERS.tolist(), WORDS, strict=True))]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    other = data.load(tmp_path / "table.csv", label="sort")
    assert one.kind == other.kind
    assert one.columns == other.columns == ("a", "b")
    assert one.fingerprint == other.fingerprint
    assert one.num_classes == other.num_classes == 3


@pytest.mark.parametrize("label", [np.arange(40) % 3, pa.array([f"{i % 3}" for i in range(40)]).dictionary_encode()])
def test_types(label: Any, tmp_path: Path) -> None:
    from decimal import Decimal

    columns = {
        "small": pa.array(range(40), pa.int8()),
        "bit": pa.array([i % 2 == 0 for i in range(40)]),
        "money": pa.array([Decimal(i) for i in range(40)], pa.decimal128(9, 2)),
        "label": label,
    }
    dataset = data.load_rows(write(tmp_path, columns) + ":label=label")
    assert dataset.kind == Counts(("small", "bit", "money"))
    assert dataset.train.x.dtype == np.int64
    expected = np.stack([np.arange(40), np.arange(40) % 2 == 0, np.arange(40)], axis=1)
    np.testing.assert_array_equal(dataset.train.x, expected)
    assert dataset.train.label is not None
    assert dataset.train.label.tolist() == [i % 3 for i in range(40)]


def test_the_index_of_pandas_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, {"a": NUMBERS[:, 0], "__index_level_0__": range(40)})
    dataset = data.load_rows(path)
    assert dataset.columns == ("a",)
    np.testing.assert_array_equal(dataset.train.x, NUMBERS[:, :1])
    assert capsys.readouterr().err == (
        f"vaekit: the first column of {path} has no name and numbers the rows: it is left out\n"
    )


MISTAKES: list[tuple[Any, dict[str, Any], str]] = [
    ({}, {}, "HERE is empty: it has 0 rows and 0 columns."),
    ({"a": pa.array([], pa.float64())}, {}, "HERE is empty: it has 0 rows and 1 columns."),
    ({"a": [1.5]}, {}, "HERE has 1 row, and at least 3 are needed to set aside validation and test rows."),
    (
        {"a": [1.5, 2.5], "sort": ["x", "y"]},
        {},
        "column 'sort' of HERE holds values of type string, but only numbers can be used.\n"
        "hint: if this column is the label, say so: HERE:label=sort",
    ),
    (
        {"a": [1.5, 2.5], "b": [None, float("inf")]},
        {},
        "HERE holds 2 cells without a finite number; the first is in row 0 (counted from 0), column 'b': empty.\n"
        "hint: say missing=nan if these cells were not observed, else leave the rows out.",
    ),
    (
        {"a": [1.5, 2.5, float("-inf")]},
        {},
        "HERE holds 1 cell without a finite number; the first is in row 2 (counted from 0), column 'a': -inf.\n"
        "hint: leave these rows out or fill in the values first.",
    ),
    (
        pa.table([pa.array([1.5]), pa.array([2.5])], names=["a", "a"]),
        {},
        "HERE has two columns called 'a' (1 and 2, counted from 1).",
    ),
    (
        {"a": [1.5], "bee": [2.5]},
        {"label": "be"},
        "unknown column of HERE 'be'; known: a, bee.\nhint: did you mean bee?",
    ),
]


@pytest.mark.parametrize(("table", "options", "message"), MISTAKES)
def test_mistakes(table: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, table)
    with pytest.raises(UserError) as caught:
        data.load(path, **options)
    assert str(caught.value) == message.replace("HERE", path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError) as caught:
        data.load(path)
    assert caught.value.message.startswith(f"{path} cannot be read: Parquet ")
    path.unlink()
    with pytest.raises(UserError) as caught:
        data.load(path)
    assert str(caught.value) == f"{path} does not exist."


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"a": [1.5, 2.5, 3.5]})
    plain = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return plain(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError) as caught:
        data.load(path)
    assert str(caught.value) == (
        f"{path} is a .parquet file, and reading it needs pyarrow, which is not installed.\n"
        "hint: pip install 'vaekit[table]'"
    )
