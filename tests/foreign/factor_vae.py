"""FactorVAE: a critic tells codes from codes with shuffled dimensions, and so measures their total correlation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import vaekit as vk
from vaekit.data.batch import Batch
from vaekit.objectives import Objective, Value
from vaekit.objectives.objective import Player
from vaekit.schedules import Step


@vk.part("objective/factor", paper="Kim & Mnih 2018, equation 2 and algorithm 1")
class Factor(nn.Module, Objective):
    """ELBO − γ TC(z), with the total correlation TC(z) = E log D(z) / (1 − D(z)).

    Two players: ``model`` climbs the value, ``critic`` tells z ~ q(z) from z̄ ~ Π_d q(z_d).

    Args:
        latent_dim: length of z.
        gamma: γ.
        hidden: widths of the critic.
    """

    def __init__(self, latent_dim: int, gamma: float = 10.0, hidden: tuple[int, ...] = (32,)) -> None:
        super().__init__()
        self.gamma = gamma
        self.critic = vk.networks.MLP(latent_dim, hidden, activation="leaky-relu")
        self.head = self.critic.head((1,))

    def players(self, model: nn.Module) -> dict[str, Player]:
        return {
            "model": Player(list(model.parameters()), self),
            "critic": Player(list(self.parameters()), self.discriminate, options={"betas": (0.5, 0.9)}),
        }

    def logit(self, z: Tensor) -> Tensor:
        """log D(z) / (1 − D(z)), shape of z without its last axis."""
        return self.head(self.critic(z)).squeeze(-1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        terms = {**draw.terms, "total_correlation": self.logit(draw.z).mean(0)}
        bound = terms["log_px"] - terms["kl"]
        return Value(draw.penalized(bound - self.gamma * terms["total_correlation"]), terms)

    def discriminate(self, model: Any, batch: Batch, step: Step) -> Value:
        """The critic's value: log D(z) + log(1 − D(z̄))."""
        with torch.no_grad():
            z = model.draw(batch).z[0]  # decodes nothing: p(x|z) is not asked for
            shuffled = torch.stack([each[torch.randperm(len(z), device=z.device)] for each in z.unbind(-1)], -1)
        return Value(logsigmoid(self.logit(z)) + logsigmoid(-self.logit(shuffled)), {})


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of the data, and what it climbs."""
    model = vk.VAE(
        vk.priors.StandardNormal(3),
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(16,)), 3),
        vk.likelihoods.Bernoulli(vk.networks.MLP(3, hidden=(16,)), data.shape),
    )
    return model, Factor(3)
