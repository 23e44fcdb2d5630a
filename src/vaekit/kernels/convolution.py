"""Transposed convolutions on a processor: oneDNN's, with what is slow around them done apart.

    y[o, p] = bias[o] + Σ_{i,k} weight[i, o, k] x[i, (p + padding − k) / stride],

over the k for which the division leaves no rest. Measured with the channels last on two cores: to add the bias takes
oneDNN up to three times as long as the transposed convolution itself, and torch as long again to sum its gradient; so
both are done here. A single output channel fills a sixteenth of oneDNN's block; it is computed as one matrix product
and a sum of shifted maps. What is cut off at the end and a relu cost no pass of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.kernels.tracing import traced


class Shape(NamedTuple):
    """What a transposed convolution is, but for its numbers.

    Attributes:
        stride, padding, output_padding: ``(height, width)``, as torch has them.
        crop: rows and columns left out at the end.
        rectified: whether a relu follows.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    crop: int = 0
    rectified: bool = False


def transposed(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
    """``x`` ``(batch, in, h, w)`` by ``weight`` ``(in, out, k, l)``: what torch gives, to rounding.

    float32 on a processor goes the faster way, all else torch's.
    """
    fast = (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.numel() > 0
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not traced()
    )
    return Transposed.apply(x, weight, bias, shape) if fast else plain(x, weight, bias, shape)  # type: ignore[return-value]


def plain(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
    """The same by torch's own operations."""
    # A compiler adds the bias, and sums its gradient, in the loops that it makes anyway.
    inside, outside = (None, bias) if traced() else (bias, None)
    y = F.conv_transpose2d(x, weight, inside, shape.stride, shape.padding, shape.output_padding)
    y = y if outside is None else y + outside[:, None, None]
    y = y[..., : y.shape[-2] - shape.crop, : y.shape[-1] - shape.crop] if shape.crop else y
    return y.relu() if shape.rectified else y


class Transposed(torch.autograd.Function):
    """The fast way, with its gradient; that can be differentiated too, by torch's operations."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: Shape) -> Tensor:
        single = weight.shape[1] == 1 and shape.stride == (1, 1) and shape.output_padding == (0, 0)
        whole = _single if single else F.conv_transpose2d
        y = whole(x, weight, None, shape.stride, shape.padding, shape.output_padding)
        ctx.whole = y.shape
        if shape.crop:
            y = y[..., : -shape.crop, : -shape.crop]
            y = y.clone(memory_format=torch.preserve_format) if bias is None else y + bias[:, None, None]
        elif bias is not None:
            y.add_(bias[:, None, None])
        if shape.rectified:
            y.relu_()
        ctx.shape = shape
        ctx.save_for_backward(x, weight, bias, y if shape.rectified else None)
        return y

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        x, weight, bias, y = ctx.saved_tensors
        shape, needed = ctx.shape, ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            wanted = [each for each, need in zip((x, weight, bias), needed, strict=True) if need]
            found = iter(torch.autograd.grad(plain(x, weight, bias, shape), wanted, grad, create_graph=True))
            return *(next(found) if need else None for need in needed), None
        grad = _before(grad, y, ctx.whole, shape)
        for_x, for_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            x,
            weight,
            None,
            shape.stride,
            shape.padding,
            (1, 1),
            True,
            shape.output_padding,
            1,
            (*needed[:2], False),
        )
        return for_x, for_weight, _over_places(grad) if needed[2] else None, None


def _single(x: Tensor, weight: Tensor, _: None, __: Any, padding: tuple[int, int], ___: Any) -> Tensor:
    """To one channel at stride 1: a map for each entry of the kernel, each added where it belongs."""
    rows, height, width = len(x), *x.shape[2:]
    kernel = weight.shape[2:]
    maps = weight.flatten(1).t() @ x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).t()
    maps = maps.view(*kernel, rows, height, width)
    sides = [n + k - 1 - 2 * p for n, k, p in zip((height, width), kernel, padding, strict=True)]
    y = x.new_zeros(rows, *sides)
    for i in range(kernel[0]):
        to_rows, from_rows = _overlap(i - padding[0], height, sides[0])
        for j in range(kernel[1]):
            to_columns, from_columns = _overlap(j - padding[1], width, sides[1])
            y[:, to_rows, to_columns] += maps[i, j, :, from_rows, from_columns]
    return y.unsqueeze(1)


def _overlap(shift: int, length: int, room: int) -> tuple[slice, slice]:
    """Where ``length`` places moved by ``shift`` lie in a room, and which of them do."""
    start, stop = max(0, shift), max(0, shift, min(room, length + shift))
    return slice(start, stop), slice(start - shift, stop - shift)


def _before(grad: Tensor, y: Tensor | None, whole: torch.Size, shape: Shape) -> Tensor:
    """The gradient before relu and crop, in one pass."""
    if not shape.crop:
        return grad if y is None else torch.ops.aten.threshold_backward(grad, y, 0)
    padded = torch.empty(whole, dtype=grad.dtype, memory_format=torch.channels_last)
    padded[..., -shape.crop :, :].zero_()
    padded[..., -shape.crop :].zero_()
    inside = padded[..., : -shape.crop, : -shape.crop]
    if y is None:
        inside.copy_(grad)
    else:
        torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=inside)
    return padded


def _over_places(grad: Tensor) -> Tensor:
    """Σ over all but the channels ``(batch, channels, h, w)``: a product with ones is faster than torch's sum."""
    if not grad.is_contiguous(memory_format=torch.channels_last):
        return grad.sum((0, 2, 3))
    flat = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    return flat.t() @ flat.new_ones(len(flat))
