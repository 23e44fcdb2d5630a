"""Loss scaling: gradients in half precision made larger on their way, so that small ones are not rounded to nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaekit.run.state import Counters

START, LEAST = 2.0**16, 1.0
PATIENCE = 2000  # steps without an overflow before it is tried with twice as much


class LossScale:
    """Factor of an objective whose gradient passes through ``float16`` (Micikevicius et al. 2018, section 3.2).

    Halved when a gradient becomes infinite by it, and that step is not taken; doubled after many steps in which none
    did. A power of two: but for what would be lost or infinite, no gradient is changed by it.

    Args:
        counters: of the training; they keep it, so that a training goes on with it.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        counters.scale = counters.scale or START

    @property
    def value(self) -> float:
        return self._counters.scale

    @property
    def may_have_overflowed(self) -> bool:
        """Whether a gradient may be infinite because of it."""
        return self.value > LEAST

    @torch.no_grad()
    def undo(self, parameters: Sequence[nn.Parameter], norm: Tensor) -> Tensor:
        """Gradients as they are without it, new ones, and their norm."""
        if self.value != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad * (1 / self.value)
        return norm / self.value

    def update(self, fitted: bool) -> None:
        """Take note of whether the gradients of a step were finite."""
        counters = self._counters
        counters.scale_kept = counters.scale_kept + 1 if fitted else 0
        if not fitted:
            counters.scale = max(LEAST, counters.scale / 2)
        elif counters.scale_kept == PATIENCE:
            counters.scale, counters.scale_kept = counters.scale * 2, 0
