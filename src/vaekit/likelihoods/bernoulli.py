"""Bernoulli likelihood of binary data."""

from __future__ import annotations

import math

from torch import Tensor, distributions, nn

from vaekit.distributions.bernoulli import IndependentBernoulli
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("likelihood/bernoulli", paper="Kingma & Welling 2013, appendix C.1")
class Bernoulli(nn.Module):
    """p(x|z) = Π_d Bernoulli(x_d; σ(logit_d(z))), for x in {0, 1}.

    Args:
        network: from latents to features.
        shape: shape of one example.
        minimum: least probability of either value, less than ½: a decoder that was too sure of a pixel loses no more
            than its logarithm. 0 for no limit; 1e-5 in the code of many papers (Tomczak & Welling 2018).

    Raises:
        ValueError: if the minimum is no probability below ½.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Bernoulli(vk.networks.MLP(20), (1, 28, 28))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...], minimum: float = 0.0) -> None:
        super().__init__()
        if not 0 <= minimum < 0.5:
            raise ValueError(f"minimum must be a probability from 0 to below 0.5, got {minimum}")
        self.largest_logit = math.log1p(-minimum) - math.log(minimum) if minimum else math.inf
        self.network = as_network(network, self, latents=True)
        self.head = self.network.head((1, *shape))
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> IndependentBernoulli:
        logits = self.head(self.network(z, condition)).squeeze(-self.event_dims - 1)
        if self.largest_logit < math.inf:
            logits = logits.clamp(-self.largest_logit, self.largest_logit)
        base = distributions.Bernoulli(logits=logits, validate_args=False)
        return IndependentBernoulli(base, self.event_dims, validate_args=False)
