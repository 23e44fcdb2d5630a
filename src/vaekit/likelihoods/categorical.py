"""Categorical likelihood."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Independent, OneHotCategorical

from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/categorical")
class Categorical(nn.Module):
    """p(x|z) = Π_d Categorical(x_d; softmax(logits_d(z))), for one-hot x, categories on the last axis.

    Args:
        network: from latents to features.
        shape: shape of one example, the number of categories last.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Categorical(vk.networks.MLP(20), (7, 4))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = as_network(network, self, latents=True)
        # Categories first, as a head makes its maps; they move to the last axis below.
        self.head = self.network.head((*shape[-1:], *shape[:-1]))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Independent:
        logits = self.head(self.network(z, condition)).movedim(-self.event_dims, -1)
        return Independent(
            OneHotCategorical(logits=logits, validate_args=False), self.event_dims - 1, validate_args=False
        )
