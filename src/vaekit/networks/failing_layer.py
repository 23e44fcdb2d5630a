"""Errors of shape as one sentence that names the layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vaekit.errors import UserError


class DoesNotFit(UserError):
    """A module was given what it does not take."""


class Failed(NamedTuple):
    """The innermost layer that was at work when a call failed.

    Attributes:
        name: its qualified name; empty for the module itself.
        layer: the layer.
        shapes: of the tensors that it was given.
    """

    name: str
    layer: nn.Module
    shapes: tuple[tuple[int, ...], ...]


def failing_layer(module: nn.Module, call: Callable[[], object]) -> Failed | None:
    """Make a call that has failed again, and see in which layer of a module it fails; ``None`` if in none, or not."""
    at_work: list[Failed] = []

    def enters(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            shapes = tuple(tuple(each.shape) for each in inputs if isinstance(each, Tensor))
            at_work.append(Failed(name, layer, shapes))

        return hook

    def leaves(layer: nn.Module, inputs: object, output: object) -> None:
        at_work.pop()

    layers = dict(module.named_modules())
    hooks = [layer.register_forward_pre_hook(enters(name)) for name, layer in layers.items()]
    hooks += [layer.register_forward_hook(leaves) for layer in layers.values()]
    try:
        with torch.no_grad():
            call()
    except Exception:
        return at_work[-1] if at_work else None
    finally:
        for hook in hooks:
            hook.remove()
    return None


def does_not_fit(
    what: str, module: nn.Module, shape: tuple[int, ...], call: Callable[[], object], error: Exception
) -> UserError:
    """The error for a module that has failed at rows.

    Args:
        what: whose module it is.
        module: which has failed.
        shape: of a row.
        call: makes it fail again.
        error: as which it has failed.
    """
    start = f"the {what} does not take {'a single row' if module.training else 'rows'} of shape {shape}"
    failed = failing_layer(module, call)
    because = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    if failed is None or not failed.name:
        return DoesNotFit(f"{start}: {because}.")
    expected = _expected(failed.layer)
    layer = f"its layer '{failed.name}', {failed.layer},".replace("\n", " ")
    if not expected or module.training:
        return DoesNotFit(f"{start}: {layer} says: {because}.", _hint(failed.layer, shape, module.training))
    were = " and ".join(map(str, failed.shapes))
    return DoesNotFit(f"{start}: {layer} expects {expected}, and was given {were}.", _hint(failed.layer, shape, False))


def _expected(layer: nn.Module) -> str:
    """The shapes that a layer takes, in words; empty where it is not known."""
    if isinstance(layer, nn.Linear):
        return f"(…, {layer.in_features})"
    if isinstance(layer, nn.modules.conv._ConvNd):
        axes = ("length",), ("height", "width"), ("depth", "height", "width")
        return f"(rows, {layer.in_channels}, {', '.join(axes[len(layer.kernel_size) - 1])})"
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return f"(rows, {layer.num_features}, …)"
    return ""


def _hint(layer: nn.Module, shape: tuple[int, ...], training: bool) -> str:
    if training:
        return "choose a batch_size that leaves more than one row for the last batch, or layers that take each alone."
    if isinstance(layer, nn.Linear) and len(shape) > 1 and math.prod(shape) == layer.in_features:
        return "let the network begin with torch.nn.Flatten()."
    if isinstance(layer, nn.modules.conv._ConvNd) and len(shape) == 1:
        return "let the network begin with torch.nn.Unflatten(1, (channels, height, width)), or give it images."
    return ""
