"""Plain modules as networks: any ``nn.Module`` from rows to features, without a base class or a decorator."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from vaekit.errors import UserError
from vaekit.networks.failing_layer import DoesNotFit, does_not_fit
from vaekit.networks.network import side_by_side
from vaekit.networks.plain_head import PlainHead


def as_network(module: nn.Module, owner: object = None, *, latents: bool = False) -> Any:
    """The module itself if it makes heads, else a :class:`PlainNetwork` around it.

    Args:
        module: a network, or any module from rows to features.
        owner: whose network it is, for errors.
        latents: whether it reads latents, which are vectors unless its first layer says otherwise, and not rows.

    Raises:
        TypeError: if it is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"a network is a torch.nn.Module, got {module!r}")
    # As a method: a layer that is called so (of a vision transformer, say) is none that makes heads.
    makes_heads = inspect.isroutine(getattr(type(module), "head", None))
    # A part of another kind (the way up to a ladder) has no head and asks for none.
    of_another_kind = not getattr(type(module), "part_name", "network/").startswith("network/")
    if makes_heads or of_another_kind:
        return module
    return PlainNetwork(module, owner, latents)


class PlainNetwork(nn.Module):
    """A module that maps one axis of rows ``(rows, *in_shape)`` to features ``(rows, *feature_shape)``.

    Shapes are found by a dry pass, when the first input is there; parameters of heads have none before it. Several
    latents are read side by side. A condition is passed on if ``forward`` has an argument ``condition``,
    mask and lengths if it has ``mask`` or ``length``.

    Args:
        module, owner, latents: as of :func:`as_network`.

    >>> import torch
    >>> network = as_network(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU()))
    >>> head = network.head((2, 8))
    >>> head(network(torch.zeros(5, 1, 8, 8))).shape, head(network(torch.zeros(3, 5, 1, 8, 8))).shape
    (torch.Size([5, 2, 8]), torch.Size([3, 5, 2, 8]))
    """

    def __init__(self, module: nn.Module, owner: object = None, latents: bool = False) -> None:
        super().__init__()
        self.module = module
        self.latents = latents
        self.name = f"network{_of(owner)}, a {type(module).__name__},"
        self.takes_condition, self.needs_condition = _asks_for_condition(module)
        self.in_shape: tuple[int, ...] | None = None
        self.feature_shape: tuple[int, ...] | None = None
        self.condition_dims = 1
        self._waiting: list[PlainHead] = []  # heads without a shape

    def forward(self, x: Tensor | Mapping[str, Tensor], condition: Tensor | None = None, **observed: Tensor) -> Tensor:
        x = side_by_side(list(x.values())) if isinstance(x, Mapping) else x
        self._check_condition(condition)
        if self.in_shape is None or self.feature_shape is None:
            self.in_shape, self.feature_shape = self._settle(x, condition, observed)
        axes = x.dim() - len(self.in_shape)
        if tuple(x.shape[axes:]) != self.in_shape:
            raise DoesNotFit(f"the {self.name} takes rows of shape {self.in_shape}, and was given {tuple(x.shape)}.")
        leading, given = x.shape[:axes], {}
        if condition is not None:
            axes_of_condition = condition.dim() - self.condition_dims
            leading = torch.Size(np.broadcast_shapes(leading, condition.shape[:axes_of_condition]))
            own = condition.shape[axes_of_condition:]
            given["condition"] = condition.expand(*leading, *own).reshape(-1, *own)
            x = x.expand(*leading, *self.in_shape)
        for name, each in observed.items():
            given[name] = each.expand(*leading, *each.shape[1:]).reshape(-1, *each.shape[1:])
        rows = x.reshape(-1, *self.in_shape)
        if self.training and len(rows) == 1:
            features = self._one_row(rows, given)
        else:
            features = self.module(rows, **given)
        return features.reshape(*leading, *self.feature_shape)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        """A linear layer from the features to ``(*leading, *out_shape)``."""
        head = PlainHead(out_shape)
        if self.feature_shape is None:
            self._waiting.append(head)
        else:
            head.settle(self.feature_shape)
        return head

    def _check_condition(self, condition: Tensor | None) -> None:
        """Check that the module takes the condition that there is.

        Raises:
            UserError: if there is a condition and the module takes none, or the other way round.
        """
        if condition is not None and not self.takes_condition:
            raise _takes_none(self.name)
        if condition is None and self.needs_condition:
            raise UserError(f"the {self.name} takes a condition, and was given none.")

    def _settle(
        self, x: Tensor, condition: Tensor | None, observed: Mapping[str, Tensor]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of a row and of its features, found by a dry pass of zeros; heads that wait for them are made."""
        axes = _axes_of_latents(self.module, x) if self.latents else x.dim() - 1
        in_shape = tuple(x.shape[x.dim() - max(0, axes) :])
        given = {}
        # Only beside a single axis of rows does a condition tell its own axes.
        condition_dims = condition.dim() - 1 if condition is not None and x.dim() - axes == 1 else 1
        with _dry(self.module):
            like = next((p for p in self.module.parameters() if p.is_floating_point()), x)
            rows = torch.zeros(2, *in_shape, dtype=like.dtype, device=like.device)
            if condition is not None:
                given["condition"] = rows.new_zeros(2, *condition.shape[condition.dim() - condition_dims :])
            if "mask" in observed:
                given["mask"] = rows.new_ones(2, *observed["mask"].shape[1:], dtype=torch.bool)
            if "length" in observed:
                given["length"] = torch.full((2,), in_shape[0], device=rows.device)
            try:
                features = self.module(rows, **given)
            except (RuntimeError, ValueError, IndexError) as error:
                raise self._does_not_fit(rows, given, error) from error
            if not isinstance(features, Tensor) or features.shape[:1] != (2,):
                found = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
                raise DoesNotFit(
                    f"the {self.name} answered two rows of shape {in_shape} with {found}: features are a tensor with a "
                    "row for each."
                )
            self.condition_dims = condition_dims
            for head in self._waiting:
                head.settle(tuple(features.shape[1:]))
        self._waiting = []
        return in_shape, tuple(features.shape[1:])

    def _one_row(self, rows: Tensor, given: dict[str, Tensor]) -> Tensor:
        """One row through a module that compares rows.

        Raises:
            UserError: if a layer that compares the rows of a batch cannot be trained with a single one.
        """
        try:
            return self.module(rows, **given)
        except ValueError as error:
            raise self._does_not_fit(rows, given, error) from error

    def _does_not_fit(self, rows: Tensor, given: dict[str, Tensor], error: Exception) -> UserError:
        return does_not_fit(self.name, self.module, tuple(rows.shape[1:]), lambda: self.module(rows, **given), error)


def as_encoder(module: nn.Module, owner: object = None) -> Any:
    """The module itself if its forward takes a condition, else one that is called with it and refuses any but none.

    For modules whose features are not those of :func:`as_network`: of a ladder, one tensor for each level.
    """
    return module if _asks_for_condition(module)[0] else Unconditional(module, owner)


class Unconditional(nn.Module):
    """A module of x alone, called with a condition.

    Args:
        module, owner: as of :func:`as_network`.
    """

    def __init__(self, module: nn.Module, owner: object = None) -> None:
        super().__init__()
        self.module, self.name = module, f"encoder{_of(owner)}, a {type(module).__name__},"

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Any:
        if condition is not None:
            raise _takes_none(self.name)
        return self.module(x)


def has_lazy_parameters(module: nn.Module) -> bool:
    """Whether some parameters or buffers have no shape yet."""
    return any(map(is_lazy, module.parameters())) or any(map(is_lazy, module.buffers()))


@contextmanager
def _dry(module: nn.Module) -> Iterator[None]:
    """Without gradients and in evaluation mode, so that no statistics of a batch move."""
    modes = [(each, each.training) for each in module.modules()]
    try:
        module.eval()
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for each, training in modes:
            each.training = training


def _asks_for_condition(module: nn.Module) -> tuple[bool, bool]:
    """Whether a module takes a condition, and whether it must have one."""
    try:
        condition = inspect.signature(module.forward).parameters.get("condition")
    except (TypeError, ValueError):  # of a compiled forward nothing is known
        condition = None
    return condition is not None, condition is not None and condition.default is condition.empty


def _takes_none(name: str) -> UserError:
    return DoesNotFit(
        f"the {name} takes no condition, and was given one.",
        "give its forward a second argument 'condition', or leave the condition out.",
    )


def _of(owner: object) -> str:
    name = getattr(type(owner), "part_name", type(owner).__name__)
    return "" if owner is None else f" of the {name.replace('/', ' ')}"


def _axes_of_latents(module: nn.Module, z: Tensor) -> int:
    """Axes of one latent among those of a draw: as many as a first convolution asks for, or as make up the width of a
    first linear layer; else one."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.conv._ConvNd):
            # It may read the condition alone: a vector has no axes for it.
            return min(len(layer.kernel_size) + 1, z.dim() - 1)
        if isinstance(layer, nn.Linear):
            counts = (axes for axes in range(1, z.dim()) if math.prod(z.shape[-axes:]) == layer.in_features)
            return next(counts, 1)
    return 1
