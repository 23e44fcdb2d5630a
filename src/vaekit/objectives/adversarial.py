"""Adversarial objective: a critic in latent space instead of a KL."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from vaekit.data.batch import Batch
from vaekit.models.draw import beside, encoded
from vaekit.networks.mlp import MLP
from vaekit.objectives.objective import Matching, Player, Value, from_prior
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/adversarial", paper="Makhzani et al. 2015")
class Adversarial(nn.Module, Matching):
    """log p(x|z) + w log D(z): the encoder fools a critic D that tells its codes from draws of the prior.

    Two players. ``autoencoder`` (all of the model) reconstructs and fools the critic; ``critic``
    maximises log D(z′) + log(1 − D(z)) with z′ ~ p(z), z ~ q(z|x). It matches the aggregate of q to
    the prior and gives no bound on log p(x). Several latents are judged side by side.

    Args:
        latent_dim: length of all latents together.
        weight: w, in nats.
        hidden: widths of the critic.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(self, latent_dim: int, weight: float = 10.0, hidden: tuple[int, ...] = (128, 128)) -> None:
        super().__init__()
        at_least("weight", weight, 0)
        self.critic = MLP(latent_dim, hidden, activation="leaky-relu")
        self.head = self.critic.head((1,))
        self.weight = weight

    def players(self, model: nn.Module) -> dict[str, Player]:
        return {
            "autoencoder": Player(list(model.parameters()), self),
            "critic": Player(list(self.parameters()), self.discriminate),
        }

    def logit(self, z: Tensor) -> Tensor:
        """The critic's log-odds that z came from the prior, shape of z without its last axis."""
        return self.head(self.critic(z)).squeeze(-1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        log_px = draw.expect(draw.log_px).mean(0)
        fooled = draw.expect(logsigmoid(self.logit(draw.z))).mean(0)
        return Value(draw.penalized(log_px + self.weight * fooled), {"log_px": log_px, "log_fooled": fooled})

    def discriminate(self, model: Any, batch: Batch, step: Step) -> Value:
        """The critic's own value: log D(z′) + log(1 − D(z))."""
        with torch.no_grad():
            z = beside(encoded(model, batch).sample())
        real, fake = self.logit(beside(from_prior(model, batch))), self.logit(z)
        accuracy = 0.5 * ((real > 0).to(z.dtype) + (fake <= 0).to(z.dtype))
        return Value(logsigmoid(real) + logsigmoid(-fake), {"critic_accuracy": accuracy})
