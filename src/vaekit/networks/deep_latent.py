"""Generator of a deep latent Gaussian model: noise enters at every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from vaekit.networks.network import Linear
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("network/deep-latent", paper="Rezende et al. 2014, section 2")
class DeepLatent(nn.Module):
    """h_L = G_L ξ_L, h_l = T_l(h_{l+1}) + G_l ξ_l; features are those of a network at h_1.

    h_l is as long as ξ_l, and G_l is any square matrix.

    Args:
        network: reads h_1; its features, heads and condition are this network's.
        transforms: T_{L−1}, …, T_1: networks of h_{l+1}, given a linear head as long as h_l.
        latent_dims: lengths of ξ_L, …, ξ_1.

    >>> import torch, vaekit as vk
    >>> network = DeepLatent(vk.networks.MLP(3), [vk.networks.MLP(2, hidden=(8,))], latent_dims=(2, 3))
    >>> network({"z2": torch.zeros(5, 2), "z1": torch.zeros(5, 3)}).shape
    torch.Size([5, 300])
    """

    def __init__(self, network: nn.Module, transforms: Sequence[nn.Module], latent_dims: Sequence[int]) -> None:
        super().__init__()
        if len(latent_dims) != len(transforms) + 1:
            raise ValueError(f"{len(latent_dims)} latents need one transform fewer, got {len(transforms)}")
        self.network = as_network(network, self, latents=True)
        networks = [as_network(each, self, latents=True) for each in transforms]
        self.transforms = nn.ModuleList(networks)
        self.heads = nn.ModuleList(each.head((dim,)) for each, dim in zip(networks, latent_dims[1:], strict=True))
        self.noise = nn.ModuleList(Linear(dim, dim, bias=False) for dim in latent_dims)

    def forward(self, z: Tensor | Mapping[str, Tensor], condition: Tensor | None = None) -> Tensor:
        """Of ξ by name, in the order of the prior; a single one may come without its name."""
        top, *below = z.values() if isinstance(z, Mapping) else (z,)
        h = self.noise[0](top)
        for xi, transform, head, noise in zip(below, self.transforms, self.heads, self.noise[1:], strict=True):
            h = head(transform(h)) + noise(xi)
        return self.network(h, condition)

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.network.head(out_shape)
