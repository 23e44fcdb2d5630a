"""Parts from their names: networks in both directions, and defaults by the kind of data."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

import vaekit.parts.registry  # noqa: F401 - so that parts can be named
from vaekit.data.dataset import Dataset
from vaekit.errors import UserError, unknown
from vaekit.parts.build import build, needs_python
from vaekit.parts.record import parts
from vaekit.parts.specification import parse


def make_part(slot: str, text: str, **context: Any) -> Any:
    """A part from the part specification ``name:option=value``; what is not given comes from the context.

    Raises:
        UserError: if the name or an option is not known.
    """
    name, options = parse(text)
    return build(slot, name, context, None, options)


def family(network: str) -> str | None:
    """What names a network in both directions, if the name is that of one of them.

    >>> family("convolutional-encoder"), family("mlp")
    ('convolutional', None)
    """
    name = re.sub("-(encoder|decoder)$", "", network)
    directions = {f"{name}-encoder", f"{name}-decoder"}
    return name if network in directions <= parts("network").keys() else None


def _directed(text: str, direction: str) -> type | None:
    """The class of a network named for both directions, ``None`` if there is none.

    Raises:
        UserError: if the name is that of one direction.
    """
    name = parse(text)[0]
    if both := family(name):
        raise UserError(f"the network '{name}' is one direction of '{both}'.", hint=f"write --network {both}.")
    known = parts("network")
    return known.get(f"{name}-{direction}") or known.get(name)


def between_vectors(text: str, layers: str) -> str:
    """The network for a map between two vectors of latents: the one asked for; if that needs images, ``layers``, or
    what it names as its own ``between``."""
    asked = _directed(text, "encoder")
    return getattr(asked, "between", layers) if getattr(asked, "images_only", False) else text


def _make_network(text: str, direction: str, **context: Any) -> nn.Module:
    name, options = parse(text)
    found = _directed(text, direction)
    if found is None:
        known = [key for key, cls in parts("network").items() if not needs_python(cls)]
        raise unknown("network", name, {family(key) or key for key in known})
    return build("network", found.part_name.removeprefix("network/"), context, None, options)  # type: ignore[attr-defined]


def surroundings(data: Dataset, latent_dim: int, **more: Any) -> dict[str, Any]:
    """What parts may ask for by name: length of the latent; shape, condition, classes and ends of the data."""
    return {
        "latent_dim": latent_dim,
        "shape": data.shape,
        "condition_dim": condition_of(data),
        "num_classes": data.num_classes,
        "low": data.kind.low,
        "high": data.kind.high,
    } | more


def condition_of(data: Dataset, more: int = 0) -> int | tuple[int, ...]:
    """Length of the condition of data and of what is beside it; the shape of one that is no vector.

    Raises:
        UserError: for a condition that is no vector, with something beside it.
    """
    if len(data.condition_shape) <= 1:
        return data.condition_dim + more
    if more:
        raise UserError(
            f"the condition of {data.name} has the shape {data.condition_shape}, and only a vector has room for more "
            "beside it (labels, other latents).",
        )
    return data.condition_shape


def make_encoder(data: Dataset, text: str, condition_dim: int = 0) -> nn.Module:
    """A network from an example to features; counts enter by their logarithm.

    Args:
        data: what is encoded; its own condition is taken into account.
        text: the network in the part specification.
        condition_dim: length of what else it is conditioned on.

    Raises:
        UserError: if the network does not fit the shape of the data.
    """
    condition = condition_of(data, condition_dim)
    if len(data.shape) != 3 and getattr(_directed(text, "encoder"), "images_only", False):
        raise UserError(
            f"the network '{text}' needs images (channels, height, width); {data.name} has shape {data.shape}.",
            hint="use --network mlp.",
        )
    return reading(data, _make_network(text, "encoder", in_shape=data.shape, condition_dim=condition))


def reading(data: Dataset, network: nn.Module) -> nn.Module:
    """The network behind the fixed map through which the kind of data is read, if it has one: counts by logarithms."""
    wrapper = getattr(data.kind, "input_network", None)
    return build("network", wrapper, {"network": network}) if wrapper else network


def make_decoder(data: Dataset, text: str, in_shape: int | tuple[int, ...], condition_dim: int = 0) -> nn.Module:
    """A network from latents to features; arguments as of :func:`make_encoder`."""
    condition = condition_of(data, condition_dim)
    return _make_network(text, "decoder", in_shape=in_shape, image_shape=data.shape, condition_dim=condition)


def make_transform(text: str, length: int) -> nn.Module:
    """A network that reads a vector; ``text`` as :func:`between_vectors` gives it."""
    return _make_network(text, "decoder", in_shape=length, condition_dim=0)


def make_likelihood(data: Dataset, text: str | None, network: nn.Module) -> nn.Module:
    """The likelihood of that name, or the one that fits the kind of data."""
    return make_part("likelihood", text or data.kind.default_likelihood, network=network, shape=data.shape)
