"""Data that cannot be used: what is wrong, where, how often, what to do; and data that only looks as if."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_cases import Command, everything_in
from PIL import Image

IMAGES = ".png, .jpg, .jpeg, .bmp, .gif, .tif, .tiff, .webp"
FILL = "leave these rows out or fill in the values first."
SMALL = ["--epochs", "1", "--network", "mlp:hidden=4", "--latent-dim", "2"]


def images(folder: str, sizes: list[int]) -> None:
    Path(folder).mkdir()
    for place, width in enumerate(sizes):
        pixels = np.random.RandomState(place).randint(0, 256, (8, width), dtype=np.uint8)
        Image.fromarray(pixels).save(Path(folder, f"{place}.png"))


def table(name: str, x: np.ndarray, header: str = "a,b,c") -> None:
    np.savetxt(name, x, delimiter=",", header=header, comments="")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of bad files."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.RandomState(0)
    x = numbers.randn(40, 5)
    np.save("vectors.npy", x.astype(np.float32))
    x[7, 2], x[9, 1] = np.inf, -np.inf
    np.save("inf.npy", x)
    np.save("signed.npy", numbers.uniform(-1, 1, (40, 64)).astype(np.float32))
    np.save("bytes.npy", numbers.randint(0, 256, (40, 64)).astype(np.float32))
    np.save("objects.npy", np.array([{"a": 1}] * 5, dtype=object), allow_pickle=True)
    np.save("empty.npy", np.zeros((0, 5)))
    np.savez("ragged.npz", x=np.zeros((4, 3)), y=np.zeros(5))
    Path("cut.npy").write_bytes(Path("vectors.npy").read_bytes()[:-9])
    Path("ragged.csv").write_text("a,b,c\n1,2,3\n4,5\n6,7,8\n9,1,2\n")
    Path("word.csv").write_text("a,b,c\n1,2,3\n4,five,6\n6,7,8\n9,1,2\n")
    Path("inf.csv").write_text("a,b,c\n1,2,3\n4,inf,6\n6,-inf,8\n9,1,2\n")
    Path("gaps.csv").write_text("a,b,c\n1,2,3\n4,nan,6\n6,,8\n9,1,2\n")
    Path("empty.csv").write_text("")
    Path("header.csv").write_text("a,b,c\n")
    Path("single.csv").write_text("a,b,c\n1,2,3\n")
    Path("latin.csv").write_bytes(b"a,b\n1,2\n3,\xe4\n")
    Path("data.txt").write_text("1")
    images("sizes", [8, 8, 10])
    images("corrupt", [8, 8, 8, 8])
    Path("corrupt/4.jpg").write_bytes(b"\xff\xd8\xff\xe0garbage")
    images("junk", [8] * 6)
    for name in ("a.txt", "b.csv", ".hidden"):
        Path("junk", name).write_text("1")
    Path("nothing").mkdir()
    Path("words").mkdir()
    Path("words/a.txt").write_text("1")
    table("abc.csv", numbers.randn(40, 3))
    table("abd.csv", numbers.randn(40, 3), "a,b,d")
    table("ab.csv", numbers.randn(40, 2), "a,b")
    return tmp_path


# What is to be trained on, and maybe options; the message; the hint.
BAD = {
    "inf.npy": (
        "inf.npy holds values that are not finite (2 of 200); the first is inf at row 7, column 2 (counted from 0).",
        FILL,
    ),
    "inf.csv": (
        "inf.csv holds 2 cells without a finite number; the first is in line 3, column 'b': inf.",
        FILL,
    ),
    "gaps.csv": ("gaps.csv holds 2 cells without a finite number; the first is in line 3, column 'b': nan.", None),
    "empty.npy": ("empty.npy is empty: its shape is (0, 5).", ""),
    "empty.csv": ("empty.csv is empty.", ""),
    "header.csv": ("header.csv has a line of names and no rows.", ""),
    "single.csv": ("single.csv has 1 row, and at least 3 are needed to set aside validation and test rows.", ""),
    "ragged.csv": ("line 3 of ragged.csv has 2 cells, but 3 are expected, as in line 1.", ""),
    "ragged.npz": ("ragged.npz has 4 rows, but its labels have the shape (5,).", ""),
    "word.csv": (
        "word.csv holds text in a column of numbers: line 3, column 'b', is 'five' (1 such cell).",
        "if this column is the label, say so: word.csv:label=b",
    ),
    "latin.csv": (
        "latin.csv is not a text in UTF-8: it holds the byte 0xe4.",
        "save it again with the encoding UTF-8.",
    ),
    "cut.npy": ("cut.npy cannot be read: ", ""),
    "objects.npy": (
        "objects.npy holds Python objects, which are never loaded because unpickling could run foreign code.",
        "save plain numbers: numpy.save(file, array.astype('float32')).",
    ),
    "data.txt": ("data.txt does not end in one of the supported endings ", ""),
    "sngle.csv": ("sngle.csv does not exist.", "did you mean single.csv"),
    "corrupt": (
        "1 of the 5 images of corrupt cannot be read; the first is corrupt/4.jpg: ",
        "take them out of the folder or repair them.",
    ),
    "sizes": (
        "the images of sizes differ in size (height × width): 0.png is 8 × 8 and 2.png is 8 × 10.",
        "give one size: sizes:resize=8/8",
    ),
    "nothing": (f"the folder nothing holds no images ({IMAGES}).", ""),
    "words": (f"the folder words holds no images ({IMAGES}), but 1 file that is no image.", ""),
    "signed.npy:standardize=false --likelihood bernoulli": (
        "the likelihood 'bernoulli' does not fit the data: it is for 0 and 1, and the model sees numbers from "
        "-0.999853 to 0.999617.",
        "{fitting}",
    ),
    "signed.npy --likelihood bernoulli": (
        "the likelihood 'bernoulli' does not fit the data: it is for 0 and 1, and the model sees numbers from ",
        "{fitting}",
    ),
    "bytes.npy:kind=real,standardize=false --likelihood bernoulli": (
        "the likelihood 'bernoulli' does not fit the data: it is for 0 and 1, and the model sees whole numbers from "
        "0 to 255.",
        "{fitting}",
    ),
    "bytes.npy --likelihood poisson": (
        "the likelihood 'poisson' does not fit the data: it is for whole numbers from 0, and the model sees numbers "
        "from ",
        "{fitting}",
    ),
}
FITTING = "--likelihood gaussian:scale={} fits the data; it is chosen if --likelihood is left out."


def matches(said: str, wanted: str) -> bool:
    """Exactly, or to where a message goes on with figures or with words of another library."""
    return said == wanted or (not wanted.endswith((".", ")")) and said.startswith(wanted))


@pytest.mark.parametrize("typed", BAD)
def test_data_that_cannot_be_used(typed: str, vaekit: Command, here: Path) -> None:
    before = everything_in(here)
    message, hint = vaekit.refused("train", *typed.split(), *SMALL, "--quiet")
    wanted, wanted_hint = BAD[typed]
    assert matches(message, wanted), message
    fitting = FITTING.format("learned" if "standardize=false" in typed else "network,minimum_scale=0.1")
    assert wanted_hint is None or hint.startswith(wanted_hint.replace("{fitting}", fitting))
    assert bool(hint) == (wanted_hint != "")
    assert everything_in(here) == before


def test_parquet(vaekit: Command, here: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    ones = [1.0, 2.0, 3.0, 4.0]
    for name, columns, wanted in (
        (
            "inf.parquet",
            {"a": [1.0, 2.0, float("inf"), 4.0], "b": ones},
            "inf.parquet holds 1 cell without a finite number; the first is in row 2 (counted from 0), "
            "column 'a': inf.",
        ),
        (
            "words.parquet",
            {"a": ["x", "y", "z", "w"], "b": ones},
            "column 'a' of words.parquet holds values of type string, but only numbers can be used.",
        ),
        (
            "single.parquet",
            {"a": [1.0]},
            "single.parquet has 1 row, and at least 3 are needed to set aside validation and test rows.",
        ),
    ):
        pq.write_table(pa.table(columns), name)
        assert vaekit.refused("train", name, *SMALL)[0] == wanted
    Path("text.parquet").write_text("a,b\n1,2\n")
    assert vaekit.refused("train", "text.parquet", *SMALL)[0].startswith("text.parquet cannot be read: ")


@pytest.mark.parametrize("name", ["vectors.npy", "abc.csv"])
def test_a_file_without_permission(name: str, vaekit: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).chmod(0)
    if not os.geteuid():  # nothing is forbidden to root
        really = io.open

        def forbidden(path: Any, *arguments: Any, **options: Any) -> Any:
            if Path(path).name == name:
                raise PermissionError(errno.EACCES, "Permission denied", f"{path}")
            return really(path, *arguments, **options)

        monkeypatch.setattr(io, "open", forbidden)
        monkeypatch.setattr("builtins.open", forbidden)
    message, _ = vaekit.refused("train", name, *SMALL)
    assert message == f"{name} cannot be read: Permission denied."


class TestOtherDataThanTheRunHad:
    @pytest.fixture
    def run(self, vaekit: Command, here: Path) -> Path:
        assert vaekit("train", "abc.csv", *SMALL, "--out", "run", "--quiet").code == 0
        return Path("run")

    @pytest.mark.parametrize("verb", ["evaluate", "encode", "score", "reconstruct"])
    def test_columns(self, verb: str, run: Path, vaekit: Command, here: Path) -> None:
        out = [] if verb == "evaluate" else ["-o", "out.npz"]
        before = everything_in(here)
        for data, wanted in (
            (
                "abd.csv",
                "abd.csv does not have the columns that the model was made for: 'c' is missing; "
                "'d' is not known to it.",
            ),
            ("ab.csv", "ab.csv does not have the columns that the model was made for: 'c' is missing."),
            (
                "vectors.npy",
                "the model of run was made for examples of shape (3,); those of vectors.npy are (5,).",
            ),
            ("sizes:resize=8", "the model of run was made for examples of shape (3,); those of sizes:resize=8 are"),
            ("word.csv", "word.csv holds text in a column of numbers: line 3, column 'b', is 'five' (1 such cell)."),
        ):
            assert vaekit.refused(verb, run, data, *out)[0].startswith(wanted)
        assert everything_in(here) == before

    def test_order_of_columns_does_not_matter(self, run: Path, vaekit: Command) -> None:
        x = np.loadtxt("abc.csv", delimiter=",", skiprows=1)
        table("cab.csv", x[:, [2, 0, 1]], "c,a,b")
        scores = []
        for data in ("abc.csv", "cab.csv"):
            assert vaekit("score", run, data, "-o", "scores.npy", "--samples", "2").code == 0
            scores.append(np.load("scores.npy"))
        assert np.array_equal(*scores)


class TestWhatOnlyLooksBad:
    def test_a_constant_column(self, vaekit: Command, here: Path) -> None:
        x = np.random.RandomState(0).randn(40, 3)
        x[:, 1] = 4
        table("constant.csv", x)
        said = vaekit("train", "constant.csv", *SMALL, "--out", "run", "--quiet")
        assert said.code == 0
        assert said.err == (
            "vaekit: column 'b' of the 3 of constant.csv holds one value only; it is kept with scale 1\n"
        )
        assert vaekit("sample", "run", "-n", "9", "-o", "x.npy").code == 0
        assert np.isfinite(np.load("x.npy")).all()

    def test_rows_that_repeat(self, vaekit: Command, here: Path) -> None:
        table("double.csv", np.repeat(np.random.RandomState(0).randn(20, 3), 2, 0))
        said = vaekit("train", "double.csv", *SMALL, "--out", "run", "--quiet")
        assert said.code == 0
        assert said.err == (
            "vaekit: 20 of the 40 rows of double.csv repeat another one: the same rows are in training, validation and "
            "test, which makes results look better than they are\n"
        )

    def test_a_batch_larger_than_the_data(self, vaekit: Command, here: Path) -> None:
        said = vaekit("train", "vectors.npy", *SMALL, "--batch-size", "1000", "--out", "run")
        assert said.code == 0
        warning = "warning: a batch of 1,000 rows is more than the 32 training rows: each epoch is one step."
        assert said.err.splitlines().count(warning) == 1
        assert "warning" not in vaekit("train", "vectors.npy", *SMALL, "--batch-size", "32", "--out", "other").err

    def test_a_folder_with_other_files(self, vaekit: Command, here: Path) -> None:
        said = vaekit("train", "junk", *SMALL, "--out", "run", "--quiet")
        assert said.code == 0
        assert said.err == "vaekit: junk holds 3 files that are no images: skipped\n"
