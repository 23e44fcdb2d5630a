"""Mixed precision: products of rounded factors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

PRECISIONS = ("float32", "bfloat16", "float16")


@cache
def rounds_on_processors() -> bool:
    """Whether :func:`rounding` to bfloat16 changes products on this processor, measured once in a process.

    torch's own flag is true wherever there is AVX-512, and without units for bfloat16 oneDNN then multiplies what it is
    given. Here the factors are 1 + 2⁻¹², which is 1 in bfloat16: of n such products the sum is n if they are rounded.
    """
    n = 128  # far more than torch leaves to loops of its own
    x = torch.full((n, n), 1 + 2**-12, dtype=torch.float32, device="cpu")
    with rounding(x.device, "bfloat16"):
        return bool((x @ x == n).all())


@contextmanager
def rounding(device: torch.device, precision: str) -> Iterator[None]:
    """Inside, the factors of matrix products and convolutions are rounded to the precision; all else stays float32.

    For bfloat16 on a processor the tensors stay float32, and oneDNN rounds them as it reads them: there is nothing to
    cast, and no activation is kept in low precision. Where the processor cannot do that (:func:`rounds_on_processors`)
    nothing is rounded. Elsewhere it is torch's autocast, which rounds what comes out of
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
