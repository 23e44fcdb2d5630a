"""Gradients against finite differences, and whether they arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from vaekit.testing.statistics import reproducible

STEP = 1e-5


@reproducible
def check_gradient(
    function: Callable[[], Tensor], parameters: Sequence[Tensor], what: str, directions: int = 3
) -> None:
    """The gradient of a scalar equals its central difference along random directions.

    The allowance is what the difference with a step twice as long differs by, and rounding.

    Args:
        function: no arguments, a scalar in float64; it must use the same noise at each call.
        parameters: leaves that it depends on.
        what: names the scalar in the message.
        directions: number of random directions.

    Raises:
        AssertionError: if they differ.
    """
    if not parameters:
        return
    value = function()
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    for _ in range(directions):
        along = [torch.randn_like(parameter) for parameter in parameters]
        norm = torch.stack([direction.square().sum() for direction in along]).sum().sqrt()
        along = [direction / norm for direction in along]
        slope = sum((g * a).sum().item() for g, a in zip(gradients, along, strict=True) if g is not None)
        near, far = (_difference(function, parameters, along, step) for step in (STEP, 2 * STEP))
        allowed = abs(near - far) + 1e3 * torch.finfo(torch.float64).eps * (1 + abs(value.item())) / STEP
        assert abs(slope - near) <= allowed, (
            f"the gradient of {what} is {slope:.8g} along a random direction; finite differences say {near:.8g} "
            f"(±{allowed:.1g})"
        )


@torch.no_grad()
def _difference(
    function: Callable[[], Tensor], parameters: Sequence[Tensor], along: Sequence[Tensor], step: float
) -> float:
    start = [parameter.clone() for parameter in parameters]
    values = []
    for move in (step, -step):
        for parameter, before, direction in zip(parameters, start, along, strict=True):
            parameter.copy_(before + move * direction)
        values.append(function().item())
    for parameter, before in zip(parameters, start, strict=True):
        parameter.copy_(before)
    return (values[0] - values[1]) / (2 * step)


def check_arrives(value: Tensor, named: Iterable[tuple[str, nn.Parameter]], what: str) -> None:
    """A finite gradient of ``value`` reaches every trainable parameter.

    Raises:
        AssertionError: naming the parameters that it does not reach.
    """
    trainable = {name: parameter for name, parameter in named if parameter.requires_grad}
    if not trainable:
        return
    assert value.requires_grad, f"{what} does not depend on any parameter, though there are {', '.join(trainable)}"
    gradients = torch.autograd.grad(value.sum(), list(trainable.values()), allow_unused=True, retain_graph=True)
    missing = [name for name, gradient in zip(trainable, gradients, strict=True) if gradient is None]
    assert not missing, f"no gradient of {what} reaches {', '.join(missing)}"
    wrong = [
        name
        for name, gradient in zip(trainable, gradients, strict=True)
        if gradient is not None and not gradient.isfinite().all()
    ]
    assert not wrong, f"the gradient of {what} is not finite at {', '.join(wrong)}"
