"""Program cache: compiled programs as libraries in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from vaekit.cache import cache_folder, keeping
from vaekit.kernels.machine import instructions, machine

MOST = 200  # that are kept; those that were not asked for the longest go
BESIDE = (".json", ".so")  # how to call operations that have no call of their own; the library, last


class Library:
    """What torch's inductor has compiled ahead of time.

    Args:
        path: the library.

    Raises:
        RuntimeError: if it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(path), 1)  # pyright: ignore

    def __call__(self, *tensors: Tensor) -> None:
        self.runner.run([*tensors])

    def keep(self, name: str) -> None:
        """For other processes, if that can be done; whole or not at all."""
        with contextlib.suppress(OSError):
            for ending in BESIDE:
                if (source := self.path.with_suffix(ending)).is_file():
                    with source.open("rb") as made, keeping(_path(name, ending)) as file:
                        shutil.copyfileobj(made, file)
            there = sorted(_path(name, "").parent.glob("*.so"), key=lambda path: path.stat().st_mtime)
            for path in there[:-MOST]:
                for ending in reversed(BESIDE):
                    path.with_suffix(ending).unlink(missing_ok=True)


def name_of(words: str, tensors: Sequence[Tensor]) -> str:
    """That of the program of these operations on tensors like these, on this machine."""
    shapes = [(each.shape, each.stride(), each.dtype, each.device) for each in tensors]
    return hashlib.sha256(repr((words, shapes, machine(), instructions())).encode()).hexdigest()


def kept(name: str) -> Library | None:
    """The one of that name, if one was kept here.

    Raises:
        RuntimeError: if it cannot be loaded.
    """
    path = _path(name, ".so")
    if not path.is_file():
        return None
    with contextlib.suppress(OSError):  # somebody else's
        os.utime(path)
    return Library(path)


def _path(name: str, ending: str) -> Path:
    return cache_folder() / "programs" / f"{name}{ending}"
