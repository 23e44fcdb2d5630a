"""Uniform numbers made two of a word are uniform."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from vaekit.data.kinds import uniform_like


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (0, 4), (2, 3, 4)])
def test_as_many_as_asked_for(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    one = uniform_like(torch.empty(shape))
    assert (one.shape, one.dtype) == (torch.Size(shape), torch.float32)
    assert ((one >= 0) & (one < 1)).all()
    torch.manual_seed(0)
    assert torch.equal(one, uniform_like(torch.empty(shape)))


def test_every_bit_is_as_often_on_as_off_whatever_its_neighbours_are() -> None:
    torch.manual_seed(1)
    drawn = uniform_like(torch.empty(2**18))
    whole = (drawn * 2**24).long()
    assert torch.equal(whole / 2**24, drawn)
    bits = (whole.unsqueeze(-1) >> torch.arange(24)) & 1
    pairs = bits.unflatten(0, (-1, 2)).flatten(1)  # both numbers of a word
    assert stats.binomtest(int(bits.sum()), bits.numel()).pvalue > 1e-4
    z = (pairs.double().mean(0) - 0.5) * 2 * len(pairs) ** 0.5
    assert z.abs().max() < 4.5
    alike = torch.corrcoef(pairs.double().T) * len(pairs) ** 0.5
    assert (alike - torch.diag(alike.diagonal())).abs().max() < 5


def test_as_a_whole_they_are_uniform() -> None:
    torch.manual_seed(2)
    assert stats.kstest(uniform_like(torch.empty(200_001)).numpy(), "uniform").pvalue > 1e-3


def test_doubles_are_torchs() -> None:
    torch.manual_seed(3)
    drawn = uniform_like(torch.empty(9, dtype=torch.float64))
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(9, dtype=torch.float64))
