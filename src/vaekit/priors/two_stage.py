"""Two-stage prior: a second VAE over the latents of the first."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.distributions.mixture import Marginal
from vaekit.networks.mlp import MLP
from vaekit.networks.network import checked_minimum, positive
from vaekit.parts.record import part


@part("prior/two-stage", paper="Dai & Wipf 2019")
class TwoStage(nn.Module):
    """p(z) = ∫ N(u; 0, I) N(z; μ(u), diag γ²) du, a VAE with q(u|z) of its own.

    p(z) is known by a bound only: ``log_prob`` is log (1/K) Σ_k p(u_k) p(z|u_k) / q(u_k|z) with fresh u_k, whose mean
    is at most log p(z). It is p(z) that is estimated without bias, and so an importance-weighted estimate of log p(x)
    stays what it is, a lower bound that grows tight; the bound of one draw and the KL are further off by the gap of the
    second VAE.

    Args:
        latent_dim: length of z.
        hidden: widths of the layers of both networks.
        inner_dim: length of u; ``latent_dim`` by default.
        samples: K.
        minimum_scale: smallest γ and smallest scale of q(u|z).

    Raises:
        ValueError: if an option is out of range.

    >>> import vaekit as vk
    >>> p = vk.priors.TwoStage(3, hidden=(16,))()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    is_bound = True
    zero: Tensor

    def __init__(
        self,
        latent_dim: int,
        hidden: tuple[int, ...] = (256, 256),
        inner_dim: int | None = None,
        samples: int = 1,
        minimum_scale: float = 1e-4,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        inner_dim = latent_dim if inner_dim is None else inner_dim
        if inner_dim < 1:
            raise ValueError(f"inner_dim must be at least 1, got {inner_dim}")
        self.encoder, self.decoder = MLP(latent_dim, hidden), MLP(inner_dim, hidden)
        self.encoder_head, self.decoder_head = self.encoder.head((2, inner_dim)), self.decoder.head((latent_dim,))
        self.raw_scale = nn.Parameter(torch.zeros(latent_dim))
        self.register_buffer("zero", torch.zeros(inner_dim), persistent=False)
        self.samples = samples
        self.minimum_scale = checked_minimum(minimum_scale)
        self.elements_per_draw = samples * max(*hidden, latent_dim)

    def _infer(self, z: Tensor) -> Independent:
        """q(u|z)."""
        loc, raw = self.encoder_head(self.encoder(z)).unbind(-2)
        return _diagonal(loc, positive(raw, self.minimum_scale))

    def _generate(self, u: Tensor) -> Independent:
        """p(z|u)."""
        loc = self.decoder_head(self.decoder(u))
        return _diagonal(loc, positive(self.raw_scale, self.minimum_scale).expand_as(loc))

    def forward(self, condition: Tensor | None = None) -> Marginal:
        inner = _diagonal(self.zero, torch.ones_like(self.zero))
        return Marginal(inner, self._generate, self._infer, self.raw_scale.shape, self.samples)


def _diagonal(loc: Tensor, scale: Tensor) -> Independent:
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)
