"""Decompositions: kernels over many tensors as plain operations, for a compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

MANY = 16  # numbers whose maximum inductor keeps; what comes of few is computed again wherever it is read


def plain() -> dict[Any, Callable[..., Any]]:
    """By torch's name of the kernel."""
    kernels = torch.ops.aten
    return {
        kernels._fused_adam_.default: _adam,
        kernels._fused_adam_.tensor_lr: _adam,
        kernels._amp_foreach_non_finite_check_and_unscale_.default: _check,
    }


def _check(tensors: Sequence[Tensor], bad: Tensor, inverse_scale: Tensor) -> None:
    """``bad`` is 1 if any number is not finite; nothing is scaled, since nothing here asks for it."""
    # The largest is not finite where one is not, and takes one pass. A sum of 0 times each is 0 for inductor.
    largest = torch.stack([each.detach().abs().amax() for each in tensors if each.numel()])
    bad.copy_(torch.maximum(bad, (~largest.amax().isfinite()).to(bad.dtype)))


def _adam(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    _: Sequence[Tensor],
    steps: Sequence[Tensor],
    *,
    lr: float | Tensor,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """Adam as its paper has it (Kingma and Ba 2015, algorithm 1), unless ``found_inf`` is 1."""
    assert not amsgrad
    assert not maximize
    assert grad_scale is None
    # All parameters have taken as many steps. In float32 the powers, near 1, would have few digits left.
    taken = torch.stack([*steps]).double().expand(MANY, -1)
    size = (lr / (1 - beta1**taken)).amax().to(means[0].dtype)
    scale = (1 - beta2**taken).amax().to(means[0].dtype)
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
        before = parameter.detach()
        slope = gradient + weight_decay * before if weight_decay else gradient
        first = mean + (slope - mean) * (1 - beta1)
        second = square * beta2 + slope * slope * (1 - beta2)
        after = before - size * first / ((second / scale).sqrt() + eps)
        for place, old, new in ((mean, mean, first), (square, square, second), (parameter, before, after)):
            place.copy_(new if found_inf is None else torch.where(found_inf > 0, old, new))
