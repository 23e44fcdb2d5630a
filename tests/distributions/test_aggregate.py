"""The aggregated posterior from batches, against all rows."""

from __future__ import annotations

import math

import torch

from vaekit.distributions.aggregate import from_all, minibatch_stratified, minibatch_weighted
from vaekit.testing import assert_equal, seeded


def log_q_of(rows: int) -> torch.Tensor:
    with seeded(3):
        return torch.randn(rows, rows).double()


def test_stratified_batches_are_unbiased() -> None:
    """The mean over every batch of three of five rows, by enumeration."""
    rows = 5
    log_q = log_q_of(rows)
    seen: list[list[torch.Tensor]] = [[] for _ in range(rows)]
    for batch in torch.combinations(torch.arange(rows), 3):
        estimate = minibatch_stratified(log_q[batch][:, batch], rows).exp()
        for row, value in zip(batch.tolist(), estimate, strict=True):
            seen[row].append(value)
    means = torch.stack([torch.stack(values).mean() for values in seen])
    assert_equal(means, from_all(log_q).exp(), "the mean of q(z) over batches")


def test_batches_of_all_rows_are_exact_and_weighted_ones_too_small() -> None:
    log_q = log_q_of(4)
    assert_equal(minibatch_stratified(log_q, 4), from_all(log_q), "a batch of everything")
    same = torch.zeros(3, 3).double()
    assert_equal(minibatch_weighted(same, 10), from_all(same) - math.log(10), "rows that are all the same")
    apart = torch.full((3, 3), -math.inf).double().fill_diagonal_(0.0)
    assert_equal(minibatch_weighted(apart, 10), -math.log(10) - math.log(3), "rows that do not overlap")
