"""log p(x) = log ∫ p(z) p(x|z) dz over a few latents by points spread evenly over the prior: no q(z|x) is needed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.quasirandom import SobolEngine

from vaekit.evaluation.likelihood import evaluating

AT_ONCE = 4096


def prior_integral(model: Any, x: Tensor, latent_dim: int, points: int, seed: int = 0) -> Tensor:
    """log (1/S) Σ_s p(x|z_s) with z_s a scrambled Sobol sequence through the quantiles of N(0, 1), ``(rows,)``.

    All rows share the points, so that each is decoded once, and log p(x|z) = x · l(z) − Σ softplus l(z) is one matrix
    product. Enough for 3 latents, of which the posterior is not much narrower than 1/S of the prior.

    Args:
        model: with a standard normal prior and a Bernoulli likelihood.
        x: ``(rows, *event)`` in {0, 1}.
        latent_dim: length of z.
        points: S.
        seed: of the scrambling.
    """
    device = next(model.parameters()).device
    flat = x.flatten(1).to(device)
    uniform = SobolEngine(latent_dim, scramble=True, seed=seed).draw(points, dtype=torch.float64)
    z = torch.distributions.Normal(0.0, 1.0).icdf(uniform.clamp(1e-12, 1 - 1e-12)).to(device, flat.dtype)
    total = torch.full((len(flat),), -math.inf, device=device)
    with evaluating(model, seed):
        for some in z.split(AT_ONCE):
            logits = model.decode(some).base_dist.logits.flatten(1)
            log_px = flat @ logits.T - softplus(logits).sum(1)
            total = torch.logaddexp(total, log_px.logsumexp(1))
    return total - math.log(points)
