"""Memory that processes share: cut without gaps, left behind nowhere, and who is gone is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vaekit.errors import TrainingFailed
from vaekit.training import board as module
from vaekit.training.board import Board, board, size_of
from vaekit.training.exchange import Network
from vaekit.training.world import World


def alone(words: str) -> list[str]:
    return [words]


def test_a_process_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS_EVERY", 0.01)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    memory = torch.zeros(size_of(8, 2), dtype=torch.uint8)
    Board(memory, 1, 2)
    own = Board(memory, 0, 2)
    own._processes[1] = gone.pid
    with pytest.raises(TrainingFailed, match="another process of this training has ended"):
        own.meet()


@pytest.mark.parametrize("numbers", [0, 1, 15, 16, 17, 1000, 4096])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_parts_cover_everything_once_and_evenly(numbers: int, size: int) -> None:
    memory = torch.zeros(size_of(0, size), dtype=torch.uint8)
    parts = [Board(memory, rank, size).part(numbers, 4) for rank in range(size)]
    assert [*range(numbers)] == [each for first, end in parts for each in range(first, end)]
    assert all(first % 16 == 0 or first == numbers for first, _ in parts)
    assert max(end - first for first, end in parts) <= numbers / size + 32


@pytest.mark.skipif(not module.SHARED.is_dir(), reason="no shared memory in files here")
def test_nothing_is_left_behind() -> None:
    before = set(os.listdir(module.SHARED))
    found = board(12, 0, 1, alone)
    assert {name for name in set(os.listdir(module.SHARED)) - before if name.startswith("vaekit-")} == set()
    assert found is not None
    assert len(found.bytes) == 12


def test_none_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError

    for folder, room in ((tmp_path / "none", os.posix_fallocate), (tmp_path, full)):
        monkeypatch.setattr(module, "SHARED", folder)
        monkeypatch.setattr(os, "posix_fallocate", room)
        assert board(12, 0, 1, alone) is None
        assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_none_where_they_are_not_together_or_one_cannot_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The other process does not find the file: it says nothing.
    assert board(12, 0, 2, lambda words: [words, ""]) is None
    apart = World(0, 2, 0, 1)
    assert apart.board(12) is None
    assert isinstance(apart.exchange(torch.empty(3)), Network)
