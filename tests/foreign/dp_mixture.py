"""A mixture of VAEs under a Dirichlet process, which opens experts while it trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent

import vaekit as vk
from vaekit.data.batch import Batch
from vaekit.distributions import log_prob
from vaekit.errors import UserError
from vaekit.models import Draw, Latent
from vaekit.objectives import ELBO, Objective
from vaekit.parts.record import update_arguments
from vaekit.schedules import Step


@vk.part("model/dp-mixture", paper="Nalisnick et al. 2016; Rasmussen 2000 (the infinite mixture)")
class DPMixture(nn.Module):
    """Σ_c π_c ∫ p(z) p_c(x|z) dz for binary rows: every expert c is a VAE, and a branch of the draw.

    π_c is the mean of a stick-breaking process, the last expert holding what is left of the stick. q(c|x) is
    proportional to π_c exp(bound of expert c). At the end of each epoch one more expert is opened, up to a limit.

    Args:
        shape: shape of one example.
        latent_dim: length of z.
        num_experts: experts that are open.
        most_experts: limit.
        concentration: α of the process.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: int = 2,
        num_experts: int = 1,
        most_experts: int = 3,
        concentration: float = 1.0,
    ) -> None:
        super().__init__()
        self.shape, self.latent_dim = tuple(shape), latent_dim
        self.most_experts, self.concentration = most_experts, concentration
        self.experts: Any = nn.ModuleList(self._expert() for _ in range(num_experts))

    def _expert(self) -> vk.VAE:
        return vk.VAE(
            vk.priors.StandardNormal(self.latent_dim),
            vk.posteriors.Diagonal(vk.networks.MLP(self.shape, hidden=(16,)), self.latent_dim),
            vk.likelihoods.Bernoulli(vk.networks.MLP(self.latent_dim, hidden=(16,)), self.shape),
        )

    def after_epoch(self, model: nn.Module, step: Step) -> bool:
        """Open an expert, unless all are open."""
        if len(self.experts) == self.most_experts:
            return False
        self.experts.append(self._expert())
        update_arguments(self, num_experts=len(self.experts))
        return True

    @property
    def num_branches(self) -> int:
        return len(self.experts)

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"density", "decode", "sample"})

    @property
    def shares(self) -> Tensor:
        """π, ``(experts,)``."""
        piece = 1 / (1 + self.concentration)
        pieces = [piece * (1 - piece) ** index for index in range(len(self.experts) - 1)]
        return next(self.parameters()).new_tensor([*pieces, 1 - sum(pieces)])

    def draw(self, batch: Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        if frozen_q:
            raise UserError("the experts' shares q(c|x) are made of their bounds and cannot be held still.")
        draws = [expert.draw(batch, samples) for expert in self.experts]
        z, log_pz, log_qz = (
            torch.stack([getattr(each.latents["z"], name) for each in draws], 1)
            for name in ("value", "log_pz", "log_qz")
        )  # (samples, experts, batch, …)
        logits = torch.stack([each.px.base_dist.logits for each in draws], 1)
        p = Independent(Bernoulli(logits=logits, validate_args=False), len(self.shape), validate_args=False)
        log_px = log_prob(p, batch.x, batch.mask)
        log_pc = self.shares.log()[:, None].expand_as(log_px)
        log_qc = (log_pc + log_px + log_pz - log_qz).detach().log_softmax(1)
        c = torch.eye(len(draws), dtype=z.dtype, device=z.device)[:, None].expand(*log_px.shape, -1)
        latents = {"c": Latent(c, log_pc, log_qc), "z": Latent(z, log_pz, log_qz)}
        return Draw(latents, log_px, log_branch=log_qc, px=p)

    def decode(self, z: Any, condition: Tensor | None = None) -> Distribution:
        """p_c(x|z) for {"c": one-hot, "z": …}."""
        every = torch.stack([expert.decode(z["z"]).base_dist.logits for expert in self.experts], -1)
        logits = (every * z["c"].reshape(*z["c"].shape[:-1], *[1] * len(self.shape), -1)).sum(-1)
        return Independent(Bernoulli(logits=logits, validate_args=False), len(self.shape), validate_args=False)

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        with torch.no_grad():
            c = torch.multinomial(self.shares, count, replacement=True)
            one_hot = torch.eye(len(self.experts), dtype=self.shares.dtype, device=c.device)[c]
            return {"c": one_hot, "z": self.experts[0].sample_latents(count)["z"]}

    def generate(self, count: int, condition: Tensor | None = None) -> Distribution:
        with torch.no_grad():
            return self.decode(self.sample_latents(count))


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of the data, and what it climbs."""
    return DPMixture(data.shape), ELBO()
