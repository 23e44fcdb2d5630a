"""Tracing flag: whether operations are being recorded for a compiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, NoReturn, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_TRACING = ContextVar("tracing", default=False)
NUMBER_ASKED = "something in them asks for a number in the middle"


def traced() -> bool:
    """Whether what is computed now is written down: by vaekit or by ``torch.compile``."""
    return _TRACING.get() or torch.compiler.is_compiling()


@contextmanager
def tracing() -> Iterator[None]:
    """Inside, everything goes torch's way, and what would look at a number goes another."""
    token = _TRACING.set(True)
    try:
        with _Unlooked():
            yield
    finally:
        _TRACING.reset(token)


def _one_hot(indices: Tensor, num_classes: int) -> Tensor:
    """torch's, which on a processor looks whether all indices are in range."""
    return (indices.unsqueeze(-1) == torch.arange(num_classes, device=indices.device)).long()


def _asked(*_: object, **__: object) -> NoReturn:
    raise ValueError(NUMBER_ASKED)


class _Unlooked(TorchFunctionMode):
    """Functions of torch that look at numbers, replaced by some that give the same without, or by an error."""

    instead: ClassVar = {
        torch.nn.functional.one_hot: _one_hot,
        # How torch's distributions ask whether their parameters are valid; before this, the step was taken with it.
        cast(Any, torch)._is_all_true: lambda valid: True,
        # They read the memory, which nothing notes: the numbers of today would be written down for every day.
        **dict.fromkeys((Tensor.tolist, Tensor.numpy, Tensor.__array__), _asked),
    }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        way: Any = self.instead.get(func, func)
        return way(*args, **(kwargs or {}))
