"""Own arrays and files: what they are taken for, how they are cut, and every mistake's sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vaekit import data
from vaekit.data import arrays, chunks
from vaekit.data.kinds import Binary, Categories, Counts, GreyLevels, Real
from vaekit.errors import UserError

PARTS = ("train", "validation", "test")
RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (20, 6))
GREY = RNG.integers(0, 256, (20, 6), dtype=np.uint8)


def save(folder: Path, x: Any = None, /, **arrays: Any) -> str:
    path = folder / ("x.npz" if arrays else "x.npy")
    if arrays:
        np.savez(path, **arrays)
    else:
        np.save(path, x, allow_pickle=True)
    return str(path)


def rows(dataset: data.Dataset) -> np.ndarray:
    """All rows in a fixed order."""
    x = np.concatenate([dataset.split(part).x for part in PARTS])
    flat = x.reshape(len(x), -1)
    return flat[np.lexsort(flat.T)]


class TestKind:
    @pytest.mark.parametrize(
        ("x", "options", "kind", "dtype"),
        [
            (BITS.astype(bool), {}, Binary(), np.uint8),
            (BITS.astype(np.uint8), {}, Binary(), np.uint8),
            (BITS.astype(np.float32), {}, Binary(), np.uint8),
            (BITS.astype(np.int64), {"kind": "counts"}, Counts(), np.int64),
            (GREY, {}, GreyLevels(256), np.uint8),
            (GREY, {"binarization": "none"}, GreyLevels(256), np.uint8),
            (GREY, {"binarization": "dynamic"}, Binary(256, "dynamic"), np.uint8),
            (GREY, {"kind": "binary", "binarization": "dynamic"}, Binary(256, "dynamic"), np.uint8),
            (GREY.astype(np.int32), {"kind": "grey"}, GreyLevels(256), np.uint8),
            (GREY / np.float32(255), {"standardize": False}, Real(), np.float32),
            (GREY / np.float32(255), {"kind": "grey"}, GreyLevels(256), np.uint8),
            (GREY / 255, {"binarization": "dynamic"}, Binary(256, "dynamic"), np.uint8),
            (GREY, {"kind": "real", "standardize": False}, Real(), np.uint8),
            (GREY, {"kind": "counts"}, Counts(), np.uint8),
            (GREY, {"kind": "categories"}, Categories(1 + int(GREY.max())), np.uint8),
            (GREY.astype(np.int16), {}, Counts(), np.int16),
            (GREY.astype(np.uint32), {}, Counts(), np.int64),
            (GREY.astype(np.float16), {"kind": "counts"}, Counts(), np.float16),
            (GREY.astype(">f4"), {"standardize": False}, Real(), np.float32),
            (GREY.astype(np.longdouble), {"standardize": False}, Real(), np.float64),
            (GREY % 17, {"kind": GreyLevels(17)}, GreyLevels(17), np.uint8),
            (GREY % 17 / 1.0, {"kind": GreyLevels(17)}, GreyLevels(17), np.uint8),
            (torch.from_numpy(GREY), {}, GreyLevels(256), np.uint8),
            (torch.from_numpy(GREY).to(torch.bfloat16), {"standardize": False}, Real(), np.float32),
        ],
    )
    def test_recognized_or_asked_for(self, x: Any, options: dict[str, Any], kind: Any, dtype: Any) -> None:
        dataset = data.as_dataset(x, **options)
        assert dataset.kind == kind
        assert {dataset.split(part).x.dtype for part in PARTS} == {np.dtype(dtype)}
        assert dataset.kind.prepare(torch.from_numpy(dataset.train.x)).shape == (16, *dataset.shape)

    def test_values_survive(self) -> None:
        expected = GREY[np.lexsort(GREY.T)]
        np.testing.assert_array_equal(rows(data.as_dataset(GREY)), expected)
        np.testing.assert_array_equal(rows(data.as_dataset(GREY / np.float32(255), kind="grey")), expected)
        np.testing.assert_array_equal(data.as_dataset(GREY / 255, binarization="dynamic").train.x,
                                      data.as_dataset(GREY).train.x)  # fmt: skip

    def test_dynamic_draws_evaluation_rows_once_from_their_levels(self) -> None:
        x = np.repeat(np.arange(256, dtype=np.uint8)[None], 20_000, axis=0)
        dataset = data.as_dataset(x, binarization="dynamic")
        again = data.as_dataset(x, binarization="dynamic")
        np.testing.assert_array_equal(dataset.test.x, again.test.x)
        assert np.unique(dataset.test.x).tolist() == [0, 255]
        probability = np.arange(256) / 255
        error = np.abs(dataset.test.x.mean(0) / 255 - probability)
        assert (error <= 5 * np.sqrt(probability * (1 - probability) / 2000)).all()
        assert not np.array_equal(dataset.test.x, dataset.validation.x)

    def test_dynamic_of_bits_is_static(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert data.as_dataset(BITS, binarization="dynamic", name="bits").kind == Binary()
        assert capsys.readouterr().err == (
            "vaekit: bits holds only 0 and 1: there is nothing to draw, it is taken as static\n"
        )

    def test_chunked_drawing_is_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = arrays.binarize_once([GREY, GREY[:7]], 256)
        monkeypatch.setattr(chunks, "CHUNK_BYTES", 13)
        for one, other in zip(whole, arrays.binarize_once([GREY, GREY[:7]], 256), strict=True):
            np.testing.assert_array_equal(one, other)


class TestLayout:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((20,), (1,)),
            ((20, 6), (6,)),
            ((20, 5, 4), (1, 5, 4)),
            ((20, 5, 4, 3), (3, 5, 4)),
            ((20, 5, 4, 1), (1, 5, 4)),
            ((20, 3, 5, 4), (3, 5, 4)),
            ((20, 1, 5, 3), (1, 5, 3)),
            ((20, 7, 5, 4), (7, 5, 4)),
        ],
    )
    def test_images(self, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        x = RNG.normal(size=shape)
        dataset = data.as_dataset(x, np.arange(20))
        assert dataset.shape == expected
        row = int(dataset.train.label[3])
        target = np.moveaxis(x[row], -1, 0) if len(shape) == 4 and expected[0] == shape[-1] else x[row]
        np.testing.assert_array_equal(dataset.train.x[3], target.reshape(expected))
        assert dataset.train.x.flags.c_contiguous

    def test_categories_and_counts_have_no_channels(self) -> None:
        assert data.as_dataset(GREY.reshape(20, 2, 3), kind="counts").shape == (2, 3)
        categories = data.as_dataset(BITS.reshape(20, 2, 3), kind="categories")
        assert categories.kind == Categories(2)
        assert categories.shape == (2, 3, 2)


class TestSplit:
    def test_every_row_is_in_one_part(self) -> None:
        dataset = data.as_dataset(np.arange(1000.0), np.arange(1000), validation=0.2, test=150)
        assert [len(dataset.split(part).x) for part in PARTS] == [650, 200, 150]
        np.testing.assert_array_equal(rows(dataset)[:, 0], np.arange(1000.0))
        for part in PARTS:
            np.testing.assert_array_equal(dataset.split(part).x[:, 0], dataset.split(part).label)
        assert dataset.train.x[:, 0].tolist() != list(range(650))

    def test_the_seed_decides(self) -> None:
        one, same, other = (data.as_dataset(GREY, split_seed=seed) for seed in (3, 3, 4))
        assert one.fingerprint == same.fingerprint
        assert one.fingerprint != other.fingerprint

    def test_three_rows_are_enough(self) -> None:
        dataset = data.as_dataset(np.array([0.1, 0.2, 0.3]))
        assert [len(dataset.split(part).x) for part in PARTS] == [1, 1, 1]

    def test_parts_that_are_given_are_kept(self) -> None:
        dataset = data.as_dataset(
            {"train": GREY, "test": GREY[:4]}, {"train": np.arange(20) % 3, "test": np.arange(4) % 3}, validation=5
        )
        assert [len(dataset.split(part).x) for part in PARTS] == [15, 5, 4]
        np.testing.assert_array_equal(dataset.test.x, GREY[:4])
        assert dataset.test.label.tolist() == [0, 1, 2, 0]
        assert dataset.num_classes == 3


class TestLabels:
    @pytest.mark.parametrize(
        ("y", "expected"),
        [
            (["cat", "ant", "dog", "ant"], [1, 0, 2, 0]),
            ([7, 3, -1, 3], [1, 0, -1, 0]),
            ([1.0, 0.0, 1.0, 0.0], [1, 0, 1, 0]),
            ([[True], [False], [True], [True]], [1, 0, 1, 1]),
            (torch.tensor([2, 1, 0, 0]), [2, 1, 0, 0]),
        ],
    )
    def test_are_numbered_in_order(self, y: Any, expected: list[int]) -> None:
        dataset = data.as_dataset({"train": GREY[:4], "validation": GREY[:2], "test": GREY[:2]}, {"train": y})
        assert dataset.train.label.tolist() == expected
        assert dataset.train.label.dtype == np.int64
        assert dataset.num_classes == max(expected) + 1
        assert dataset.test.label is None


class TestFiles:
    def test_npy(self, tmp_path: Path) -> None:
        path = save(tmp_path, GREY)
        dataset = data.load(f"{path}:binarization=dynamic,test=5")
        assert dataset.name == f"{path}:binarization=dynamic,test=5"
        assert dataset.source == str(Path(path).resolve())
        assert len(dataset.test.x) == 5
        np.testing.assert_array_equal(rows(data.load(path)), GREY[np.lexsort(GREY.T)])
        assert not isinstance(data.load(path).train.x, np.memmap)

    @pytest.mark.parametrize(
        "arrays",
        [
            {"x": GREY, "y": np.arange(20), "extra": BITS},
            {"X": GREY, "label": np.arange(20)},
            {"images": GREY, "labels": np.arange(20)},
        ],
    )
    def test_npz(self, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
        dataset = data.load(save(tmp_path, **arrays))
        assert dataset.num_classes == 20
        np.testing.assert_array_equal(dataset.test.x, GREY[dataset.test.label])

    def test_npz_with_parts(self, tmp_path: Path) -> None:
        path = save(tmp_path, x_train=GREY, y_train=np.arange(20), x_test=GREY[:3], y_test=np.arange(3))
        dataset = data.load(path, validation=4)
        assert [len(dataset.split(part).x) for part in PARTS] == [16, 4, 3]
        assert dataset.test.label.tolist() == [0, 1, 2]
        whole = data.load(save(tmp_path, x_train=GREY, x_validation=GREY[:2], x_test=GREY[:3]))
        np.testing.assert_array_equal(whole.train.x, GREY)
        assert whole.train.label is None

    def test_a_colon_in_the_path(self, tmp_path: Path) -> None:
        path = tmp_path / "run:1.npy"
        np.save(path, GREY)
        assert data.load(path).name == str(path)
        assert data.load(f"{path}:test=3").test.x.shape == (3, 6)

    def test_large_files_stay_on_disk_and_are_cut_in_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chunks, "KEEP_MAPPED_BYTES", 1000)
        x = RNG.integers(0, 256, (40, 5, 4, 3), dtype=np.uint8)
        path = save(tmp_path, x)
        dataset = data.load(path)
        assert dataset.shape == (3, 5, 4)
        for part, cut in zip(PARTS, (slice(0, 32), slice(32, 36), slice(36, 40)), strict=True):
            stored = dataset.split(part).x
            assert isinstance(stored, np.memmap)
            assert stored.base is not None
            np.testing.assert_array_equal(stored, np.moveaxis(x[cut], -1, 1))
        drawn = data.load(path, binarization="dynamic")
        assert isinstance(drawn.train.x, np.memmap)
        np.testing.assert_array_equal(drawn.test.x, data.load(path, binarization="dynamic").test.x)
        with pytest.raises(UserError) as caught:
            data.load(save(tmp_path, x / 255), kind="grey")
        assert str(caught.value) == (
            f"{path} is too large to be turned from float64 into uint8 in memory.\n"
            "hint: store it as uint8 with values 0 … 255."
        )

    def test_a_mapped_file_is_scanned_in_chunks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)
        x = RNG.normal(size=(50, 6))
        x[31, 2], x[44, 0] = np.nan, np.inf
        with pytest.raises(UserError, match=r"not finite \(2 of 300\); the first is nan at row 31, column 2"):
            data.load(save(tmp_path, x))


ACHE = np.where(np.arange(120).reshape(20, 6) == 50, np.nan, 0.5)


class TestMistakes:
    @pytest.mark.parametrize(
        ("x", "options", "message"),
        [
            (
                ACHE,
                {},
                "HERE holds values that are not finite (1 of 120); "
                "the first is nan at row 8, column 2 (counted from 0).\n"
                "hint: say missing=nan if these cells were not observed, else leave the rows out.",
            ),
            (
                ACHE.reshape(20, 3, 2),
                {},
                "HERE holds values that are not finite (1 of 120); the first is nan at row 8, position (1, 0) "
                "(counted from 0).\nhint: say missing=nan if these cells were not observed, else leave the rows out.",
            ),
            (
                GREY.astype(np.int64) - 300,
                {},
                f"HERE holds negative integers (120 of 120); the first is {int(GREY[0, 0]) - 300} at row 0, column 0 "
                "(counted from 0).\nhint: say what they are: kind=real for numbers, kind=categories after numbering "
                "them from 0.",
            ),
            (
                np.array([[0.0], [1.5], [2.0]]),
                {"kind": "counts"},
                "HERE holds values that are not whole numbers from 0, as kind=counts needs (1 of 3); "
                "the first is 1.5 at "
                "row 1, column 0 (counted from 0).\nhint: use kind=real.",
            ),
            (
                np.array([[0], [-1], [2]]),
                {"kind": "categories"},
                "HERE holds values that are not whole numbers from 0, as kind=categories needs (1 of 3); "
                "the first is -1 at "
                "row 1, column 0 (counted from 0).\nhint: number the categories from 0.",
            ),
            (
                np.array([[0], [1], [2]]),
                {"kind": "binary"},
                "HERE holds values that are not 0 or 1, as kind=binary needs (1 of 3); "
                "the first is 2 at row 2, column 0 "
                "(counted from 0).\nhint: binarization=dynamic draws 0 and 1 from grey levels.",
            ),
            (
                np.array([[0], [1], [300]]),
                {"kind": "grey"},
                "HERE holds values outside 0 … 255, which kind=grey does not allow (1 of 3); "
                "the first is 300 at row 2, "
                "column 0 (counted from 0).\nhint: scale the data first.",
            ),
            (
                np.array([[0.0], [0.5], [1.5]]),
                {"binarization": "dynamic"},
                "HERE holds values outside 0 … 1, which binarization=dynamic does not allow (1 of 3); "
                "the first is 1.5 at "
                "row 2, column 0 (counted from 0).\nhint: scale the data first.",
            ),
            (
                GREY,
                {"binarization": "dynamic", "kind": "counts"},
                "binarization=dynamic needs grey levels, not kind=counts.",
            ),
            (
                GREY,
                {"kind": "gray"},
                "unknown kind 'gray'; known: binary, categories, counts, grey, real.\nhint: did you mean grey or real?",
            ),
            (
                GREY,
                {"binarization": "dynamik"},
                "unknown binarization 'dynamik'; known: dynamic, none, static.\nhint: did you mean dynamic?",
            ),
            (
                GREY,
                {"validaton": 3},
                "unknown option of a data file 'validaton'; known: binarization, kind, missing, split_seed, "
                "standardize, test, validation.\nhint: did you mean validation?",
            ),
            (
                np.array([[0.1], [0.2]]),
                {},
                "HERE has 2 rows, and at least 3 are needed to set aside validation and test rows.",
            ),
            (
                GREY,
                {"test": 17, "validation": 3},
                "HERE has 20 rows: with 3 validation and 17 test rows set aside none are left for training.",
            ),
            (
                GREY,
                {"test": 1.5},
                "test must be a share of the rows between 0 and 1 or a number of rows, got 1.5.",
            ),
            (np.zeros((0, 5)), {}, "HERE is empty: its shape is (0, 5)."),
            (np.zeros((5, 0)), {}, "HERE is empty: its shape is (5, 0)."),
            (np.float64(3), {}, "HERE is empty: its shape is ()."),
            (np.array(["a", "b", "c"]), {}, "HERE holds values of type <U1, but only numbers can be used."),
            (np.ones((5, 2), complex), {}, "HERE holds values of type complex128, but only numbers can be used."),
            (
                np.array([{"evil": 1}, None, 3], dtype=object),
                {},
                "HERE holds Python objects, which are never loaded because unpickling could run foreign code.\n"
                "hint: save plain numbers: numpy.save(file, array.astype('float32')).",
            ),
        ],
    )
    def test_content(self, tmp_path: Path, x: np.ndarray, options: dict[str, Any], message: str) -> None:
        path = save(tmp_path, x)
        with pytest.raises(UserError) as caught:
            data.load(path, **options)
        assert str(caught.value) == message.replace("HERE", path)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (
                {"a": GREY, "b": BITS},
                "HERE holds the arrays a, b, and it is not clear which is which.\n"
                "hint: name the data x and the labels y, or x_train, x_validation, x_test, y_train …",
            ),
            ({"x": GREY, "y": BITS}, "HERE has 20 rows, but its labels have the shape (20, 6)."),
            (
                {"x": GREY, "y": np.linspace(0, 1, 20)},
                "the labels of HERE must be whole numbers or words, and have type float64.",
            ),
            (
                {"x_train": GREY, "x_test": GREY[:, :5]},
                "the rows of HERE differ in shape: train (6,), test (5,).",
            ),
            (
                {"x_train": GREY, "y_test": np.arange(3), "x_test": GREY[:3]},
                "there is no part called train in the labels of HERE.",
            ),
            (
                {"x_train": GREY / 2.0, "x_test": np.where(GREY[:3] >= 0, np.inf, 0)},
                "HERE (test) holds values that are not finite (18 of 18); the first is inf at row 0, column 0 "
                "(counted from 0).\nhint: leave these rows out or fill in the values first.",
            ),
            (
                {"x": np.array([None] * 5)},
                "HERE holds Python objects, which are never loaded because unpickling could run foreign code.\n"
                "hint: save plain numbers: numpy.save(file, array.astype('float32')).",
            ),
        ],
    )
    def test_npz(self, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
        path = save(tmp_path, **arrays)
        with pytest.raises(UserError) as caught:
            data.load(path)
        assert str(caught.value) == message.replace("HERE", path)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            (
                "faces.npy",
                b"a,b,c\n1,2,3\n",
                "HERE is not a .npy file: it begins with 'a,b,c\\n1,2,3\\n'.\n"
                "hint: write it with numpy.save(file, array).",
            ),
            ("faces.npy", b"", "HERE is not a .npy file: it is empty.\nhint: write it with numpy.save(file, array)."),
            ("faces.npz", b"PK?", "HERE is not a .npz file.\nhint: write it with numpy.savez(file, x=array)."),
            ("faces.xls", b"1,2", "HERE does not end in one of the supported endings .npy .npz .csv .tsv .parquet."),
            ("faces", None, "HERE does not exist.\nhint: did you mean faces.npx?"),
            ("face.npy", None, "HERE does not exist.\nhint: did you mean faces.npx?"),
            ("qqq/w.npy", None, "HERE does not exist."),
        ],
    )
    def test_files(self, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
        path = tmp_path / name
        (tmp_path / "faces.npx").touch()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            data.load(path)
        assert str(caught.value) == message.replace("HERE", str(path))

    def test_a_file_that_is_cut_short(self, tmp_path: Path) -> None:
        path = Path(save(tmp_path, GREY))
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(UserError, match=f"{path} cannot be read: mmap length is greater than file size"):
            data.load(path)

    def test_a_kind_that_does_not_fit(self) -> None:
        with pytest.raises(UserError) as caught:
            data.as_dataset(GREY.clip(0, 17), kind=GreyLevels(17))
        assert "that are not whole numbers from 0 to 16, as the kind '17 grey levels' needs" in caught.value.message

    def test_a_part_of_another_name(self) -> None:
        with pytest.raises(UserError) as caught:
            data.as_dataset({"train": GREY, "tests": GREY})
        assert str(caught.value) == (
            "unknown part of array 'tests'; known: test, train, validation.\nhint: did you mean test?"
        )
