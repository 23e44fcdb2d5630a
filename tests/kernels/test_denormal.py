"""Denormal numbers count as nothing while training, and only then."""

from __future__ import annotations

import torch

from vaekit.kernels import without_denormals


def half_of_the_smallest() -> float:
    return (torch.tensor([torch.finfo(torch.float32).tiny]) / 2).item()


def test_they_are_nothing_while_it_lasts() -> None:
    assert half_of_the_smallest() > 0
    with without_denormals():
        assert half_of_the_smallest() == 0
        with without_denormals():
            assert half_of_the_smallest() == 0
        assert half_of_the_smallest() == 0
    assert half_of_the_smallest() > 0
