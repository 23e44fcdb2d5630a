"""VAE/GAN: rows are compared in the features of a critic, who tells them from reconstructions and from fantasies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import vaekit as vk
from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.draw import bare
from vaekit.objectives import Objective, Value
from vaekit.objectives.objective import Matching, Player, from_prior, sides
from vaekit.schedules import Step


@vk.part("objective/vae-gan", paper="Larsen et al. 2016, algorithm 1")
class VAEGAN(nn.Module, Matching):
    """E_q log N(D_l(x); D_l(x̂), I) − KL, x̂ the mean of p(x|z), beside a GAN on x, x̂ and x_p from the prior.

    Three players: ``encoder`` climbs the value, ``decoder`` its first term and the GAN's, ``critic`` the GAN's alone.
    The density p(x|z) is never evaluated.

    Args:
        shape: shape of one example.
        gamma: weight of the features beside the GAN for the decoder.
        hidden: widths of the critic; its last layer is D_l.
    """

    def __init__(self, shape: tuple[int, ...], gamma: float = 0.1, hidden: tuple[int, ...] = (32,)) -> None:
        super().__init__()
        self.gamma = gamma
        self.critic = vk.networks.MLP(shape, hidden, activation="leaky-relu")
        self.head = self.critic.head((1,))

    def players(self, model: nn.Module) -> dict[str, Player]:
        infers, makes = sides(model)
        return {
            "encoder": Player(infers, self),
            "decoder": Player(makes, self.fool),
            "critic": Player(list(self.parameters()), self.discriminate, options={"betas": (0.5, 0.999)}),
        }

    def log_real(self, x: Tensor) -> Tensor:
        """The critic's log-odds that x is data, ``(batch,)``."""
        return self.head(self.critic(x)).squeeze(-1)

    def log_features(self, x: Tensor, fake: Tensor) -> Tensor:
        """log N(D_l(x); D_l(x̂), I) up to a constant, ``(batch,)``."""
        return -0.5 * (self.critic(x) - self.critic(fake)).square().sum(-1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        if batch.mask is not None:
            raise UserError("a critic of whole rows cannot leave out what is missing in them.")
        draw = model.draw(batch)
        terms = {"kl": draw.kl.mean(0), "log_features": self.log_features(batch.x, draw.px.mean[0])}
        return Value(draw.penalized(terms["log_features"] - terms["kl"]), terms)

    def fool(self, model: Any, batch: Batch, step: Step) -> Value:
        """The decoder's value: γ log N(D_l(x); D_l(x̂), I) + log D(x̂) + log D(x_p)."""
        fake, fantasy = model.draw(batch).px.mean[0], self.fantasies(model, batch)
        fooled = logsigmoid(self.log_real(fake)) + logsigmoid(self.log_real(fantasy))
        return Value(self.gamma * self.log_features(batch.x, fake) + fooled, {"log_fooled": fooled})

    def discriminate(self, model: Any, batch: Batch, step: Step) -> Value:
        """The critic's value: log D(x) + log(1 − D(x̂)) + log(1 − D(x_p))."""
        with torch.no_grad():
            fake, fantasy = model.draw(batch).px.mean[0], self.fantasies(model, batch)
        told = logsigmoid(-self.log_real(fake)) + logsigmoid(-self.log_real(fantasy))
        return Value(logsigmoid(self.log_real(batch.x)) + told, {})

    def fantasies(self, model: Any, batch: Batch) -> Tensor:
        """Means of p(x|z), z from the prior, ``(batch, *shape)``."""
        return model.decode(bare(from_prior(model, batch)), batch.condition).mean


def make(data: vk.data.Dataset) -> tuple[nn.Module, Objective]:
    """A small model of the data, and what it climbs."""
    model = vk.VAE(
        vk.priors.StandardNormal(3),
        vk.posteriors.Diagonal(vk.networks.MLP(data.shape, hidden=(16,)), 3),
        vk.likelihoods.Bernoulli(vk.networks.MLP(3, hidden=(16,)), data.shape),
    )
    return model, VAEGAN(data.shape)
