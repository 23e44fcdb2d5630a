"""Flow posteriors: inverse autoregressive and coupling steps, conditioned on the network."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from vaekit.distributions.flow import Flow
from vaekit.networks.flow_steps import AutoregressiveStep, CouplingStep, back, through
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/inverse-autoregressive", paper="Kingma et al. 2016, section 3")
class InverseAutoregressive(nn.Module):
    """z_0 = μ(x) + σ(x) ε, then ``length`` gated autoregressive steps that see h(x).

    log q(z|x) of a z just drawn is known from the way it was made; that of any other z takes latent_dim passes a step.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z.
        length: number of steps.
        hidden: units in the hidden layer of a step, for each dimension of z.
        context_dim: length of h.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.InverseAutoregressive(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784))
    >>> z = q.rsample((3,))
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([3, 5, 20]), torch.Size([3, 5]))
    """

    has_density = True

    def __init__(
        self,
        network: nn.Module,
        latent_dim: int,
        length: int = 2,
        hidden: int = 8,
        context_dim: int = 32,
        minimum_scale: float = 1e-4,
    ) -> None:
        super().__init__()
        at_least_one(length=length, hidden=hidden, context_dim=context_dim)
        self.start = ContextualNormal(network, latent_dim, context_dim, minimum_scale)
        self.steps = nn.ModuleList(AutoregressiveStep(latent_dim, context_dim, hidden) for _ in range(length))

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Flow:
        return bent(self.steps, *self.start(x, condition, **observed))


@part("posterior/coupling", paper="Dinh et al. 2017, section 3.2; Rezende & Mohamed 2015")
class Coupling(nn.Module):
    """z_0 = μ(x) + σ(x) ε, then ``length`` affine coupling layers that see h(x): the density of every z is cheap.

    Args:
        network: from ``x`` to features.
        latent_dim: length of z, at least 2: one half is moved by what the other one says.
        length: number of steps; each moves another half.
        hidden: units in the hidden layer of a step, for each dimension of z.
        context_dim: length of h.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> q = vk.posteriors.Coupling(vk.networks.MLP(784), latent_dim=20)(torch.zeros(5, 784))
    >>> z = q.rsample((3,))
    >>> z.shape, q.log_prob(z).shape
    (torch.Size([3, 5, 20]), torch.Size([3, 5]))
    """

    has_density = True

    def __init__(
        self,
        network: nn.Module,
        latent_dim: int,
        length: int = 4,
        hidden: int = 8,
        context_dim: int = 32,
        minimum_scale: float = 1e-4,
    ) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"latent_dim must be at least 2, got {latent_dim}: one half is moved given the other")
        at_least_one(length=length, hidden=hidden, context_dim=context_dim)
        self.start = ContextualNormal(network, latent_dim, context_dim, minimum_scale)
        self.steps = nn.ModuleList(CouplingStep(latent_dim, context_dim, hidden) for _ in range(length))

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Flow:
        return bent(self.steps, *self.start(x, condition, **observed))


class ContextualNormal(nn.Module):
    """From x to μ, σ and the context h of the steps."""

    def __init__(self, network: nn.Module, latent_dim: int, context_dim: int, minimum_scale: float) -> None:
        super().__init__()
        self.network = as_network(network, self)
        self.head = self.network.head((2, latent_dim))
        self.context_head = self.network.head((context_dim,))
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.network(x, condition, **observed)
        loc, raw = self.head(features).unbind(-2)
        return loc, positive(raw, self.minimum_scale), self.context_head(features)


def bent(steps: nn.ModuleList, loc: Tensor, scale: Tensor, context: Tensor) -> Flow:
    """The law of μ + σ ε sent through the steps."""
    return Flow(loc, partial(_forward, steps, loc, scale, context), partial(_inverse, steps, loc, scale, context))


def _forward(steps: nn.ModuleList, loc: Tensor, scale: Tensor, context: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    z, log_det = through(steps, loc + scale * noise, context)
    return z, log_det + scale.log().sum(-1)


def _inverse(steps: nn.ModuleList, loc: Tensor, scale: Tensor, context: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    start, log_det = back(steps, z, context)
    return (start - loc) / scale, log_det + scale.log().sum(-1)


def at_least_one(**sizes: int) -> None:
    """Range check of sizes.

    Raises:
        ValueError: naming the size that is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
