"""Sums on shared memory are sums, whoever comes late; who is gone is noticed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vaekit.training import exchange as module
from vaekit.training.exchange import Network, SharedMemory, exchange, size_of


@pytest.mark.parametrize("size", [2, 3])
def test_all_have_the_same_sum_in_every_round(size: int) -> None:
    """Threads in the place of processes, each late at random, on one table; the sums are those of whole numbers."""
    rounds, shapes = 40, [(3, 5), (7,), ()]
    like = torch.empty(sum(torch.Size(shape).numel() for shape in shapes))
    memory = torch.zeros(size_of(like, size), dtype=torch.uint8)

    def one(rank: int) -> list[Tensor]:
        own, late = SharedMemory(memory, rank, size, like.clone()), random.Random(rank)
        sums = []
        for number in range(rounds):
            if late.random() < 0.1:
                time.sleep(late.random() * 3e-3)
            sums.append(own.sum([torch.full(shape, float(number * (rank + 1))) for shape in shapes]).clone())
        return sums

    with ThreadPoolExecutor(size) as pool:
        found = [torch.stack(each) for each in pool.map(one, range(size))]
    wanted = torch.arange(rounds).float() * sum(rank + 1 for rank in range(size))
    for each in found:
        assert torch.equal(each, wanted[:, None].expand(-1, len(like)))


def test_a_process_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS_EVERY", 0.01)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    like = torch.empty(3)
    memory = torch.zeros(size_of(like, 2), dtype=torch.uint8)
    SharedMemory(memory, 1, 2, like.clone())
    own = SharedMemory(memory, 0, 2, like)
    own._processes[1] = gone.pid
    with pytest.raises(RuntimeError, match=f"process {gone.pid} has ended"):
        own.sum([torch.ones(3)])


@pytest.mark.skipif(not module.SHARED.is_dir(), reason="no shared memory in files here")
def test_nothing_is_left_behind() -> None:
    before = set(os.listdir(module.SHARED))
    found = exchange(torch.empty(3), 0, 1, together=True, hear=lambda words: [words])
    assert {name for name in set(os.listdir(module.SHARED)) - before if name.startswith("vaekit-")} == set()
    assert isinstance(found, SharedMemory)


def test_the_network_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError

    for folder, room in ((tmp_path / "none", os.posix_fallocate), (tmp_path, full)):
        monkeypatch.setattr(module, "SHARED", folder)
        monkeypatch.setattr(os, "posix_fallocate", room)
        assert isinstance(exchange(torch.empty(3), 0, 1, together=True, hear=lambda words: [words]), Network)
        assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_the_network_where_they_are_not_together_or_one_cannot_see_it() -> None:
    assert isinstance(exchange(torch.empty(3), 0, 1, together=False, hear=lambda words: [words]), Network)
    # The other process does not find the file: it says nothing.
    assert isinstance(exchange(torch.empty(3), 0, 2, together=True, hear=lambda words: [words, ""]), Network)
