"""Products of rounded factors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

PRECISIONS = ("float32", "bfloat16", "float16")


def rounds_on_processors() -> bool:
    """Whether this processor has units for bfloat16 that torch knows; without them nothing is rounded."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def rounding(device: torch.device, precision: str) -> Iterator[None]:
    """Inside, the factors of matrix products and convolutions are rounded to the precision; all else stays float32.

    For bfloat16 on a processor the tensors stay float32, and oneDNN rounds them as it reads them: there is nothing to
    cast, and no activation is kept in low precision. Elsewhere it is torch's autocast, which rounds what comes out of
    a product too.

    Args:
        device: where the products are computed.
        precision: one of ``PRECISIONS``.
    """
    if precision == "float32":
        yield
    elif device.type != "cpu" or precision == "float16":
        with torch.autocast(device.type, getattr(torch, precision)):
            yield
    else:
        onednn: Any = torch.backends.mkldnn
        switches = onednn.matmul, onednn.conv
        before = [switch.fp32_precision for switch in switches]
        for switch in switches:
            switch.fp32_precision = "bf16"
        try:
            yield
        finally:
            for switch, value in zip(switches, before, strict=True):
                switch.fp32_precision = value
