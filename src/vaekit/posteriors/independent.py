"""q(z_1|x) … q(z_L|x): levels that see x and not each other."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from vaekit.distributions.chain import Chain
from vaekit.networks.network import observed
from vaekit.parts.record import part


@part("posterior/independent", paper="Rezende et al. 2014, section 4")
class Independent(nn.Module):
    """Π_l q(z_l|x).

    Args:
        levels: a posterior for each latent, by name.

    >>> import torch, vaekit as vk
    >>> levels = {name: vk.posteriors.Diagonal(vk.networks.MLP(784), 4) for name in ("z2", "z1")}
    >>> vk.posteriors.Independent(levels)(torch.zeros(5, 784)).rsample((3,))["z1"].shape
    torch.Size([3, 5, 4])
    """

    def __init__(self, levels: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleDict(levels)

    @property
    def has_density(self) -> bool:
        return all(getattr(level, "has_density", True) for level in self.levels.values())

    def forward(self, x: Tensor, condition: Tensor | None = None, **given: Tensor) -> Chain:
        made = {
            name: level(x, condition, **observed(level, given.get("mask"), given.get("length")))
            for name, level in self.levels.items()
        }
        return Chain({name: lambda before, q=q: q for name, q in made.items()})
