"""p(z_1) … p(z_L): levels that do not look at each other."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from vaekit.distributions.chain import Chain
from vaekit.parts.record import part


@part("prior/independent", paper="Rezende et al. 2014, section 2")
class Independent(nn.Module):
    """Π_l p(z_l): what makes the latents depend on each other is left to the likelihood's network.

    Args:
        levels: a prior for each latent, by name and from the top.

    >>> import vaekit as vk
    >>> z = vk.priors.Independent({"z2": vk.priors.StandardNormal(4), "z1": vk.priors.StandardNormal(8)})().sample((5,))
    >>> z["z2"].shape, z["z1"].shape
    (torch.Size([5, 4]), torch.Size([5, 8]))
    """

    def __init__(self, levels: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleDict(levels)

    def with_top(self, prior: nn.Module) -> Independent:
        """The same levels, shared, beside another first one."""
        top, *_ = self.levels
        return Independent({**self.levels, top: prior})

    def forward(self, condition: Tensor | None = None) -> Chain:
        made = {name: level(condition) for name, level in self.levels.items()}
        return Chain({name: lambda before, p=p: p for name, p in made.items()})
