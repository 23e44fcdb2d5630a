"""Hamiltonian VAE: a posterior moved towards log p(x, z) by Hamiltonian dynamics."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.data.batch import Batch
from vaekit.distributions.chain import Chain
from vaekit.distributions.comparison import log_prob
from vaekit.distributions.flow import Evolved, Leapfrog
from vaekit.errors import UserError
from vaekit.models.draw import Draw, Latent, check_one_space
from vaekit.models.dry_run import try_dry_run
from vaekit.models.vae import VAE
from vaekit.networks.network import observed
from vaekit.parts.record import part


@part("model/hamiltonian", paper="Caterini et al. 2018")
class Hamiltonian(nn.Module):
    """A VAE whose posterior is over z and an auxiliary momentum ρ, moved by K leapfrog steps of learned size.

    It starts at z_0 ~ q(z|x), with any posterior over real vectors, and ρ_0 ~ N(0, I / β_0), and ends at z_K and ρ_K.
    The bound is that of the pair, E [log p(x, z_K) + log N(ρ_K; 0, I) − log q(z_K, ρ_K | x)] (equation 9), so that the
    importance weight of a draw is an unbiased estimate of p(x). The momentum is a variable of posterior and prior
    alike, and no latent: ``log_pz`` and ``log_qz`` of z include it.

    With tempering the momentum starts wide and is cooled: √β_k goes from √β_0 to 1 as
    1 / √β_k = 1 / √β_0 + (1 − 1 / √β_0) k² / K², with β_0 learned (section 3.2). Without it the moves keep the energy
    but for the error of their steps, and dynamics that keep the energy exactly would leave the bound where it was.

    Args:
        prior: ``prior(condition) -> p(z)`` over real vectors.
        posterior: ``posterior(x, condition) -> q(z|x)``, where it starts.
        likelihood: ``likelihood(z, condition) -> p(x|z)``, twice differentiable.
        latent_dim: length of z.
        steps: K.
        step_size: ε at the start; that of each step and dimension is learned.
        largest_step_size: what no ε exceeds, because the dynamics are unstable above the scale of p(z|x).
        tempering: whether the momentum starts wide.

    >>> import torch, vaekit as vk
    >>> model = vk.models.Hamiltonian(
    ...     prior=vk.priors.StandardNormal(2),
    ...     posterior=vk.posteriors.Diagonal(vk.networks.MLP(9), 2),
    ...     likelihood=vk.likelihoods.Bernoulli(vk.networks.MLP(2, activation="softplus"), (9,)),
    ...     latent_dim=2,
    ... )
    >>> model.draw(vk.Batch(torch.ones(5, 9)), samples=3).log_w.shape
    torch.Size([3, 5])
    """

    num_branches = 1

    def __init__(
        self,
        prior: nn.Module,
        posterior: nn.Module,
        likelihood: nn.Module,
        latent_dim: int,
        steps: int = 3,
        step_size: float = 0.1,
        largest_step_size: float = 0.5,
        tempering: bool = True,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}; model/vae has none")
        if not 0 < step_size < largest_step_size:
            raise ValueError(f"step_size must be between 0 and largest_step_size {largest_step_size}, got {step_size}")
        if not getattr(posterior, "has_density", True):
            raise ValueError("the posterior where the dynamics start must have a density")
        self.prior, self.posterior, self.likelihood = prior, posterior, likelihood
        self.steps, self.largest_step_size = steps, largest_step_size
        share = step_size / largest_step_size
        self.raw_step_size = nn.Parameter(torch.full((steps, latent_dim), math.log(share / (1 - share))))
        # β_0 = 0.9 at the start; without tempering it is 1 for good.
        self.raw_beta = nn.Parameter(torch.tensor(math.log(9.0))) if tempering else None
        try_dry_run(self._plain)

    @property
    def abilities(self) -> frozenset[str]:
        """What evaluators may ask for."""
        return frozenset({"density", "encode", "decode", "sample"})

    @property
    def step_sizes(self) -> Tensor:
        """ε of each step and dimension, ``(steps, latent)``."""
        return self.largest_step_size * self.raw_step_size.sigmoid()

    @property
    def cooling(self) -> Tensor:
        """α_k = √(β_(k−1) / β_k) for k = 1 … K; their product is √β_0."""
        beta = torch.ones_like(self.raw_step_size[0, 0]) if self.raw_beta is None else self.raw_beta.sigmoid()
        at_start = beta.rsqrt()
        progress = torch.arange(self.steps + 1, dtype=beta.dtype, device=beta.device) / self.steps
        width = at_start + (1 - at_start) * progress.square()  # 1 / √β_k
        return width[1:] / width[:-1]

    def draw(self, batch: Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        """Draw K pairs of latent and momentum for each row and evaluate all densities.

        Raises:
            UserError: with ``frozen_q``: the density of q is made of the model's own gradients, which cannot be still.
        """
        if frozen_q:
            raise UserError(
                "the density after Hamiltonian moves cannot be held still: it depends on prior and likelihood.",
                hint="use elbo or iwae in place of an objective that sticks to the landing (elbo-stl, iwae-dreg).",
            )
        prior = self._prior(batch.condition)
        z, momentum, log_q = self._evolved(prior, batch).move(torch.Size([samples]))
        log_momentum = -0.5 * (momentum.square().sum(-1) + momentum.shape[-1] * math.log(2 * math.pi))
        latent = Latent(z, lambda: prior.log_prob(z) + log_momentum, log_q)
        return Draw(
            {"z": latent},
            lambda p: log_prob(p, batch.x, batch.mask),
            px=lambda: self.likelihood(z, batch.condition),
        )

    def encode(
        self, x: Tensor, condition: Tensor | None = None, mask: Tensor | None = None, length: Tensor | None = None
    ) -> Distribution:
        """The law of z after the dynamics, batch shape ``(batch,)``; its density without the momentum is not known."""
        return self._evolved(self._prior(condition), Batch(x, None, condition, mask, length))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Distribution:
        """p(x|z), batch shape that of z."""
        return self._plain.decode(z, condition)

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        """``count`` draws from the prior."""
        return self._plain.sample_latents(count, condition)

    def generate(self, count: int, condition: Tensor | None = None) -> Distribution:
        """p(x|z) for ``count`` latents from the prior, batch shape ``(count,)``."""
        return self._plain.generate(count, condition)

    @property
    def _plain(self) -> VAE:
        return VAE(self.prior, self.posterior, self.likelihood)

    def _prior(self, condition: Tensor | None) -> Distribution:
        prior = self.prior(condition)
        if isinstance(prior, Chain):
            raise UserError("Hamiltonian dynamics move one latent; the prior is a chain of several.")
        return prior

    def _evolved(self, prior: Distribution, batch: Batch) -> Evolved:
        def log_joint(z: Tensor) -> Tensor:
            p = self.likelihood(z, batch.condition)
            return prior.log_prob(z) + log_prob(p, batch.x, batch.mask)

        start = self.posterior(batch.x, batch.condition, **observed(self.posterior, batch.mask, batch.length))
        check_one_space(prior, start)
        return Evolved(start, Leapfrog(log_joint, self.step_sizes, self.cooling))
