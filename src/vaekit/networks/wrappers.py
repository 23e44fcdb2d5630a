"""Wrappers of networks: several latents into one, one input out of several, counts on a log scale."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vaekit.errors import UserError
from vaekit.networks.network import side_by_side
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("network/concatenate")
class Concatenate(nn.Module):
    """A network that reads the vectors of several latents side by side, in the order of the prior.

    Args:
        network: the network behind it; its input is as long as the latents together.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)

    def forward(self, z: Mapping[str, Tensor], condition: Tensor | None = None) -> Tensor:
        return self.network(side_by_side(list(by_name(z).values())), condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)


def by_name(z: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Latents by name.

    Raises:
        UserError: if several latents are given as one tensor.
    """
    if isinstance(z, Mapping):
        return z
    raise UserError(
        f"a network of several latents takes a map of them by name, and was given one of shape {tuple(z.shape)}.",
        hint="model.decode({'z2': …, 'z1': …}), as model.sample_latents gives them.",
    )


@part("network/only-latent")
class OnlyLatent(nn.Module):
    """A network that reads one of several latents: p(x|z1, z2) = p(x|z1), say.

    Args:
        network: the network behind it; its input is as long as that latent.
        name: of the latent.

    >>> import torch, vaekit as vk
    >>> z = {"z2": torch.zeros(5, 3), "z1": torch.zeros(5, 4)}
    >>> OnlyLatent(vk.networks.MLP(4, hidden=(8,)), "z1")(z).shape
    torch.Size([5, 8])
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        self.name = name

    def forward(self, z: Mapping[str, Tensor], condition: Tensor | None = None) -> Tensor:
        return self.network(by_name(z)[self.name], condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)


@part("network/only-condition")
class OnlyCondition(nn.Module):
    """A network that reads the condition and not x: q(z2|x, z1) = q(z2|z1) as a level of a chain.

    Args:
        network: the network behind it; its input is as long as the condition (the latents before the level, and the
            model's own condition).

    >>> import torch, vaekit as vk
    >>> OnlyCondition(vk.networks.MLP(4, hidden=(8,)))(torch.zeros(5, 784), torch.zeros(3, 5, 4)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is None:
            raise UserError("a network that reads only its condition was given none.")
        return self.network(condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)


@part("network/log-input")
class LogInput(nn.Module):
    """A network that reads log(1 + x): counts span decades, and the encoder should not.

    Args:
        network: the network behind it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = as_network(network, self)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Tensor:
        return self.network(torch.log1p(x), condition, **observed)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)
