"""The committed rate: a floor that is reached and never gone below, whatever the network says."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

import vaekit as vk
from vaekit.posteriors.committed import scales_of

RATES = [1e-4, 0.1, 1.0, 8.0]


@pytest.mark.parametrize("rate", RATES)
def test_the_ends_of_the_scale_have_the_rate(rate: float) -> None:
    low, high = scales_of(rate)
    assert low < 1 < high
    for scale in (low, high):
        assert 0.5 * (scale**2 - 1) - math.log(scale) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rate", RATES)
def test_the_divergence_is_the_rate_and_what_the_network_adds(rate: float, dtype: torch.dtype) -> None:
    """Over all that a network may say, to infinity and back."""
    posterior = vk.posteriors.Committed(vk.networks.Affine(2), 1, rate).to(dtype)
    with torch.no_grad():
        posterior.head.linear.weight.copy_(torch.eye(2))
        posterior.head.linear.bias.zero_()
    said = torch.tensor([-1e4, -30.0, -3.0, 0.0, 0.5, 4.0, 1e3], dtype=dtype)
    q = posterior(torch.cartesian_prod(said, said))
    kl = kl_divergence(q, Independent(Normal(torch.zeros(1, dtype=dtype), torch.ones(1, dtype=dtype)), 1))
    exact = rate + 0.5 * torch.nn.functional.softplus(torch.cartesian_prod(said, said)[:, 0])
    # In single precision 1 + ln σ² − σ² is known to some units of its last place.
    torch.testing.assert_close(kl, exact, rtol=1e-5, atol=1e-6 if dtype == torch.float32 else 1e-9)
    assert (kl > rate - 1e-6).all()
    assert q.mean.isfinite().all()


def test_a_model_that_would_collapse_keeps_its_rate() -> None:
    """Nothing but noise to explain: trained on it, a diagonal posterior forgets, this one cannot."""
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    model = vk.VAE(
        vk.priors.StandardNormal(2),
        vk.posteriors.Committed(vk.networks.MLP(4, hidden=(8,)), 2, rate=0.3),
        vk.likelihoods.Gaussian(vk.networks.MLP(2, hidden=(8,)), (4,)),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        loss = -model.draw(vk.Batch(x)).elbo.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    kl = model.draw(vk.Batch(x)).latents["z"].kl_dims
    assert kl is not None
    assert kl.min().item() >= 0.3 - 1e-6


@pytest.mark.parametrize("rate", [0.0, -1.0, 11.0, math.nan])
def test_rates_that_cannot_be(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be above 0"):
        vk.posteriors.Committed(vk.networks.MLP(4), 2, rate)
