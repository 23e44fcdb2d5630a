"""Mixture-of-Gaussians prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.checks import check_number
from vaekit.distributions.mixture import Mixture
from vaekit.errors import UserError
from vaekit.networks.network import positive, raw_of
from vaekit.parts.record import part


@part("prior/mixture", paper="Tomczak & Welling 2018, section 4 (baseline)")
class MixtureOfGaussians(nn.Module):
    """p(z) = Σ_k π_k N(z; μ_k, diag σ_k²) with trained π, μ and σ.

    Starts near the standard normal: equal weights, σ = 1, means drawn from N(0, spread²).

    Args:
        latent_dim: length of z.
        num_components: number of components.
        spread: standard deviation of the means at the start.

    Raises:
        ValueError: if an option is out of range.

    >>> import vaekit as vk
    >>> p = vk.priors.MixtureOfGaussians(20, num_components=10)()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    def __init__(self, latent_dim: int, num_components: int = 10, spread: float = 1.0) -> None:
        super().__init__()
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, got {num_components}")
        check_number("spread", spread, 0)
        self.elements_per_draw = num_components
        self.logits = nn.Parameter(torch.zeros(num_components))
        self.loc = nn.Parameter(spread * torch.randn(num_components, latent_dim))
        self.raw_scale = nn.Parameter(torch.zeros(num_components, latent_dim))

    @torch.no_grad()
    def fit(self, z: Tensor, held_out: Tensor) -> None:
        """Maximum likelihood on encodings ``(rows, latent_dim)`` by EM (scikit-learn), from the centres of k-means.

        Raises:
            UserError: if there are fewer encodings than components.
        """
        from sklearn.mixture import GaussianMixture

        if len(z) < len(self.logits):
            raise UserError(
                f"{len(self.logits)} components cannot be fitted to {len(z)} encodings.",
                hint=f"ask for fewer: mixture:num_components={max(1, len(z) // 10)}.",
            )
        em = GaussianMixture(len(self.logits), covariance_type="diag", max_iter=300, random_state=0)
        em.fit(z.double().cpu().numpy())
        weights, loc, variance = (torch.from_numpy(each) for each in (em.weights_, em.means_, em.covariances_))
        self.logits.copy_(weights.log())
        self.loc.copy_(loc)
        self.raw_scale.copy_(raw_of(variance.sqrt(), minimum=1e-4))

    def forward(self, condition: Tensor | None = None) -> Mixture:
        components = Normal(self.loc, positive(self.raw_scale, minimum=1e-4), validate_args=False)
        return Mixture(self.logits, Independent(components, 1, validate_args=False))
