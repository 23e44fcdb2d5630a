"""Some rows of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vaekit.data import Split
from vaekit.data.kinds import Real
from vaekit.data.loader import Loader


def numbered(rows: int) -> Split:
    """Every column holds the number of the row."""
    number = np.arange(rows)
    return Split(
        number[:, None].astype(np.float32), number, None, number[:, None].astype(np.float32), number[:, None] >= 0
    )


@pytest.mark.parametrize(("rows", "count"), [(10, 3), (10, 7), (10, 10), (10, 1), (1000, 999), (5, 9)])
def test_spread_is_even(rows: int, count: int) -> None:
    some = numbered(rows).spread(count)
    places = some.x[:, 0].astype(int)
    assert len(places) == min(count, rows)
    assert places[0] == 0
    gaps = np.diff([*places, rows])
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1
    assert some.label is not None
    assert some.condition is not None
    assert some.mask is not None
    assert (some.label == places).all()
    assert (some.condition[:, 0] == places).all()
    assert len(some.mask) == len(places)


@pytest.mark.parametrize(("count", "expected"), [(3, [0, 3, 6]), (7, [0, 1, 2, 3, 4, 5, 6]), (10, [*range(10)])])
def test_spread_of_a_file_stays_in_the_file(count: int, expected: list[int], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", numbered(10).x)
    some = Split(np.load(tmp_path / "x.npy", mmap_mode="r")).spread(count)
    assert isinstance(some.x, np.memmap)
    loader = Loader(some, Real(), batch_size=2)
    assert torch.cat([batch.x for batch in loader])[:, 0].tolist() == expected
    assert loader.rows(torch.tensor([count - 1])).x.item() == expected[-1]


def test_ordered_rows_do_not_mislead() -> None:
    """What the first rows of sorted data would."""
    split = numbered(1000)
    assert split.first(100).x.mean() == pytest.approx(49.5)
    assert split.spread(100).x.mean() == pytest.approx(495)
