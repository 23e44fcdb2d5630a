"""Whether operations are being written down for a compiler, which makes its own kernels of plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_TRACING = ContextVar("tracing", default=False)


def traced() -> bool:
    """Whether what is computed now is written down: by vaekit or by ``torch.compile``."""
    return _TRACING.get() or torch.compiler.is_compiling()


@contextmanager
def tracing() -> Iterator[None]:
    """Inside, everything goes torch's way."""
    token = _TRACING.set(True)
    try:
        yield
    finally:
        _TRACING.reset(token)
