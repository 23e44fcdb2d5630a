"""p(z_L) p(z_{L−1}|z_L) …: a prior in levels."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from vaekit.distributions import chain
from vaekit.networks.network import side_by_side
from vaekit.parts.record import part


@part("prior/chain", paper="Rezende et al. 2014; Tomczak & Welling 2018, section 4")
class Chain(nn.Module):
    """The first level is any prior; every other one is a conditional distribution of the latents before it.

    Args:
        levels: for each latent, by name and from the top: a prior for the first, and for the others a
            module of the form of a posterior, called with the latents before it side by side (and
            the model's condition as its condition).

    >>> import vaekit as vk
    >>> low = vk.posteriors.Diagonal(vk.networks.MLP(4), 8)
    >>> z = vk.priors.Chain({"z2": vk.priors.StandardNormal(4), "z1": low})().sample((5,))
    >>> z["z2"].shape, z["z1"].shape
    (torch.Size([5, 4]), torch.Size([5, 8]))
    """

    def __init__(self, levels: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleDict(levels)

    def with_top(self, prior: nn.Module) -> Chain:
        """The same levels, shared, below another first one."""
        top, *_ = self.levels
        return Chain({**self.levels, top: prior})

    def forward(self, condition: Tensor | None = None) -> chain.Chain:
        def conditional(level: nn.Module):
            return lambda before: level(side_by_side(list(before.values())), condition)

        name, *below = self.levels
        # Now, and not when it is first asked for: a code book moves on once the posterior has rounded to it.
        top = self.levels[name](condition)
        levels = {name: lambda before: top} | {name: conditional(self.levels[name]) for name in below}
        return chain.Chain(levels)
