"""Standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent

from vaekit.distributions.normal import UnitNormal
from vaekit.parts.record import part


@part("prior/standard-normal", paper="Kingma & Welling 2013")
class StandardNormal(nn.Module):
    """p(z) = N(0, I).

    Args:
        latent_dim: length of z.

    >>> import vaekit as vk
    >>> vk.priors.StandardNormal(20)().sample((5,)).shape
    torch.Size([5, 20])
    """

    zero: Tensor
    one: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("one", torch.ones(latent_dim), persistent=False)

    def forward(self, condition: Tensor | None = None) -> Independent:
        return Independent(UnitNormal(self.zero, self.one, validate_args=False), 1, validate_args=False)
