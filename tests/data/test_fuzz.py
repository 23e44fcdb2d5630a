"""Whatever is given as data becomes a data set or a sentence, never another exception."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaekit import data
from vaekit.errors import UserError

MANY = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["binary", "grey", "real", "counts", "categories", "gray", 3]),
        "binarization": st.sampled_from(["none", "static", "dynamic", "x"]),
        "validation": st.one_of(st.integers(-1, 9), st.floats(), st.just("x")),
        "test": st.one_of(st.integers(-1, 9), st.floats(), st.just(None)),
        "split_seed": st.sampled_from([0, 7, -1, 2**40, 1.5, "x"]),
        "standardize": st.sampled_from([True, False, None, "x"]),
    },
)
DTYPES = st.one_of(
    numpy_strategies.scalar_dtypes(),
    st.sampled_from([np.dtype(name) for name in ("f8", "f4", "f2", "u1", "i8", "?", "U3", "O")]),
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: numpy_strategies.arrays(
        dtype,
        numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7),
        **({"elements": st.one_of(st.none(), st.integers())} if dtype.hasobject else {}),
    )
)
FEW_FLOATS = numpy_strategies.arrays(
    np.float64,
    numpy_strategies.array_shapes(min_dims=1, max_dims=3, min_side=3, max_side=9),
    elements=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 1.0, 5e-324])),
)


def becomes(make: Any) -> bool:
    """Whether it becomes a data set whose batches are finite; a ``UserError`` has a sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            dataset, mistake = make(), ""
        except UserError as error:
            dataset, mistake = None, error.message
    if dataset is None:
        assert mistake.endswith(".")
        assert "\n" not in mistake
        return False
    assert dataset.describe()
    for part in ("train", "validation", "test"):
        split = dataset.split(part)
        assert len(split.x) > 0
        x = dataset.kind.prepare(torch.from_numpy(np.ascontiguousarray(split.x)))
        assert x.shape == (len(split.x), *dataset.shape)
        assert torch.isfinite(x).all()
        if split.label is not None:
            assert split.label.shape == (len(split.x),)
    return True


def count(outcomes: list[bool]) -> None:
    assert 0.03 < np.mean(outcomes) < 0.97, "both outcomes are met"


def test_arrays() -> None:
    outcomes: list[bool] = []

    @MANY
    @given(st.one_of(ARRAYS, FEW_FLOATS), st.one_of(st.none(), ARRAYS), OPTIONS)
    def check(x: np.ndarray, y: np.ndarray | None, options: dict[str, Any]) -> None:
        outcomes.append(becomes(lambda: data.as_dataset(x, y, **options)))

    check()
    count(outcomes)


def test_floats_by_default() -> None:
    outcomes: list[bool] = []

    @MANY
    @given(FEW_FLOATS)
    def check(x: np.ndarray) -> None:
        outcomes.append(becomes(lambda: data.as_dataset(x)))

    check()
    count(outcomes)


CELLS = st.one_of(
    st.integers(-5, 300).map(str),
    st.floats().map(str),
    st.sampled_from(["", " ", "nan", "x", '"', '"a,b"', "1,5", "1e999", "label", "٣", "1_0", "\x00", "\x0c", "\u2028"]),
    st.text(max_size=4),
)
NUMERIC = st.one_of(st.integers(0, 9).map(str), st.floats(-9, 9).map(str))


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with the rows of one width, or nearly."""
    return st.builds(
        lambda rows, header, delimiter, end, spoilt: end.join(
            delimiter.join(row)
            for row in [*([[f"c{i}" for i in range(len(rows[0]))]] if header else []), *rows, *spoilt]
        ),
        st.integers(1, 5).flatmap(
            lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=9)
        ),
        st.booleans(),
        st.sampled_from([",", ";", "\t", " "]),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.one_of(st.just([]), st.lists(st.lists(cells, max_size=3), max_size=1)),
    )


@pytest.mark.parametrize("cells", [CELLS, NUMERIC], ids=["any", "numeric"])
def test_csv_texts(cells: st.SearchStrategy[str], tmp_path: Path) -> None:
    outcomes: list[bool] = []
    path = tmp_path / "x.csv"
    reader = st.fixed_dictionaries(
        {},
        optional={
            "label": st.sampled_from(["c0", "c1", 1, 2, -1, "x", True, (1, 2), 0.5]),
            "header": st.sampled_from([True, False, None]),
        },
    )

    @MANY
    @given(tables(cells), st.one_of(st.just({}), OPTIONS), reader)
    def check(text: str, options: dict[str, Any], more: dict[str, Any]) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        outcomes.append(becomes(lambda: data.load(path, **options, **more)))
        if outcomes[-1]:
            becomes(lambda: data.load_rows(path, data.load(path, **options, **more).kind))

    check()
    assert not all(outcomes)
    assert any(outcomes) or cells is CELLS


@pytest.mark.parametrize("ending", ["csv", "tsv", "npy", "npz", "parquet"])
def test_bytes(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{ending}"
    begins = {"npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', ", "npz": b"PK\x03\x04", "parquet": b"PAR1"}

    @MANY
    @given(st.binary(max_size=60), st.booleans())
    def check(content: bytes, with_begin: bool) -> None:
        path.write_bytes(begins.get(ending, b"1,2\n") * with_begin + content)
        becomes(lambda: data.load(path))

    check()


@pytest.mark.parametrize("ending", ["npy", "npz", "parquet", "png", "jpg", "gif", "tif", "webp", "bmp"])
def test_files_with_a_changed_byte(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "x"
    folder.mkdir()
    x = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)
    path = (tmp_path if ending in ("npy", "npz", "parquet") else folder) / f"x.{ending}"
    if ending == "npy":
        np.save(path, x)
    elif ending == "npz":
        np.savez_compressed(path, x=x, y=np.arange(12))
    elif ending == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1] / 2}), path)
    else:
        Image.fromarray(x).save(path)
        for place in range(2):
            Image.fromarray(x).save(folder / f"{place}.png")
    whole = path.read_bytes()
    asked = folder if path.parent == folder else path

    @MANY
    @given(st.integers(0, len(whole) - 1), st.binary(max_size=2), st.booleans())
    def check(place: int, new: bytes, cut: bool) -> None:
        path.write_bytes(whole[:place] + new + (b"" if cut else whole[place + len(new) :]))
        becomes(lambda: data.load(asked))

    check()
