"""Contract of a network, its layers by the fastest route of the machine, and shared helpers."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import softplus

from vaekit.errors import UserError
from vaekit.kernels import Shape as ConvolutionShape
from vaekit.kernels import linear, transposed

Shape = int | tuple[int, ...]


class Linear(nn.Linear):
    """``torch.nn.Linear``, computed as :mod:`vaekit.kernels` chooses.

    >>> import torch
    >>> Linear(784, 300)(torch.zeros(5, 2, 784)).shape
    torch.Size([5, 2, 300])
    """

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d``, computed as :mod:`vaekit.kernels.convolution` does it.

    >>> import torch
    >>> ConvTranspose2d(32, 1, kernel_size=3, padding=1)(torch.zeros(5, 32, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if {*self.dilation, self.groups} != {1} or output_size:
            return super().forward(input, output_size)
        return transposed(input, self.weight, self.bias, self._shape())

    def rectified(self, input: Tensor, crop: int = 0) -> Tensor:
        """relu of the layer, ``crop`` rows and columns left out at the end."""
        return transposed(input, self.weight, self.bias, self._shape()._replace(crop=crop, rectified=True))

    def _shape(self) -> ConvolutionShape:
        return ConvolutionShape(self.stride, self.padding, self.output_padding)  # type: ignore[arg-type]


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``; to one channel it is the transposed one with the mirrored kernel, which is faster.

    >>> import torch
    >>> Conv2d(32, 1, kernel_size=3, padding=1)(torch.zeros(5, 32, 28, 28)).shape
    torch.Size([5, 1, 28, 28])
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.out_channels > 1 or {*self.stride, *self.dilation, self.groups} != {1} or self.padding_mode != "zeros":
            return super().forward(input)
        if isinstance(self.padding, str):
            return super().forward(input)
        mirrored = self.weight.flip(-2, -1).transpose(0, 1)
        padding = tuple(k - 1 - p for k, p in zip(self.kernel_size, self.padding, strict=True))
        if min(padding) < 0:
            return super().forward(input)
        return transposed(input, mirrored, self.bias, ConvolutionShape(padding=padding))  # type: ignore[arg-type]


class Network(Protocol):
    """What posteriors and likelihoods expect of a network."""

    def __call__(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Features ``(*leading, *feature_shape)`` of ``x`` ``(*leading, *in_shape)``."""
        ...

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        """A new layer from the features to ``(*leading, *out_shape)``."""
        ...


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "silu": functional.silu,
    "elu": functional.elu,
    "leaky-relu": functional.leaky_relu,
}


def activation_of(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of that name.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"the activation must be one of {', '.join(ACTIVATIONS)}, got '{name}'")
    return ACTIVATIONS[name]


def of_condition(layer: Callable[[Tensor], Tensor] | None, condition: Tensor | None, shape: Shape = 1) -> Tensor | None:
    """What a layer makes of the condition, of that shape and flattened; ``None`` for a network without one.

    Raises:
        UserError: if there is a condition and no layer for it, or a layer and no condition: neither p(x) nor p(x|c)
            would be what was asked for.
    """
    if layer is not None and condition is not None:
        return layer(condition.flatten(-dimensions(shape)) if dimensions(shape) > 1 else condition)
    if condition is not None:
        raise UserError(
            "a network without a condition (condition_dim=0) was given one.",
            hint="use one that takes a condition (--network mlp, convolutional), or leave the condition out.",
        )
    if layer is not None:
        raise UserError(
            "a network that was made for a condition was given none.",
            hint="give it with the rows: vk.Batch(x, condition=…), model.generate(count, condition).",
        )
    return None


def size(shape: Shape) -> int:
    """Number of elements of a shape."""
    return shape if isinstance(shape, int) else math.prod(shape)


def dimensions(shape: Shape) -> int:
    """Number of axes of a shape."""
    return 1 if isinstance(shape, int) else len(shape)


def side_by_side(values: list[Tensor]) -> Tensor:
    """Vectors on one last axis, their leading axes broadcast; at least one."""
    leading = np.broadcast_shapes(*(value.shape[:-1] for value in values))
    return torch.cat([value.expand(*leading, value.shape[-1]) for value in values], dim=-1)


def over_leading(layer: Callable[[Tensor], Tensor], x: Tensor, event_dims: int) -> Tensor:
    """Apply a layer that wants one batch axis to ``x`` with any number of leading axes."""
    leading = x.shape[: x.dim() - event_dims]
    y = layer(x.reshape(-1, *x.shape[x.dim() - event_dims :]))
    return y.reshape(*leading, *y.shape[1:])


class FlatHead(nn.Module):
    """A linear layer from flat features to ``(*leading, *out_shape)``."""

    def __init__(self, features: int, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.out_shape = out_shape
        self.linear = Linear(features, math.prod(out_shape))

    def forward(self, h: Tensor) -> Tensor:
        # Densities are computed in the precision of the weights, also where products are rounded.
        return self.linear(h).to(self.linear.weight.dtype).unflatten(-1, self.out_shape)


def initialize(module: nn.Module, name: str) -> None:
    """Set every linear and convolutional layer's weights in place.

    ``torch``: as PyTorch does; ``glorot``: uniform, Glorot & Bengio 2010; ``he``: normal, He et al.
    2015; ``small``: N(0, 0.01²), Kingma & Welling 2013. All but ``torch`` set biases to zero.

    Raises:
        ValueError: for an unknown name.
    """
    schemes = {
        "torch": None,
        "glorot": nn.init.xavier_uniform_,
        "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "small": lambda weight: nn.init.normal_(weight, std=0.01),
    }
    if name not in schemes:
        raise ValueError(f"the initialization must be one of {', '.join(schemes)}, got '{name}'")
    scheme = schemes[name]
    if scheme is None:
        return
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            scheme(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def checked_minimum(minimum: float) -> float:
    """Least scale, if it can be one.

    Raises:
        ValueError: if it is not between 0 and 1.
    """
    if not 0 < minimum < 1:
        raise ValueError(f"minimum_scale must be between 0 and 1, got {minimum}")
    return minimum


def positive(raw: Tensor, minimum: float = 1e-6) -> Tensor:
    """A smooth map to (minimum, ∞): 1 at raw = 0, linear above.

    Scales and rates grow linearly, not exponentially, with what the network says, which is what
    keeps the first steps of training finite.
    """
    return softplus(raw + math.log(math.expm1(1 - minimum))) + minimum


def raw_of(value: Tensor, minimum: float = 1e-6) -> Tensor:
    """The number that :func:`positive` maps to ``value``, or as near to it as the minimum allows."""
    above = (value - minimum).clamp_min(1e-12)
    # softplus⁻¹(a) = a + log(1 − e^−a)
    return above + torch.log(-torch.expm1(-above)) - math.log(math.expm1(1 - minimum))


# Masks and lengths: what networks ask for beside x and its condition.

OBSERVED = frozenset({"mask", "length"})


@functools.lru_cache(maxsize=1024)
def parameters_of(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Which of ``mask`` and ``length`` a function has a parameter for, and whether it hands on any by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a compiled function nothing is known
        return frozenset(), False
    return OBSERVED & {each.name for each in parameters}, any(each.kind is each.VAR_KEYWORD for each in parameters)


def asks(module: nn.Module) -> frozenset[str]:
    """Which of ``mask`` and ``length`` the ``forward`` of a module asks for.

    One that hands on what it is given by name (``**observed``: posteriors, wrappers) asks for what its parts ask for.

    >>> import torch, vaekit as vk
    >>> class Mean(torch.nn.Module):
    ...     def forward(self, x, condition=None, mask=None):
    ...         return x.mean(1) if mask is None else (x * mask).sum(1) / mask.sum(1)
    >>> sorted(asks(vk.posteriors.Diagonal(Mean(), 2))), sorted(asks(vk.networks.MLP(3)))
    (['mask'], [])
    """
    names, hands_on = parameters_of(type(module).forward)
    return names.union(*(asks(each) for each in _parts(module))) if hands_on else names


def observed(module: nn.Module, mask: Tensor | None, length: Tensor | None) -> dict[str, Tensor]:
    """What a module is given by name of mask and length: what it asks for and there is."""
    if mask is None and length is None:
        return {}
    asked = asks(module)
    there = {"mask": mask, "length": length}
    return {name: each for name, each in there.items() if each is not None and name in asked}


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleDict | nn.ModuleList):
            yield from child.children()
        else:
            yield child
