"""Binary data."""

from __future__ import annotations

from torch import Tensor, distributions, nn

from vaekit.config import part
from vaekit.distributions.independent_bernoulli import IndependentBernoulli


@part("likelihood/bernoulli", paper="Kingma & Welling 2013, appendix C.1")
class Bernoulli(nn.Module):
    """p(x|z) = Π_d Bernoulli(x_d; σ(logit_d(z))), for x in {0, 1}.

    Args:
        network: from latents to features.
        shape: shape of one example.

    >>> import torch, vaekit as vk
    >>> p = vk.likelihoods.Bernoulli(vk.networks.MLP(20), (1, 28, 28))(torch.zeros(5, 20))
    >>> p.log_prob(p.sample()).shape
    torch.Size([5])
    """

    discrete = True

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.head = network.head((1, *shape))  # type: ignore[operator]
        self.event_dims = len(shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> IndependentBernoulli:
        logits = self.head(self.network(z, condition)).squeeze(-self.event_dims - 1)
        base = distributions.Bernoulli(logits=logits, validate_args=False)
        return IndependentBernoulli(base, self.event_dims, validate_args=False)
