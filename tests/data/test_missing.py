"""Cells that were not observed: marked on request, neutral to the encoder, left out of means, scales and log p."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

import vaekit as vk
from vaekit import data
from vaekit.data import as_dataset
from vaekit.data.kinds import Binary, Categories, Counts, Real
from vaekit.data.loader import Loader
from vaekit.errors import UserError

GAP = np.random.default_rng(2).random((60, 3)) < 0.3
GAP[GAP.all(1), 0] = False
TABLE = np.random.default_rng(1).normal([0, 100, 3], [1, 20, 0.1], (60, 3)).round(4)
HOLES = np.where(GAP, np.nan, TABLE)


def write(folder: Path, ending: str, gap: str = "") -> str:
    path = folder / f"table{ending}"
    if ending == ".csv":
        cells = [["a", "b", "c"], *(["" if np.isnan(x) else repr(x) for x in row] for row in HOLES.tolist())]
        path.write_text("\n".join(",".join(cell or gap for cell in row) for row in cells) + "\n")
    elif ending == ".parquet":
        columns = [pa.array([None if np.isnan(x) else x for x in column]) for column in HOLES.T.tolist()]
        parquet.write_table(pa.table(columns, names=["a", "b", "c"]), path)
    elif ending == ".npy":
        np.save(path, HOLES)
    else:
        np.savez(path, x=HOLES, y=np.arange(60))
    return f"{path}"


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy", ".npz"])
def test_every_format_says_the_same(ending: str, tmp_path: Path) -> None:
    path = write(tmp_path, ending)
    with pytest.raises(UserError) as refused:
        data.load(path)
    assert "missing=nan" in refused.value.hint
    found, expected = data.load(f"{path}:missing=nan"), as_dataset(TABLE, mask=~GAP)
    assert found.name.endswith(":missing=nan")
    for part in ("train", "validation", "test"):
        one, other = found.split(part), expected.split(part)
        assert one.mask is not None
        assert other.mask is not None
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_allclose(one.x, other.x)
    # The name is what a run keeps: it gives the same data.
    assert data.load(found.name).fingerprint == found.fingerprint
    assert found.train.mask is not None
    assert found.describe().endswith(f", {1 - found.train.mask.mean():.0%} missing")


@pytest.mark.parametrize(("gap", "option"), [("NA", "NA"), ("?", "NA/?"), ("-999", "-999"), ("n/a", "na"), ("", "?")])
def test_words_of_a_csv(gap: str, option: str, tmp_path: Path) -> None:
    found = data.load_rows(write(tmp_path, ".csv", gap) + f":missing={option}")
    np.testing.assert_array_equal(found.train.mask, ~GAP)
    np.testing.assert_array_equal(np.where(GAP, np.nan, found.train.x), HOLES)


def test_another_word_of_a_csv_stays_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", "NA")
    with pytest.raises(UserError) as refused:
        data.load(f"{path}:missing=?")
    assert refused.value.hint == "say missing=?/NA if these cells were not observed, else leave the rows out."
    Path(path).write_text(Path(path).read_text().replace("NA", "inf"))
    with pytest.raises(UserError, match="cells without a finite number"):
        data.load(f"{path}:missing=nan")


def test_whole_numbers_with_gaps_are_counts(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,\n,7\n3,2\n0,5\n")
    found = data.load_rows(tmp_path / "x.csv:missing=nan")
    assert found.kind == Counts(columns=("a", "b"))
    assert found.train.x.tolist() == [[1, 0], [0, 7], [3, 2], [0, 5]]


def test_a_first_column_with_gaps_is_no_number_of_rows(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(",b\n1,3.5\n,7\n3,2\n4,5\n")
    assert data.load_rows(tmp_path / "x.csv:missing=nan").columns == ("column 1", "b")


def test_means_and_scales_are_of_the_observed_cells() -> None:
    found = as_dataset(HOLES, missing="nan", validation=1, test=1)
    assert isinstance(found.kind, Real)
    seen = np.where(found.train.mask, found.train.x, np.nan)
    np.testing.assert_allclose(found.kind.mean, np.nanmean(seen, 0))
    np.testing.assert_allclose(found.kind.scale, np.nanstd(seen, 0))
    batch = Loader(found.train, found.kind).rows(torch.arange(58))
    assert batch.mask is not None
    assert (batch.x[~batch.mask].abs() < 1e-6).all()
    assert (batch.x[batch.mask] != 0).all()


def test_a_column_that_is_constant_where_it_is_observed(capsys: pytest.CaptureFixture[str]) -> None:
    x = HOLES.copy()
    x[~GAP[:, 1], 1] = 7
    found = as_dataset(x, missing="nan", columns=("a", "b", "c"))
    assert isinstance(found.kind, Real)
    assert isinstance(found.kind.scale, tuple)
    assert found.kind.scale[1] == 1
    assert "column 'b' of the 3 of array holds one value only" in capsys.readouterr().err


def test_what_the_encoder_sees_of_other_kinds() -> None:
    mask = np.ones((9, 2), bool)
    mask[3, 0] = False
    x = np.random.default_rng(0).integers(1, 3, (9, 2), dtype=np.uint8)
    for kind, seen in [("counts", [0]), ("grey", [0]), ("categories", [0, 0, 0])]:
        found = as_dataset(x, mask=mask, kind=kind, whole=True)
        assert found.kind.prepare(torch.from_numpy(found.train.x))[3, 0].reshape(-1).tolist() == seen
    assert as_dataset(x - 1, mask=mask, kind=Binary(), whole=True).train.x[3, 0] == 0
    assert Categories(3).prepare(torch.tensor([[2, 0]]))[0].tolist() == [[0, 0, 1], [1, 0, 0]]


def test_images_and_their_mask_move_together(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 6, 3), dtype=np.uint8)
    seen = np.random.default_rng(1).random(x.shape) < 0.5
    np.savez(tmp_path / "x.npz", x=x, seen=seen)
    found = data.load_rows(tmp_path / "x.npz:mask=seen")
    assert found.train.x.shape == (20, 3, 8, 6)
    np.testing.assert_array_equal(found.train.mask, np.moveaxis(seen, -1, 1))
    np.testing.assert_array_equal(found.train.x, np.moveaxis(x * seen, -1, 1))
    np.savez(tmp_path / "parts.npz", x_train=x, x_test=x[:5], seen_train=seen, seen_test=seen[:5] | True)
    found = data.load(tmp_path / "parts.npz:mask=seen,validation=4")
    assert found.test.mask is not None
    assert found.test.mask.all()
    assert found.validation.mask is not None
    assert not found.validation.mask.all()


def test_a_finished_model_fills_with_its_own_mean(tmp_path: Path) -> None:
    kind = Real((10.0, 20.0, 30.0), (1.0, 2.0, 3.0), ("c", "a", "b"))
    rows = data.load_rows(write(tmp_path, ".csv") + ":missing=nan", kind)
    order = [2, 0, 1]
    np.testing.assert_array_equal(rows.train.mask, ~GAP[:, order])
    np.testing.assert_array_equal(rows.train.x, np.where(GAP[:, order], kind.mean, TABLE[:, order]))
    # Nothing is known of a column of it: a model may be asked all the same.
    (tmp_path / "one.csv").write_text("a,b,c\n1.5,,2\n2.5,,3\n")
    one = data.load_rows(f"{tmp_path / 'one.csv'}:missing=nan", kind)
    assert one.train.x[:, 2].tolist() == [30, 30]


def test_log_p_is_that_of_the_observed_cells() -> None:
    found = as_dataset(HOLES, missing="nan", whole=True)
    torch.manual_seed(0)
    model = vk.VAE(
        prior=vk.priors.StandardNormal(2),
        posterior=vk.posteriors.Diagonal(vk.networks.MLP(3), 2),
        likelihood=vk.likelihoods.Gaussian(vk.networks.MLP(2), (3,)),
    )
    batch = Loader(found.train, found.kind).rows(torch.arange(60))
    draw = model.draw(batch)
    p = model.decode(draw.z)
    assert batch.mask is not None
    expected = (p.base_dist.log_prob(batch.x) * batch.mask).sum(-1)  # type: ignore[attr-defined]
    torch.testing.assert_close(draw.log_px, expected)
    other = model.draw(batch._replace(x=torch.where(batch.mask, batch.x, 5.0), mask=None))
    assert not torch.equal(other.log_px, draw.log_px)


def test_the_units_of_the_observed_cells() -> None:
    kind = Real((0.0, 0.0), (2.0, 10.0))
    mask = np.array([[True, True], [True, False]])
    assert kind.log_scale((2,), mask) == pytest.approx(np.log(2) + np.log(10) / 2)
    assert Real(0.0, 3.0).log_scale((1, 2, 2), np.ones((4, 1, 2, 2), bool)) == pytest.approx(4 * np.log(3))
    assert Counts().log_scale((2,), mask) == 0


def test_masks_change_the_fingerprint_and_go_where_rows_go() -> None:
    plain, marked = as_dataset(TABLE), as_dataset(TABLE, mask=~GAP)
    assert plain.fingerprint != marked.fingerprint
    assert as_dataset(TABLE, mask=np.ones_like(GAP)).fingerprint == plain.fingerprint
    everything = marked.split("all")
    assert everything.mask is not None
    assert everything.mask.shape == (60, 3)
    for row, seen in zip(everything.x, everything.mask, strict=True):
        place = int(np.flatnonzero((TABLE[:, seen] == row[seen]).all(1))[0])
        np.testing.assert_array_equal(~GAP[place], seen)


MISTAKES: list[tuple[Any, dict[str, Any], str]] = [
    (
        np.where(np.arange(12).reshape(6, 2) < 4, np.nan, 1.5),
        {"missing": "nan"},
        "array has rows in which nothing is observed: 0, 1 (counted from 0).\nhint: leave these rows out.",
    ),
    (
        np.where([[True, False]] * 9, np.nan, np.arange(18).reshape(9, 2) / 4),
        {"missing": "nan", "columns": ("a", "b")},
        "column 'a' of array has no observed cell in the training rows.\nhint: leave what is never observed out.",
    ),
    (
        TABLE,
        {"missing": "NA"},
        "missing cells of array are those that hold no number: write missing=nan, not NA.",
    ),
    (
        TABLE,
        {"mask": GAP[:5]},
        "the mask of array has the shape (5, 3), and its values (60, 3): they must be equal.",
    ),
    (TABLE, {"mask": GAP * 0.5}, "the mask of array must be true or false (or 1 and 0), and has type float64."),
    (
        np.ma.masked_array(TABLE, GAP),
        {},
        "array is a masked array.\nhint: give values and mask: as_dataset(x.filled(0), mask=~np.ma.getmaskarray(x)).",
    ),
    (
        torch.utils.data.TensorDataset(torch.from_numpy(TABLE)),
        {},
        "array is a torch TensorDataset, and rows are taken from arrays and tensors.\n"
        "hint: give all of its rows at once: as_dataset(x, y).",
    ),
    (TABLE, {"mask": {"test": GAP}}, "a mask is given for test, which is no part of the data."),
    (
        HOLES,
        {"mask": np.ones_like(GAP)},
        f"array holds values that are not finite ({GAP.sum()} of 180); the first is nan at row "
        f"{np.argwhere(GAP)[0][0]}, column {np.argwhere(GAP)[0][1]} (counted from 0).\n"
        "hint: say missing=nan if these cells were not observed, else leave the rows out.",
    ),
]


@pytest.mark.parametrize(("x", "options", "message"), MISTAKES)
def test_mistakes(x: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        as_dataset(x, **options)
    assert str(caught.value) == message


def test_a_mask_of_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        data.load(write(tmp_path, ".npz") + ":mask=seen")
    assert str(caught.value).startswith(f"unknown array of {tmp_path / 'table.npz'} 'seen'; known: x, y.")
