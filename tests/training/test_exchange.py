"""Sums on shared memory are sums, whoever comes late."""

from __future__ import annotations

import random
import time

import pytest
import torch
from torch import Tensor
from training_cases import together

from vaekit.training.board import Board, size_of
from vaekit.training.exchange import SharedMemory, room

SHAPES = [(3, 5), (7,), (), (40, 11), (0,)]


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("shapes", [SHAPES, [(3,)]], ids=["several", "less-than-a-line"])
def test_all_have_the_same_sum_in_every_round(size: int, shapes: list[tuple[int, ...]]) -> None:
    """Threads in the place of processes, each late at random, on one table; the sums are those of whole numbers."""
    rounds, leading = 40, 2
    sizes = [torch.Size(shape).numel() for shape in shapes]
    like = torch.empty(sum(sizes))
    memory = torch.zeros(size_of(room(like, size), size), dtype=torch.uint8)

    def one(rank: int) -> list[tuple[Tensor, Tensor]]:
        own, late = SharedMemory(Board(memory, rank, size), like), random.Random(rank)
        sums = []
        for number in range(rounds):
            if late.random() < 0.1:
                time.sleep(late.random() * 3e-3)
            tensors = [torch.full(shape, float(number * (rank + 1))) for shape in shapes]
            numbers, norm = own.sum(tensors, sum(sizes[:leading]))
            sums.append((numbers.clone(), norm))
        return sums

    found = together(size, one)
    wanted = torch.arange(rounds).float() * sum(rank + 1 for rank in range(size))
    for each in found:
        assert torch.equal(torch.stack([numbers for numbers, _ in each]), wanted[:, None].expand(-1, len(like)))
        norms = torch.stack([norm for _, norm in each])
        torch.testing.assert_close(norms, wanted * sum(sizes[:leading]) ** 0.5)
