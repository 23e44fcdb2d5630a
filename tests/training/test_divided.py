"""A step in parts is the whole step, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import together

from vaekit.training.board import LINE, Board, size_of
from vaekit.training.divided import Divided
from vaekit.training.optimizers import adam

SIZE = 3
SHAPES = [(3, 5), (7,), (), (130, 9), (8, 4, 3, 3), (1000,)]
LATE, SHARED = 3, 1  # has a gradient from the third step on; is moved by both players


class Players:
    """Two optimisers, and weights whose order in memory is not that of their axes."""

    def __init__(self, *more: Tensor) -> None:
        torch.manual_seed(0)
        made = [*(torch.randn(shape) for shape in SHAPES), *(each.clone() for each in more)]
        made = [each.to(memory_format=torch.channels_last) if each.dim() == 4 else each for each in made]
        self.parameters = [nn.Parameter(each) for each in made]
        self.optimizers: dict[str, Any] = {
            "first": adam(self.parameters, lr=1e-2, weight_decay=0.1),
            "second": adam([self.parameters[SHARED]], lr=1e-3),
        }

    def steps(self, step: Callable[[str], None]) -> None:
        """Six of both."""
        generator = torch.Generator().manual_seed(1)
        for number in range(6):
            for name in self.optimizers:
                for place, parameter in enumerate(self.parameters):
                    gradient = torch.randn(parameter.shape, generator=generator)
                    gradient = torch.empty_like(parameter).copy_(gradient)
                    parameter.grad = None if place == LATE and number < 2 else gradient
                step(name)

    def whole(self, name: str) -> None:
        self.optimizers[name].step()

    def tensors(self) -> list[Tensor]:
        """Weights, running means and counts."""
        kept = [
            optimizer.state[parameter][name]
            for optimizer in self.optimizers.values()
            for parameter in optimizer.param_groups[0]["params"]
            for name in ("step", "exp_avg", "exp_avg_sq")
        ]
        return [each.detach() for each in (*self.parameters, *kept)]


def assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


def test_processes_step_parts_of_one_memory() -> None:
    """Threads in the place of processes."""
    whole = Players()
    whole.steps(whole.whole)
    memory: list[Tensor] = []
    lock = Lock()

    def one(rank: int) -> tuple[list[Tensor], list[Tensor]]:
        def boards(num_bytes: int) -> Board:
            with lock:
                if not memory:
                    memory.append(torch.zeros(size_of(num_bytes, SIZE), dtype=torch.uint8))
                return Board(memory[0], rank, SIZE)

        divided = Divided(players[rank].optimizers, boards)
        players[rank].steps(divided.step)
        found = players[rank].tensors()
        divided.end()
        return found, players[rank].tensors()

    players = [Players() for _ in range(SIZE)]
    results = together(SIZE, one)
    common = memory[0].data_ptr()
    for found, left in results:
        assert_same(found, whole.tensors())
        assert_same(left, whole.tensors())
        weights = len(SHAPES)
        assert all(each.untyped_storage().data_ptr() == common for each in found[:weights])
        assert [each.untyped_storage().data_ptr() == common for each in found[weights:]] == [
            False,
            True,
            True,
        ] * (weights + 1)
        assert all(each.untyped_storage().data_ptr() != common for each in left)


VOLUME = torch.ones(2, 3, 2, 2, 2).to(memory_format=torch.channels_last_3d)


def test_each_process_has_as_much_to_step() -> None:
    """Though most numbers are in one tensor; one that is cut is cut between lines of the cache."""
    sizes = (5000, 40, 1000)
    total, pieces = sum(sizes), []
    for rank in range(SIZE):
        divided = Divided({"only": adam([nn.Parameter(torch.zeros(size)) for size in sizes], lr=1.0)}, lambda _: None)
        divided._board = Board(torch.zeros(size_of(0, SIZE), dtype=torch.uint8), rank, SIZE)
        (cut,), places = divided._cut([torch.arange(size) + 10_000 * place for place, size in enumerate(sizes)])
        assert places == [int(piece[0]) // 10_000 for piece in cut]
        assert abs(sum(map(len, cut)) - total / SIZE) < 2 * LINE
        assert all(int(piece[0]) % 10_000 % LINE == 0 for piece in cut)
        pieces += cut
    assert sorted(torch.cat(pieces).tolist()) == [10_000 * k + n for k, size in enumerate(sizes) for n in range(size)]


@pytest.mark.parametrize("more", [[], [VOLUME]], ids=["no-memory", "an-order-it-does-not-know"])
def test_whole_steps_where_they_cannot_be_divided(more: list[Tensor]) -> None:
    asked = []

    def boards(num_bytes: int) -> Board | None:
        asked.append(num_bytes)
        return None

    whole, other = Players(*more), Players(*more)
    whole.steps(whole.whole)
    divided = Divided(other.optimizers, boards)
    other.steps(divided.step)
    divided.end()
    assert_same(other.tensors(), whole.tensors())
    assert len(asked) == (not more)
