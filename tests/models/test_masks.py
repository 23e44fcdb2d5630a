"""Masks reach what asks for them, in every model: what was not observed changes neither q nor log p."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence

import vaekit as vk
from vaekit.distributions.chain import LatentCache, levels
from vaekit.models import M2, Hamiltonian
from vaekit.models.draw import classified, encoded

NUM = 6
MASK = torch.rand(5, NUM, generator=torch.Generator().manual_seed(0)) < 0.6
MASK[:, 0] = True


class Observed(nn.Module):
    """Features of what was observed, and of whether it was."""

    def __init__(self, condition_dim: int = 0) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * NUM, 8)
        self.given = nn.Linear(condition_dim, 8, bias=False) if condition_dim else None

    def forward(self, x: Tensor, condition: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        seen = torch.ones_like(x) if mask is None else mask.to(x.dtype)  # a mask lost on its way is noticed
        h = self.layer(torch.cat([x * seen, seen], -1))
        return torch.tanh(h if self.given is None else h + self.given(condition))


def likelihood(condition_dim: int = 0) -> nn.Module:
    return vk.likelihoods.Bernoulli(vk.networks.MLP(2, hidden=(8,), condition_dim=condition_dim), (NUM,))


def made(name: str) -> Any:
    torch.manual_seed(0)
    prior = vk.priors.StandardNormal(2)
    if name == "m2":
        return M2(Observed(), vk.posteriors.Diagonal(Observed(3), 2), likelihood(3), prior, 3)
    posterior = vk.posteriors.Diagonal(Observed(), 2)
    if name == "hamiltonian":
        return Hamiltonian(prior, posterior, likelihood(), latent_dim=2)
    return vk.VAE(prior, posterior, likelihood())


def means(q: Any) -> dict[str, Tensor]:
    before = LatentCache()
    for name, conditional in levels(q).items():
        before[name] = conditional(before).mean
    return dict(before)


@pytest.mark.parametrize("name", ["vae", "m2", "hamiltonian"])
def test_what_was_not_observed_changes_nothing(name: str) -> None:
    model = made(name)
    x = (torch.rand(5, NUM) < 0.5).float()
    one, other = (vk.Batch(x.where(MASK, torch.tensor(fill)), mask=MASK) for fill in (0.0, 1.0))
    with torch.no_grad():
        for key, value in means(encoded(model, one)).items():
            torch.testing.assert_close(value, means(encoded(model, other))[key])
        if name == "m2":
            assert kl_divergence(classified(model, one), classified(model, other)).abs().max() < 1e-6
        drawn = []
        for batch in (one, other):
            torch.manual_seed(1)
            drawn.append(model.draw(batch, 3).log_w)
        torch.testing.assert_close(*drawn)


def test_the_q_of_evaluation_is_that_of_training() -> None:
    """The dynamics of the Hamiltonian VAE climb log p(x, z) of the observed cells in both."""
    model, x = made("hamiltonian"), (torch.rand(5, NUM) < 0.5).float()
    with torch.no_grad():
        torch.manual_seed(1)
        drawn = model.draw(vk.Batch(x, mask=MASK)).latents["z"].value
        torch.manual_seed(1)
        torch.testing.assert_close(encoded(model, vk.Batch(x, mask=MASK)).rsample((1,)), drawn)
