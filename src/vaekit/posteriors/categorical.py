"""Categorical posterior, relaxed in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions.categorical import OneHots, variables_of
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/categorical", paper="Jang et al. 2017; Maddison et al. 2017")
class Categorical(nn.Module):
    """q(z|x): N = latent_dim / K variables of K categories each, one-hot and side by side.

    In training z is the Gumbel-softmax with temperature τ, or with ``straight_through`` a one-hot vector that has its
    gradient; the divergence is that of the discrete variables. The value in training is then that of a relaxed model.
    In evaluation every z is one-hot, so that bounds and estimates are those of the discrete model.

    The temperature falls as τ_t = max(minimum, τ exp(−rate t)), with t the number of forward passes in training (a
    buffer, so that a resumed run goes on with it): Jang and colleagues take τ = 1, a minimum of 0.5 and a rate from
    1e-5 to 1e-4. With a rate of 0 it stays.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z, N K.
        categories: K.
        temperature: τ at the start.
        rate: by which log τ falls with a step.
        minimum_temperature: where it stops falling.
        straight_through: whether z is one-hot in training too.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.Categorical(vk.networks.MLP(784), latent_dim=20, categories=10).eval()(torch.zeros(5, 784))
    >>> q.rsample((3,)).sum(-1).unique()
    tensor([2.], grad_fn=<Unique2Backward0>)
    """

    has_density = True
    steps: Tensor

    def __init__(
        self,
        network: nn.Module,
        latent_dim: int,
        categories: int = 2,
        temperature: float = 1.0,
        rate: float = 0.0,
        minimum_temperature: float = 0.5,
        straight_through: bool = False,
    ) -> None:
        super().__init__()
        if temperature <= 0 or minimum_temperature <= 0 or rate < 0:
            raise ValueError(
                f"temperatures must be positive and the rate at least 0, got {temperature}, {minimum_temperature} "
                f"and {rate}"
            )
        self.network = as_network(network, self)
        self.head = self.network.head((variables_of(latent_dim, categories), categories))
        self.start, self.rate, self.minimum = temperature, rate, min(temperature, minimum_temperature)
        self.straight_through = straight_through
        self.register_buffer("steps", torch.zeros(()))

    @property
    def temperature(self) -> Tensor:
        """τ after the steps taken so far."""
        return (self.start * (-self.rate * self.steps).exp()).clamp_min(self.minimum)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> OneHots:
        logits = self.head(self.network(x, condition, **observed))
        q = OneHots(logits, self.temperature, hard=self.straight_through or not self.training)
        self.steps = self.steps + float(self.training)
        return q
