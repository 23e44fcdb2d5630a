"""log p of zeros and ones in few passes over memory.

With x in [0, 1] and logits l,

    log p(x) = Σ_d x_d l_d − softplus(l_d) = − Σ_d (max(l_d, 0) − x_d l_d) + Σ_d log σ(|l_d|).

No term of the first sum is negative, so nothing cancels; and σ(|l|) lies in [½, 1], so many factors can be multiplied
before there is a logarithm to take. A logarithm for each element is what costs most in torch's own cross entropy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FACTORS = 64  # in one product: 2⁻⁶⁴ is far from the smallest number of float32
FAST = {torch.float32, torch.float64}


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Σ_d x_d l_d − softplus(l_d) over the last axis, in nats, ``(*leading,)``; finite wherever the logits are.

    A float16, a GPU or tracing by ``torch.compile`` gets torch's cross entropy.

    Args:
        logits: ``(*leading, dims)``.
        x: what is observed, in [0, 1]; its leading axes and those of the logits broadcast.
    """
    logits = logits.expand(np.broadcast_shapes(logits.shape, x.shape))
    if (
        logits.dtype == x.dtype
        and logits.dtype in FAST
        and logits.device.type == "cpu"
        and not torch.compiler.is_compiling()
    ):
        return LogProb.apply(logits, x) if torch.is_grad_enabled() else _forward(logits, x)  # type: ignore[return-value]
    x = x.to(logits.dtype).expand_as(logits)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


class LogProb(torch.autograd.Function):
    """The fast sum with its gradient, which can be differentiated too."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return _forward(logits, x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        logits, x = ctx.saved_tensors
        grad = grad_outputs[0].unsqueeze(-1)
        for_logits, for_x = ctx.needs_input_grad
        return (
            _slope(logits, x, grad) if for_logits else None,
            (grad * logits).sum_to_size(x.shape) if for_x else None,
        )


def _forward(logits: Tensor, x: Tensor) -> Tensor:
    whole = logits.shape[-1] // FACTORS * FACTORS
    scratch = logits.relu().addcmul_(x, logits, value=-1)
    wrong = scratch.sum(-1)
    # The same memory again: to ask for more of it would cost as much as the sums.
    sure = torch.abs(logits, out=scratch).sigmoid_()
    rest = sure[..., whole:].prod(-1).log_()
    return sure[..., :whole].unflatten(-1, (-1, FACTORS)).prod(-1).log_().sum(-1).add_(rest).sub_(wrong)


def _slope(logits: Tensor, x: Tensor, grad: Tensor) -> Tensor:
    """(x − σ(l)) · grad; in place unless it is to be differentiated."""
    mean = logits.sigmoid()
    return (x - mean) * grad if torch.is_grad_enabled() else mean.sub_(x).mul_(-grad)
