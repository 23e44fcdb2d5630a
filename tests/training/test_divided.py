"""A step in parts is the whole step, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vaekit.training.board import Board, size_of
from vaekit.training.divided import Divided
from vaekit.training.optimizers import adam

SIZE = 3
SHAPES = [(3, 5), (7,), (), (130, 9), (8, 4, 3, 3), (1000,)]


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    made = [torch.randn(shape) for shape in SHAPES]
    made = [each.to(memory_format=torch.channels_last) if each.dim() == 4 else each for each in made]
    return [nn.Parameter(each) for each in made]


def steps(optimizer: Any, step: Callable[[], None]) -> list[Tensor]:
    """Weights and running means after six steps; from the third on, one parameter has no gradient."""
    (group,) = optimizer.param_groups
    torch_rng = torch.Generator().manual_seed(1)
    for number in range(6):
        for place, parameter in enumerate(group["params"]):
            gradient = torch.randn(parameter.shape, generator=torch_rng)
            parameter.grad = None if (number > 1 and place == 3) else torch.empty_like(parameter).copy_(gradient)
        step()
    return tensors(optimizer)


def tensors(optimizer: Any) -> list[Tensor]:
    (group,) = optimizer.param_groups
    kept = [each for state in optimizer.state.values() for each in state.values()]
    return [each.detach() for each in (*group["params"], *kept)]


def test_processes_step_parts_of_one_memory() -> None:
    """Threads in the place of processes."""
    options = {"lr": 1e-2, "weight_decay": 0.1}
    whole = adam(parameters(), **options)
    wanted = steps(whole, whole.step)
    memory: list[Tensor] = []
    lock = Lock()

    def one(rank: int) -> tuple[list[Tensor], set[int], list[Tensor]]:
        def boards(num_bytes: int) -> Board:
            with lock:
                if not memory:
                    memory.append(torch.zeros(size_of(num_bytes, SIZE), dtype=torch.uint8))
            return Board(memory[0], rank, SIZE)

        optimizer = adam(made[rank], **options)
        divided = Divided(optimizer, boards)
        found = steps(optimizer, divided.step)
        places = {each.untyped_storage().data_ptr() for each in found[: len(SHAPES)]}
        divided.end()
        return found, places, tensors(optimizer)

    made = [parameters() for _ in range(SIZE)]
    with ThreadPoolExecutor(SIZE) as pool:
        results = [*pool.map(one, range(SIZE))]
    for found, places, left in results:
        assert places == {memory[0].data_ptr()}
        assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(found, wanted, strict=True))
        assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(left, wanted, strict=True))
        assert all(each.untyped_storage().data_ptr() != memory[0].data_ptr() for each in left)


@pytest.mark.parametrize("why", ["no-memory", "not-dense"])
def test_whole_steps_where_they_cannot_be_shared(why: str) -> None:
    def weights() -> list[nn.Parameter]:
        return [*parameters(), nn.Parameter(torch.ones(4, 6)[:, ::2])] if why == "not-dense" else parameters()

    asked = []

    def boards(num_bytes: int) -> Board | None:
        asked.append(num_bytes)
        return None

    whole, other = adam(weights(), lr=1e-2), adam(weights(), lr=1e-2)
    divided = Divided(other, boards)
    for a, b in zip(steps(whole, whole.step), steps(other, divided.step), strict=True):
        assert torch.equal(a, b)
    divided.end()
    assert len(asked) == (why == "no-memory")
