"""GMVAE: a mixture whose components are drawn from a latent of their own; the component is summed out."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import vaekit as vk
from vaekit.data.batch import Batch
from vaekit.distributions import Chain, log_prob
from vaekit.errors import UserError
from vaekit.models import Draw, Latent
from vaekit.networks.network import positive
from vaekit.objectives import ELBO, Objective


@vk.part("model/gmvae", paper="Dilokthanakul et al. 2016, equations 1 to 3")
class GMVAE(nn.Module):
    """p(w) p(c) p(z|w, c) p(x|z) with q(w|x) q(z|x) p(c|z, w): every component c is a branch of the draw.

    Args:
        posterior_w: q(w|x).
        posterior_z: q(z|x).
        components: network from w to the features of all p(z|w, c).
        likelihood: p(x|z).
        w_dim: length of w.
        latent_dim: length of z.
        num_components: values of c, equally likely.
    """

    def __init__(
        self,
        posterior_w: nn.Module,
        posterior_z: nn.Module,
        components: Any,
        likelihood: nn.Module,
        w_dim: int,
        latent_dim: int,
        num_components: int = 4,
    ) -> None:
        super().__init__()
        self.posterior_w, self.posterior_z, self.likelihood = posterior_w, posterior_z, likelihood
        self.components, self.head = components, components.head((2, num_components, latent_dim))
        self.prior_w = vk.priors.StandardNormal(w_dim)
        self.num_components = self.num_branches = num_components

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"density", "encode", "decode", "sample"})

    @property
    def recognition(self) -> tuple[nn.Module, ...]:
        return (self.posterior_w, self.posterior_z)

    def given_w(self, w: Tensor) -> Independent:
        """p(z|w, c) for every c, batch shape ``(*leading, components)``."""
        loc, raw = self.head(self.components(w)).unbind(-3)
        return Independent(Normal(loc, positive(raw, 1e-2), validate_args=False), 1, validate_args=False)

    def draw(self, batch: Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        if frozen_q:
            raise UserError("the components are told by p(c|z, w), which cannot be held still.")
        q_w, q_z = self.posterior_w(batch.x), self.posterior_z(batch.x)
        w, z = q_w.rsample((samples,)), q_z.rsample((samples,))
        log_pz = self.given_w(w).log_prob(z.unsqueeze(-2)).movedim(-1, 1)  # (samples, components, batch)
        log_qc = log_pz.log_softmax(1)  # the components are equally likely
        c = torch.eye(self.num_components, dtype=z.dtype, device=z.device)[:, None]

        def branches(value: Tensor) -> Tensor:
            return value.unsqueeze(1).expand_as(log_pz)

        latents = {
            "w": Latent(w.unsqueeze(1), branches(self.prior_w().log_prob(w)), branches(q_w.log_prob(w))),
            "c": Latent(c.expand(*log_pz.shape, -1), torch.full_like(log_pz, -math.log(self.num_components)), log_qc),
            "z": Latent(z.unsqueeze(1), log_pz, branches(q_z.log_prob(z))),
        }
        return Draw(
            latents,
            lambda p: log_prob(p, batch.x, batch.mask),
            log_branch=log_qc,
            px=lambda: self.likelihood(z.unsqueeze(1)).expand(log_pz.shape),  # c does not reach x: decoded once
        )

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Distribution:
        q_w, q_z = self.posterior_w(x), self.posterior_z(x)
        return Chain({"w": lambda before: q_w, "z": lambda before: q_z})

    def decode(self, z: Any, condition: Tensor | None = None) -> Distribution:
        return self.likelihood(z["z"] if isinstance(z, dict) else z)

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        with torch.no_grad():
            w = self.prior_w().sample(torch.Size([count]))
            c = torch.randint(self.num_components, (count,), device=w.device)
            z = self.given_w(w).sample()[torch.arange(count, device=w.device), c]
        return {"w": w, "z": z}

    def generate(self, count: int, condition: Tensor | None = None) -> Distribution:
        with torch.no_grad():
            return self.decode(self.sample_latents(count))


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of the data, and what it climbs."""
    model = GMVAE(
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(16,)), 2),
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(16,)), 3),
        vk.networks.MLP(2, hidden=(16,)),
        vk.likelihoods.Bernoulli(vk.networks.MLP(3, hidden=(16,)), data.shape),
        w_dim=2,
        latent_dim=3,
    )
    return model, ELBO()
