"""``.csv`` and ``.tsv``: what is recognised, and every mistake's sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaekit import data
from vaekit.data.formats import csv
from vaekit.data.kinds import Binary, Counts, GreyLevels, Real
from vaekit.errors import UserError

NUMBERS = np.random.default_rng(1).normal(size=(30, 3)).round(4)
BODY = "\n".join(",".join(map(str, row)) for row in NUMBERS.tolist()) + "\n"


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def whole(path: str, **options: Any) -> data.Dataset:
    """All rows in their order."""
    return data.load_rows(path + ":" + ",".join(f"{key}={value}" for key, value in options.items()))


class TestWhatIsRecognised:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", ", ", "\t "])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("header", ["", "length,width,age"])
    def test_delimiter_line_end_and_header(self, delimiter: str, end: str, header: str, tmp_path: Path) -> None:
        text = (header + "\n" if header else "") + BODY
        dataset = whole(write(tmp_path, text.replace(",", delimiter).replace("\n", end)))
        np.testing.assert_array_equal(dataset.train.x, NUMBERS)
        assert dataset.columns == (tuple(header.split(",")) if header else ())
        assert type(dataset.kind) is Real

    @pytest.mark.parametrize(
        ("first", "columns"),
        [
            ("a,b,c", ("a", "b", "c")),
            ("a,2,c", ("a", "2", "c")),
            ('"a, of b", b ,"say ""c"""', ("a, of b", "b", 'say "c"')),
            ("\ufeffa,b,c", ("a", "b", "c")),
            ("\n\na,b,c", ("a", "b", "c")),
            ("a,,c", ("a", "column 2", "c")),
            ("1,2,3", ()),
            ("0,1,2", ()),
        ],
    )
    def test_names(self, first: str, columns: tuple[str, ...], tmp_path: Path) -> None:
        dataset = whole(write(tmp_path, f"{first}\n{BODY}"))
        assert dataset.columns == columns
        assert len(dataset.train.x) == 30 + (not columns)

    def test_names_that_count(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write(tmp_path, "0,1,2,3\n" + "5,6,7,8\n" * 5 + "1,2,3,4\n")
        assert whole(path).columns == ("0", "1", "2", "3")
        assert capsys.readouterr().err == (
            f"vaekit: the first line of {path} counts 0, 1, … and is taken for names (header=false if it is data)\n"
        )
        dataset = whole(path, header="false")
        assert dataset.columns == ()
        assert dataset.train.x[0].tolist() == [0, 1, 2, 3]
        assert not capsys.readouterr().err

    def test_words_above_numbers_can_be_data(self, tmp_path: Path) -> None:
        path = write(tmp_path, "kind,size\nsmall,1\nlarge,2\nsmall,3\n")
        dataset = whole(path, label="kind")
        assert dataset.columns == ("size",)
        plain = whole(write(tmp_path, "small,1,2.5\nlarge,2,2.5\nsmall,3,2.5\n"), label=1)
        assert plain.columns == ()
        assert plain.train.label is not None
        assert plain.train.label.tolist() == [1, 0, 1]
        assert plain.train.x[:, 0].tolist() == [1, 2, 3]

    def test_quoted_cells_blank_lines_and_blanks(self, tmp_path: Path) -> None:
        dataset = whole(write(tmp_path, '"1.5", 2\n\n 3 ,"4"\n  \n5,6\n'))
        np.testing.assert_array_equal(dataset.train.x, [[1.5, 2], [3, 4], [5, 6]])

    def test_one_column(self, tmp_path: Path) -> None:
        dataset = whole(write(tmp_path, "x\n0.5\n1.5\n2.5\n"))
        np.testing.assert_array_equal(dataset.train.x, [[0.5], [1.5], [2.5]])
        assert dataset.describe() == "table of 1 real column, standardised"

    @pytest.mark.parametrize(
        ("cells", "options", "kind"),
        [
            ("0,1\n1,0\n0,0\n", {}, Binary()),
            ("0,1\n1.0,0\n0,12\n", {}, Counts()),
            ("0,1\n1,0\n0,255\n", {"kind": "grey"}, GreyLevels()),
            ("0,-1\n1,3\n0,2\n", {"standardize": "false"}, Real()),
            ("0,1\n1,0.5\n0,2\n", {"standardize": "false"}, Real()),
            ("0,1\n1,0\n0,9007199254740993\n", {"standardize": "false"}, Real()),
        ],
    )
    def test_kind(self, cells: str, options: dict[str, str], kind: Any, tmp_path: Path) -> None:
        assert whole(write(tmp_path, cells), **options).kind == kind

    @pytest.mark.parametrize("index", [range(30), range(1, 31), np.random.default_rng(0).permutation(30)])
    def test_the_numbers_of_rows_are_left_out(
        self, index: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = [f"{number},{line}" for number, line in zip(index, BODY.splitlines(), strict=True)]
        path = write(tmp_path, "\n".join([",a,b,c", *lines]))
        dataset = whole(path)
        assert dataset.columns == ("a", "b", "c")
        np.testing.assert_array_equal(dataset.train.x, NUMBERS)
        assert capsys.readouterr().err == (
            f"vaekit: the first column of {path} has no name and numbers the rows: it is left out\n"
        )

    @pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
    def test_the_same_data_as_npy(self, dtype: str, tmp_path: Path) -> None:
        x = (np.abs(NUMBERS) * 3).astype(dtype)
        np.save(tmp_path / "x.npy", x)
        np.savetxt(tmp_path / "x.csv", x, delimiter=",")
        one, other = (data.load(tmp_path / name) for name in ("x.npy", "x.csv"))
        assert one.kind == other.kind
        assert one.fingerprint == other.fingerprint
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(one.split(part).x, other.split(part).x)

    def test_blocks_are_joined(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = whole(write(tmp_path, "a,b,c\n" + BODY))
        monkeypatch.setattr(csv, "BLOCK_ROWS", 4)
        dataset = whole(write(tmp_path, "a,b,c\n" + BODY))
        np.testing.assert_array_equal(dataset.train.x, expected.train.x)
        np.testing.assert_array_equal(dataset.train.x, NUMBERS)


class TestLabels:
    @pytest.mark.parametrize(
        ("cells", "expected"),
        [
            (["cat", "ant", "dog"], [1, 0, 2]),
            (["7", "3", "7"], [1, 0, 1]),
            (["1.0", "0.0", ""], [1, 0, -1]),
            (["cat", "", "NA"], [0, -1, -1]),
            (["1", "x", "2"], [0, 2, 1]),
            (["-1", "4", "5"], [-1, 0, 1]),
        ],
    )
    @pytest.mark.parametrize("place", [0, 1])
    def test_by_name(self, cells: list[str], expected: list[int], place: int, tmp_path: Path) -> None:
        rows = [["0.5", "1.5"], ["2.5", "3.5"], ["4.5", "5.5"]]
        lines = [["a", "b"], *rows]
        for line, cell in zip(lines, ["sort", *cells], strict=True):
            line.insert(place, cell)
        dataset = whole(write(tmp_path, "\n".join(map(",".join, lines))), label="sort")
        assert dataset.train.label is not None
        assert dataset.train.label.tolist() == expected
        assert dataset.num_classes == max(expected) + 1
        assert dataset.columns == ("a", "b")
        np.testing.assert_array_equal(dataset.train.x, [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]])

    def test_the_name_of_the_data_set_gives_it_again(self, tmp_path: Path) -> None:
        path = write(tmp_path, "0,1,2,3\n" + "\n".join(f"{i},{i * i},{i % 2},0.5" for i in range(20)))
        dataset = data.load(path, label="2", standardize=True)
        assert dataset.name == f"{path}:label=2,standardize=true"
        assert data.load(dataset.name).fingerprint == dataset.fingerprint
        assert dataset.num_classes == 2


MISTAKES: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("", {}, "HERE is empty."),
    ("\n \n", {}, "HERE is empty."),
    ("a,b\n", {}, "HERE has a line of names and no rows."),
    ("1,2\n", {}, "HERE has 1 row, and at least 3 are needed to set aside validation and test rows."),
    ("a,b\n1,2\n", {}, "HERE has 1 row, and at least 3 are needed to set aside validation and test rows."),
    ("1,2\n3\n5,6\n", {}, "line 2 of HERE has 1 cell, but 2 are expected, as in line 1."),
    ("\na,b\n1,2\n\n3,4,5\n", {}, "line 5 of HERE has 3 cells, but 2 are expected, as in line 2."),
    ("a\n1\n2,3\n4\n", {}, "line 3 of HERE has 2 cells, but 1 is expected, as in line 1."),
    ("a,b,c\n1,2,x\n3\n", {"label": "c"}, "line 3 of HERE has 1 cell, but 3 are expected, as in line 1."),
    (
        "age,size\n1,2\n3,old\n5,young\n",
        {},
        "HERE holds text in a column of numbers: line 3, column 'size', is 'old' (2 such cells).\n"
        "hint: if this column is the label, say so: HERE:label=size",
    ),
    (
        "1,2\n3,old\n5,6\n",
        {},
        "HERE holds text in a column of numbers: line 2, column 2, is 'old' (1 such cell).\n"
        "hint: if this column is the label, say so: HERE:label=2",
    ),
    (
        "a;b\n1;2,5\n3;4,5\n",
        {},
        "HERE holds text in a column of numbers: line 2, column 'b', is '2,5' (2 such cells).\n"
        "hint: write decimals with a point, not with a comma.",
    ),
    (
        "1 2\n3 4\n",
        {"header": False},
        "HERE holds text in a column of numbers: line 1, column 1, is '1 2' (2 such cells).\n"
        "hint: separate the cells with commas, semicolons or tabs.",
    ),
    (
        "a,b\n1,2\n3,\nnan,5\n-inf,?\n",
        {},
        "HERE holds 4 cells without a finite number; the first is in line 3, column 'b': empty.\n"
        "hint: say missing=nan if these cells were not observed, else leave the rows out.",
    ),
    (
        "1,2\n3,4\ninf,5\n",
        {},
        "HERE holds 1 cell without a finite number; the first is in line 3, column 1: inf.\n"
        "hint: leave these rows out or fill in the values first.",
    ),
    (
        "1,2\n3,1e39\n2,5\n",
        {},
        "HERE holds values beyond ±3.4e38, which single precision cannot hold (1 of 6); the first is 1e+39 at row 1, "
        "column 1 (counted from 0).\nhint: use other units.",
    ),
    ("a,b,a\n1,2,3\n", {}, "HERE has two columns called 'a' (1 and 3, counted from 1)."),
    (
        "length,width,species\n1,2,x\n",
        {"label": "speces"},
        "unknown column of HERE 'speces'; known: length, species, width.\nhint: did you mean species?",
    ),
    ("1,2\n3,4\n", {"label": 3}, "the columns of HERE have no names: label must be a number from 1 to 2, got 3."),
    ("a\n1\n2\n", {"label": "a"}, "HERE has one column, and it is the label: nothing is left to model."),
    (
        "a,b\n1,0.5\n2,1.5\n3,1.5\n",
        {"label": "b"},
        "the labels of HERE must be whole numbers or words, and have type float64.",
    ),
    ("a,b\n1,2\n", {"header": "maybe"}, "header must be true or false, got maybe."),
    (
        "a,b\n1,\xe9\n".encode("latin-1"),
        {},
        "HERE is not a text in UTF-8: it holds the byte 0xe9.\nhint: save it again with the encoding UTF-8.",
    ),
    (
        b"a,b\n1,2\n3,\x00\n",
        {},
        "HERE holds text in a column of numbers: line 3, column 'b', is '\\x00' (1 such cell).\n"
        "hint: if this column is the label, say so: HERE:label=b",
    ),
    ("a,b\n1,2\n" + '3,"' + "x" * 200_000, {}, "HERE cannot be read: field larger than field limit (131072)."),
    (
        "age,size\n1,0.5\n1,2\n3,0.5\n",
        {"kind": "counts"},
        "HERE holds values that are not whole numbers from 0, as kind=counts needs (2 of 6); the first is 0.5 at row "
        "0, column 'size' (counted from 0).\nhint: use kind=real.",
    ),
    (
        "a,b\n1,2\n3,4\n5,6\n",
        {"standardize": True},
        "standardize=true needs real numbers, and HERE holds counts.\nhint: say kind=real as well.",
    ),
    ("a,b\n1,2\n3,4.5\n5,6\n", {"standardize": "no"}, "standardize must be true or false, got no."),
    ("a,b\n1,2\n3,4.5\n5,6\n", {"split_seed": -1}, "split_seed must be a whole number from 0 to 2^32 − 1, got -1."),
    (
        "a,b\n1,2\n",
        {"lable": "a"},
        "unknown option of a data file 'lable'; known: binarization, header, kind, label, missing, split_seed, "
        "standardize, test, validation.\nhint: did you mean label?",
    ),
]


@pytest.mark.parametrize(("content", "options", "message"), MISTAKES)
def test_mistakes(content: str | bytes, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        data.load(path, **options)
    assert str(caught.value) == message.replace("HERE", path)


def test_a_label_column_that_is_not_named_is_pointed_at(tmp_path: Path) -> None:
    path = write(tmp_path, "a,sort\n1.5,x\n2.5,y\n3.5,x\n4.5,x\n")
    with pytest.raises(UserError) as caught:
        data.load(path)
    name = caught.value.hint.rpartition(" ")[2]
    assert data.load(name).num_classes == 2
