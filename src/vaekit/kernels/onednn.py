"""Linear layers by oneDNN's inner product, forwards and backwards.

torch sends float32 matrix products to its BLAS, which on processors of some vendors takes a path half as fast as
oneDNN's. The three products of a layer (output, gradient of the input, gradient of the weight) are all of the form
a bᵀ, which is what oneDNN's inner product computes; transposed views of b need no copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def available() -> bool:
    """Whether this torch has the operation."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a bᵀ + bias: ``(rows, inner)`` and ``(columns, inner)`` to ``(rows, columns)``."""
    if not (b.is_contiguous() or b.t().is_contiguous()):
        b = b.contiguous()
    return torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], "")


class Product(torch.autograd.Function):
    """:func:`product` with its gradient, which is made of products again, so that it can be differentiated too."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return product(a, b, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        a, b = ctx.saved_tensors
        again = Product.apply if torch.is_grad_enabled() else product
        for_a, for_b, for_bias = ctx.needs_input_grad
        return (
            again(grad, b.t(), None) if for_a else None,
            again(grad.t(), a.t(), None) if for_b else None,
            grad.sum(0) if for_bias else None,
        )


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x Wᵀ + bias over any leading axes."""
    flat = x.reshape(-1, x.shape[-1])
    y = Product.apply(flat, weight, bias) if torch.is_grad_enabled() else product(flat, weight, bias)
    return y.view(*x.shape[:-1], weight.shape[0])  # type: ignore[union-attr]
