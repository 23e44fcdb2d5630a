"""Units: standardised real numbers, the way back, and other data for a finished model."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit import data
from vaekit.data import chunks
from vaekit.data.kinds import FURTHEST, Binary, Categories, Counts, GreyLevels, Kind, Real
from vaekit.errors import UserError
from vaekit.parts.record import from_document, to_document

RNG = np.random.default_rng(0)
TABLE = RNG.normal([0, 500, -3e6], [1, 20, 7], (200, 3))


def prepared(dataset: data.Dataset, part: str = "train") -> np.ndarray:
    return dataset.kind.prepare(torch.from_numpy(np.array(dataset.split(part).x))).numpy()


class TestByDefault:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64])
    def test_columns_have_mean_0_and_scale_1_on_the_training_rows(self, dtype: Any) -> None:
        x = (TABLE[:, : 2 if dtype is np.float16 else 3] * 3).astype(dtype)
        dataset = data.as_dataset(x, kind="real")
        seen = prepared(dataset)
        np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(seen.std(0), 1, atol=1e-5)
        assert isinstance(dataset.kind, Real)
        train = dataset.train.x.astype(np.float64)
        np.testing.assert_allclose(dataset.kind.mean, train.mean(0), rtol=1e-12)
        np.testing.assert_allclose(dataset.kind.scale, train.std(0), rtol=1e-9)
        assert abs(prepared(dataset, "test").mean(0)).max() > 1e-3, "other rows do not take part"

    def test_images_have_one_mean_and_scale(self) -> None:
        dataset = data.as_dataset(RNG.normal(5, 3, (50, 6, 7)))
        assert isinstance(dataset.kind, Real)
        assert isinstance(dataset.kind.mean, float)
        assert isinstance(dataset.kind.scale, float)
        assert abs(prepared(dataset).mean()) < 1e-5
        assert abs(prepared(dataset).std() - 1) < 1e-5

    def test_can_be_declined_and_does_not_touch_a_kind_that_is_given(self) -> None:
        assert data.as_dataset(TABLE, standardize=False).kind == Real()
        assert data.as_dataset(TABLE, kind=Real(2.0, 3.0)).kind == Real(2.0, 3.0)
        assert data.as_dataset(TABLE, kind=Real(), standardize=True).kind == data.as_dataset(TABLE).kind

    def test_stored_values_are_those_of_the_data(self) -> None:
        dataset = data.as_dataset(TABLE, validation=10, test=10)
        assert {tuple(row) for row in dataset.train.x} <= {tuple(row) for row in TABLE}

    def test_chunks_do_not_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = data.as_dataset(TABLE).kind
        monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)
        pieces = data.as_dataset(TABLE).kind
        assert isinstance(whole, Real)
        assert isinstance(pieces, Real)
        np.testing.assert_allclose(whole.mean, pieces.mean, rtol=1e-13)
        np.testing.assert_allclose(whole.scale, pieces.scale, rtol=1e-12)

    def test_neither_overflow_nor_cancellation(self) -> None:
        x = np.stack([RNG.choice([-3e38, 3e38], 200), RNG.normal(1e9, 1e-2, 200), RNG.normal(0, 1e-300, 200)], 1)
        seen = prepared(data.as_dataset(x))
        np.testing.assert_allclose(seen.std(0), 1, atol=1e-4)

    @pytest.mark.parametrize("value", [0.1, -3e30, 5e-324])
    def test_constant_columns(self, value: float, capsys: pytest.CaptureFixture[str]) -> None:
        x = TABLE.copy()
        x[:, 1] = value
        dataset = data.as_dataset(x, columns=("a", "b", "c"), name="mine")
        assert isinstance(dataset.kind, Real)
        assert isinstance(dataset.kind.scale, tuple)
        assert dataset.kind.scale[1] == 1
        assert (prepared(dataset)[:, 1] == 0).all()
        assert capsys.readouterr().err == (
            "vaekit: column 'b' of the 3 of mine holds one value only; it is kept with scale 1\n"
        )

    def test_many_constant_columns(self, capsys: pytest.CaptureFixture[str]) -> None:
        data.as_dataset(np.concatenate([np.full((200, 6), 0.5), TABLE], 1), name="mine")
        assert capsys.readouterr().err == (
            "vaekit: columns 0, 1, 2 and 3 more of the 9 of mine hold one value only; they are kept with scale 1\n"
        )


KINDS: list[tuple[Kind, np.ndarray]] = [
    (Binary(), RNG.integers(0, 2, (5, 4)).astype(np.uint8)),
    (GreyLevels(), np.arange(256, dtype=np.uint8)[:, None]),
    (GreyLevels(17), np.arange(17, dtype=np.uint8)[:, None]),
    (GreyLevels(1000), np.arange(1000)[:, None]),
    (Real(), TABLE.astype(np.float32)),
    (Real((0.5, 500.0, -3e6), (1.0, 20.0, 7.0)), TABLE),
    (Real(500.0, 20.0), RNG.normal(500, 20, (5, 1, 4, 3)).astype(np.float32)),
    (Counts(), RNG.poisson(9, (5, 4))),
    (Categories(6), RNG.integers(0, 6, (5, 4, 3))),
]


@pytest.mark.parametrize(("kind", "stored"), KINDS, ids=lambda value: repr(value) if isinstance(value, Kind) else "")
def test_there_and_back(kind: Kind, stored: np.ndarray) -> None:
    raw = torch.from_numpy(stored)
    back = kind.restore(kind.prepare(raw))
    assert back.shape == raw.shape
    np.testing.assert_allclose(back.numpy().astype(float), stored, rtol=1e-6, atol=1e-6)
    if not isinstance(kind, Real):
        assert torch.equal(back, raw.to(back.dtype))
    assert from_document(json.loads(json.dumps(to_document(kind)))) == kind
    samples = kind.prepare(raw).expand(2, *kind.prepare(raw).shape)
    assert torch.equal(kind.restore(samples)[1], back), "axes may come before"


def test_restored_levels_are_the_nearest() -> None:
    assert GreyLevels(17).restore(torch.tensor([-0.2, 0.03, 0.04, 1.7])).tolist() == [0, 0, 1, 16]
    assert Categories(3).restore(torch.tensor([[0.2, 0.5, 0.3]])).tolist() == [1]


@pytest.mark.parametrize(
    ("kind", "shape"), [(Real((1.0, 2.0), (3.0, 0.5)), (2,)), (Real(1.0, 3.0), (1, 4, 5)), (Real(), (7,))]
)
def test_a_density_in_the_datas_own_units(kind: Real, shape: tuple[int, ...]) -> None:
    x = torch.randn(6, *shape, dtype=torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        seen = kind.prepare(x)
    finally:
        torch.set_default_dtype(torch.float32)
    mean, scale = torch.tensor(kind.mean), torch.tensor(kind.scale)
    own = torch.distributions.Normal(mean.double(), scale.double()).log_prob(x).flatten(1).sum(1)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(seen).flatten(1).sum(1)
    assert torch.allclose(own, standard - kind.log_scale(shape))


def test_what_is_counted_has_no_scale() -> None:
    assert {kind.log_scale((3,)) for kind in (Binary(), GreyLevels(), Counts(), Categories(4))} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 0.0), "scale must be positive"),
        ((0.0, (1.0, -1.0)), "scale must be positive"),
        ((0.0, math.inf), "scale must be positive"),
        (((0.0, 0.0), (1.0, 1.0, 1.0)), "mean, scale and columns must be of one length"),
        (((0.0, 0.0), 1.0, ("a",)), "mean, scale and columns must be of one length"),
    ],
)
def test_impossible_scales(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Real(*arguments)


NAMES = ("age", "size", "mass")


def table(path: Path, columns: tuple[str, ...] = NAMES, rows: slice = slice(None)) -> str:
    x = TABLE[rows][:, [NAMES.index(name) if name in NAMES else 0 for name in columns]]
    path.write_text("\n".join([",".join(columns), *(",".join(map(repr, row)) for row in x.tolist())]))
    return str(path)


class TestForAFinishedModel:
    @pytest.fixture
    def kind(self, tmp_path: Path) -> Kind:
        kind = data.load(table(tmp_path / "train.csv")).kind
        assert kind.columns == NAMES
        return kind

    def test_the_runs_mean_and_scale_are_used(self, kind: Kind, tmp_path: Path) -> None:
        few = data.load_rows(table(tmp_path / "few.csv", rows=slice(3, 5)), kind)
        assert few.kind == kind
        np.testing.assert_allclose(
            prepared(few), (TABLE[3:5] - np.array(kind.mean)) / np.array(kind.scale), rtol=1e-5  # type: ignore[union-attr]
        )  # fmt: skip
        asked = data.load_rows(f"{tmp_path}/few.csv:kind=real,standardize=true", kind)
        assert asked.kind == kind

    @pytest.mark.parametrize("order", [("mass", "age", "size"), ("size", "age", "mass")])
    def test_columns_are_put_into_order(self, kind: Kind, order: tuple[str, ...], tmp_path: Path) -> None:
        dataset = data.load_rows(table(tmp_path / "other.csv", order), kind)
        np.testing.assert_array_equal(dataset.train.x, TABLE)
        assert dataset.columns == NAMES
        assert dataset.test.x is dataset.train.x

    def test_counts_are_put_into_order(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_text("a,b\n1,20\n3,40\n")
        dataset = data.load_rows(f"{tmp_path}/x.csv", Counts(("b", "a")))
        assert dataset.train.x.tolist() == [[20, 1], [40, 3]]
        assert dataset.kind == Counts(("b", "a"))

    def test_columns_without_names_are_taken_as_they_stand(self, kind: Kind, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", TABLE)
        dataset = data.load_rows(tmp_path / "x.npy", kind)
        assert dataset.kind == kind
        np.testing.assert_array_equal(dataset.train.x, TABLE)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            (("age", "size"), "'mass' is missing."),
            (
                ("age", "size", "mass", "sort"),
                "'sort' is not known to it.\nhint: if 'sort' is the label, say so: label=sort.",
            ),
            (("age", "a", "b"), "'size', 'mass' are missing; 'a', 'b' are not known to it."),
            (
                (*NAMES, "a", "b", "c", "d", "e"),
                "'a', 'b', 'c' and 2 more are not known to it.",
            ),
        ],
    )
    def test_other_columns(self, kind: Kind, columns: tuple[str, ...], message: str, tmp_path: Path) -> None:
        path = table(tmp_path / "other.csv", columns)
        with pytest.raises(UserError) as caught:
            data.load_rows(path, kind)
        assert str(caught.value) == f"{path} does not have the columns that the model was made for: {message}"

    def test_negative_whole_numbers_are_real_to_a_model_of_real_numbers(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.array([[-3, 4]]))
        assert data.load_rows(tmp_path / "x.npy", Real(1.0, 2.0)).kind == Real(1.0, 2.0)

    def test_bits_stay_bits_to_a_model_that_draws_them(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.array([[0, 1, 1]]))
        dataset = data.load_rows(tmp_path / "x.npy", Binary(256, "dynamic"))
        assert dataset.kind == Binary()
        assert dataset.train.x.tolist() == [[0, 1, 1]]

    def test_another_width_is_left_to_the_run_to_refuse(self, kind: Kind) -> None:
        dataset = data.as_dataset(TABLE[:, :2], standardize=False)
        assert dataset.read_as(kind) is dataset

    def test_a_new_process_sees_the_same_values(self, tmp_path: Path) -> None:
        path = table(tmp_path / "train.csv")
        dataset = data.load(path)
        model = vk.recipes.make("vae", dataset, {"epochs": 1, "network": "mlp:hidden=4", "latent_dim": 2})
        vk.fit(model.model, model.data, phases=model.phases, out=tmp_path / "run", quiet=True)
        table(tmp_path / "new.csv", ("mass", "age", "size"), slice(7, 50))
        code = (
            "import numpy, sys, torch\n"
            "from vaekit import data, training\n"
            f"run = training.load({str(tmp_path / 'run')!r})\n"
            f"rows = data.load_rows({str(tmp_path / 'new.csv')!r}, run.kind)\n"
            "run.check(rows)\n"
            f"numpy.save({str(tmp_path / 'seen.npy')!r}, rows.kind.prepare(torch.from_numpy(rows.train.x)))\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        expected = dataset.kind.prepare(torch.from_numpy(TABLE[7:50])).numpy()
        np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), expected)


@pytest.mark.parametrize(
    ("x", "options", "line"),
    [
        (np.arange(800).reshape(4, 1, 20, 10).astype(np.uint8), {}, "20 × 10 grey images, 256 levels"),
        (np.full((4, 3, 32, 32), 7, np.uint8), {}, "32 × 32 colour images, 256 levels"),
        (np.full((4, 2, 5, 6), 7, np.uint8), {}, "5 × 6 grey images of 2 channels, 256 levels"),
        (np.full((4, 8, 8), 7, np.uint8) % 17, {"kind": Binary(17, "dynamic")},
         "8 × 8 binary images, dynamic binarisation from 17 levels"),
        (RNG.random((4, 8, 8)), {}, "8 × 8 real images, standardised"),
        (RNG.random((4, 8, 8, 3)), {"standardize": False}, "8 × 8 real colour images"),
        (RNG.random((4, 2)), {"columns": ("a", "b")}, "table of 2 real columns, standardised"),
        (np.arange(8).reshape(4, 2), {"columns": ("a", "b")}, "table of 2 count columns"),
        (np.arange(8).reshape(4, 2), {"columns": ("a", "b"), "kind": "categories"},
         "table of 2 categorical columns, 8 categories"),
        (np.arange(8000).reshape(4, 2000), {}, "2,000 counts"),
        (np.arange(8).reshape(4, 2) % 2, {}, "2 binary values"),
        (np.arange(48).reshape(4, 2, 6), {"kind": "counts"}, "2 × 6 counts"),
        (RNG.random((4, 2, 3, 4, 5)), {}, "2 × 3 × 4 × 5 real numbers, standardised"),
    ],
)  # fmt: skip
def test_described_in_a_line(x: np.ndarray, options: dict[str, Any], line: str) -> None:
    assert data.as_dataset(x, **options).describe() == line


class TestDuplicates:
    def test_are_counted(self, capsys: pytest.CaptureFixture[str]) -> None:
        x = TABLE.copy()
        x[100:125] = x[:25]
        data.as_dataset(x, name="mine")
        assert capsys.readouterr().err == (
            "vaekit: 25 of the 200 rows of mine repeat another one: the same rows are in training, validation and "
            "test, which makes results look better than they are\n"
        )

    def test_a_tenth_is_let_pass(self, capsys: pytest.CaptureFixture[str]) -> None:
        x = TABLE.copy()
        x[100:120] = x[:20]
        data.as_dataset(x)
        data.as_dataset(np.zeros((50, 3), np.uint8) + np.arange(3, dtype=np.uint8))  # few values must repeat
        data.as_dataset({part: np.ones((20, 20)) / 2 for part in ("train", "validation", "test")}, standardize=False)
        assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([[[1, 2], [3]], [[4], [5]]], None, {}, "array is no array: its rows differ in length."),
        (TABLE, [[1], [2, 3]], {}, "the labels of array are no array: they differ in length."),
        (
            TABLE,
            None,
            {"columns": ("a", "b")},
            "2 names of columns are given for array, whose rows have the shape (3,).",
        ),
        (TABLE, None, {"columns": ("a", "b", "a")}, "array has two columns called 'a' (1 and 3, counted from 1)."),
        (
            np.full((5, 2), 2**63, np.uint64),
            None,
            {},
            "array holds integers of 2^63 or more (10 of 10); the first is 9223372036854775808 at row 0, column 0 "
            "(counted from 0).",
        ),
    ],
)
def test_arrays_that_are_refused(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        data.as_dataset(x, y, **options)
    assert caught.value.message == message


def test_many_zeros_are_still_counts() -> None:
    x = RNG.poisson(0.05, (200, 30))
    x[0, 0] = 4
    kind = data.as_dataset(x).kind
    assert kind == Counts()
    assert kind.default_likelihood == "negative-binomial"


def test_a_row_far_beyond_the_training_rows_stays_a_number() -> None:
    kind = Real(mean=(0.0, 0.0), scale=(1e-30, 1.0))
    x = kind.prepare(torch.tensor([[1e30, 2.0], [-1e30, 3.0], [1e-30, 4.0]], dtype=torch.float64))
    assert x.flatten().tolist() == pytest.approx([FURTHEST, 2.0, -FURTHEST, 3.0, 1.0, 4.0])
    assert torch.isfinite(x.square()).all()
