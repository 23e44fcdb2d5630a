"""q(z₁, …, z_L|x): a chain of posteriors, each given those before it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from vaekit.distributions import chain
from vaekit.networks.network import observed, side_by_side
from vaekit.parts.record import part


@part("posterior/chain")
class Chain(nn.Module):
    """Every level sees x, and the latents drawn before it as its condition.

    The order of the levels is the order of drawing. Top-down inference lists them as the prior
    does; bottom-up inference lists them the other way round.

    Args:
        levels: posterior of each latent, by name; a level's network takes a condition as long as the
            latents before it (and the model's own condition) together.

    >>> import torch, vaekit as vk
    >>> top = vk.posteriors.Diagonal(vk.networks.MLP(784), 4)
    >>> low = vk.posteriors.Diagonal(vk.networks.MLP(784, condition_dim=4), 8)
    >>> z = vk.posteriors.Chain({"z2": top, "z1": low})(torch.zeros(5, 784)).rsample((3,))
    >>> z["z2"].shape, z["z1"].shape
    (torch.Size([3, 5, 4]), torch.Size([3, 5, 8]))
    """

    def __init__(self, levels: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.levels = nn.ModuleDict(levels)

    @property
    def has_density(self) -> bool:
        return all(getattr(level, "has_density", True) for level in self.levels.values())

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed_of_x: Tensor) -> chain.Chain:
        given = [] if condition is None else [condition]

        def conditional(level: nn.Module):
            asked = observed(level, observed_of_x.get("mask"), observed_of_x.get("length"))

            def distribution(before: dict[str, Tensor]):
                conditions = [*before.values(), *given]
                return level(x, side_by_side(conditions) if conditions else None, **asked)

            return distribution

        return chain.Chain({name: conditional(level) for name, level in self.levels.items()})
