"""The norm of many tensors is that of all their elements."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.training.optimizers import total_norm


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_norm_of_all_elements(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(3, 5, 7, 2, generator=generator).to(memory_format=layout),
        torch.randn(400, generator=generator),
    ]
    exact = torch.cat([each.double().flatten() for each in tensors]).norm()
    torch.testing.assert_close(total_norm(tensors).double(), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 1])
def test_one_bad_element_is_seen(value: float, place: int) -> None:
    tensors = [torch.ones(100), torch.ones(2, 3)]
    tensors[place].view(-1)[-1] = value
    assert not math.isfinite(total_norm(tensors))


def test_nothing_has_no_norm() -> None:
    assert total_norm([]) == 0
