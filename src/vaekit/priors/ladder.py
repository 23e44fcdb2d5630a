"""Prior of a ladder."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.distributions.chain import Chain, LatentCache
from vaekit.parts.record import part


@part("prior/ladder", paper="Sønderby et al. 2016; Child 2021")
class Ladder(nn.Module):
    """p(z_L) Π_l p(z_l|z_>l), Gaussians that the deterministic path gives.

    Args:
        ladder: the path; share it with posterior and likelihood.

    >>> import vaekit as vk
    >>> ladder = vk.networks.Ladder([vk.networks.DenseRung(2, width=8), vk.networks.DenseRung(3, width=8)])
    >>> z = vk.priors.Ladder(ladder)().sample((5,))
    >>> z["z2"].shape, z["z1"].shape
    (torch.Size([5, 2]), torch.Size([5, 3]))
    """

    def __init__(self, ladder: nn.Module) -> None:
        super().__init__()
        self.ladder = ladder

    def forward(self, condition: Tensor | None = None) -> Chain:
        def level(before: LatentCache) -> Independent:
            loc, scale = self.ladder.place(before, condition).prior  # type: ignore[operator]
            return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)

        return Chain(dict.fromkeys(self.ladder.names, level))  # type: ignore[arg-type]
