"""Double precision, for sums of large terms that cancel."""

from __future__ import annotations

import torch
from torch import Tensor


def widest(device: torch.device) -> torch.dtype:
    """float64, or float32 on a device that has none."""
    return torch.float32 if device.type == "mps" else torch.float64


def double(x: Tensor) -> Tensor:
    """``x`` in the widest precision of its device; gradients come back in that of ``x``."""
    return x.to(widest(x.device))
