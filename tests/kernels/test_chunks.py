"""Pieces are views of the whole, cut alike."""

from __future__ import annotations

import pytest
import torch

from vaekit.kernels.chunks import chunks


def test_small_lists_are_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.kernels.chunks.PIECE", 4)
    one = [torch.arange(10.0), torch.arange(3.0).reshape(1, 3)]
    other = [-each for each in one]
    (first, second), places = chunks(one, other)
    assert [each.tolist() for each in first] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2]]
    assert all(torch.equal(a, -b) for a, b in zip(first, second, strict=True))
    assert places == [0, 0, 0, 1]
    first[1].zero_()
    assert one[0].tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 8, 9]


def test_what_is_large_or_in_another_order_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaekit.kernels.chunks.PIECE", 4)
    turned = torch.zeros(3, 4).T
    (cut,), places = chunks([turned, torch.zeros(5)])
    assert cut[0] is turned
    assert places == [0, 1, 1]
    monkeypatch.setattr("vaekit.kernels.chunks.FEW", 16)
    whole = [torch.zeros(12), torch.zeros(5)]
    (kept,), places = chunks(whole)
    assert [a is b for a, b in zip(kept, whole, strict=True)] == [True, True]
    assert places == [0, 1]
