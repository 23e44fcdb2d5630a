"""Sequences of different lengths: padded, masked, standardised over what is there, and refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Distribution

import vaekit as vk
from vaekit.data import as_dataset
from vaekit.data.loader import Loader
from vaekit.distributions import log_prob

STREAM = np.random.default_rng(0)
SERIES = [STREAM.normal(5, 2, (length, 2)) for length in STREAM.integers(1, 9, 60)]


def test_padding_is_masked_and_lengths_go_with_their_rows() -> None:
    data = as_dataset(SERIES)
    assert data.shape == (8, 2)
    assert "sequences of up to 8 × 2" in data.describe()
    seen = 0
    for split in (data.train, data.validation, data.test):
        assert split.length is not None
        assert split.mask is not None
        for batch in Loader(split, data.kind, batch_size=7):
            assert batch.length is not None
            assert batch.mask is not None
            assert torch.equal(batch.mask.all(-1).sum(-1), batch.length)
            assert not batch.x[~batch.mask].any()  # the mean of what is there
        for row, length in zip(split.x, split.length, strict=True):
            seen += any(len(one) == length and np.allclose(one, row[:length]) for one in SERIES)
    assert seen == len(SERIES)
    first = data.split("all").first(3)
    assert first.length is not None
    assert len(first.length) == 3


def test_padding_is_not_counted_by_the_mean_and_the_scale() -> None:
    data = as_dataset(SERIES, whole=True)
    kind: Any = data.kind
    every = np.concatenate(SERIES)
    assert kind.mean == pytest.approx(every.mean())
    assert kind.scale == pytest.approx(every.std())


def test_other_lengths_are_other_data() -> None:
    longer = [*SERIES[:-1], np.concatenate([SERIES[-1], np.zeros((1, 2))])]
    options: dict[str, Any] = {"longest": 9, "standardize": False}
    assert as_dataset(SERIES, **options).fingerprint != as_dataset(longer, **options).fingerprint
    assert as_dataset(SERIES, **options).shape == (9, 2)


def test_whole_numbers_are_symbols_or_counts_and_single_numbers_one_channel() -> None:
    data = as_dataset([[0, 1, 2], [1], [2, 2], [0, 0, 1]], kind="categories", whole=True)
    assert data.shape == (3, 3)
    batch = next(iter(Loader(data.train, data.kind, batch_size=4)))
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True] * 3, [True, False, False], [True, True, False], [True] * 3]
    assert as_dataset([[0.5, 1.5], [2.5]], whole=True).shape == (2, 1)


def test_a_run_of_series_is_trained_and_evaluated() -> None:
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Diagonal(vk.networks.MLP((8, 2), hidden=(8,)), 2),
        vk.likelihoods.Gaussian(vk.networks.MLP(2, hidden=(8,)), (8, 2)),
    )
    run = vk.fit(model, SERIES, epochs=1, quiet=True)
    assert np.isfinite(run.evaluate(samples=2)["elbo"])
    assert run.encode(SERIES).mean.shape == (60, 2)


BAD: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "channels": (
        [np.zeros((2, 2)), np.zeros((3, 1))],
        {},
        "and steps of array have the shapes",
    ),
    "words": ([["a"], ["b", "c"]], {}, "row 0 of array holds values of type"),
    "steps": ([[[1.0], [1.0, 2.0]], [[1.0]]], {}, "row 0 of array is no array"),
    "empty": ([[1.0], []], {}, "row 1 of array is empty"),
    "longer": ([[1.0], [1.0, 2.0, 3.0]], {"longest": 2}, "has 3 steps, more than the 2 of longest"),
    "mask": ([[1.0], [1.0, 2.0]], {"mask": np.ones((2, 2))}, "a mask is given for array, whose rows differ in length"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    rows, options, said = BAD[case]
    with pytest.raises(vk.UserError, match=said):
        as_dataset(rows, **options)


def test_a_distribution_that_cannot_leave_anything_out_says_so() -> None:
    class Joint(Distribution):
        def __init__(self) -> None:
            super().__init__(torch.Size([3]), torch.Size([2]), validate_args=False)

        def log_prob(self, value: torch.Tensor) -> torch.Tensor:
            return value.sum(-1)

    class Itself(Joint):
        def log_prob(self, value: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return (value if mask is None else value * mask).sum(-1)

    x, mask = torch.ones(3, 2), torch.eye(3)[:, :2].bool()
    assert log_prob(Itself(), x, mask).tolist() == [1, 1, 0]
    with pytest.raises(vk.UserError, match=r"answers log_prob\(x, mask\) itself; Joint does not"):
        log_prob(Joint(), x, mask)
