"""Path gradients: lower-variance gradients of the evidence lower bound and the importance-weighted bound.

The score ∇ log q(z|x) at a fixed z has the mean zero, and no need to be in the gradient of a bound that averages
log w. What is left goes through z alone: ``draw(…, frozen_q=True)`` gives log q(z|x) with the parameters of q held
still. Parameters that the prior shares with q (VampPrior's encoder) keep the gradient of log p(z): there they are
parameters of the model like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Schedule, Step, at, at_least, weighted


@part("objective/elbo-stl", paper="Roeder et al. 2017")
@dataclass(frozen=True)
class StickingTheLanding(Objective):
    """E_q [log p(x|z) − β (log q(z|x) − log p(z))], its gradient through z only: unbiased, and 0 if q is p(z|x).

    No divergence is computed by a formula: where q is far from p(z|x), :class:`ELBO` varies less.

    Args:
        beta: β, a number or a schedule.
        samples: draws for each row.
    """

    beta: float | Schedule = 1.0
    samples: int = 1
    differentiable = False

    def __post_init__(self) -> None:
        at_least("beta", self.beta, 0)
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples, frozen_q=True)
        terms = draw.terms
        return Value(draw.penalized(terms["log_px"] - weighted(at(self.beta, step), terms["kl"])), terms)

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        return figures["log_px"] - at(self.beta, last) * figures.get("kl", 0.0)


@part("objective/iwae-stl", paper="Roeder et al. 2017; Tucker et al. 2019 (on its bias)")
@dataclass(frozen=True)
class StickingTheLandingIWAE(Objective):
    """log (1/K) Σ_k w_k, its gradient through z_k only.

    Of the inference network the gradient is biased for K > 1, because the weights depend on z as well;
    :class:`DReG` has the same cost and is not.

    Args:
        samples: K.
    """

    samples: int = 5
    needs_density = True
    differentiable = False

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples, frozen_q=True)
        return Value(draw.penalized(draw.importance_weighted), draw.terms)


@part("objective/iwae-dreg", paper="Tucker et al. 2019; Bauer & Mnih 2021")
@dataclass(frozen=True)
class DReG(Objective):
    """log (1/K) Σ_k w_k, its gradient Σ_k v_k ∂ log w_k/∂θ + Σ_k v_k² ∂ log w_k/∂z_k ∂z_k/∂φ with v_k = w_k / Σ w.

    θ are the parameters of prior and likelihood, φ those of q. Both are unbiased, and the second keeps a signal as K
    grows. Of several latents ∂ log w/∂z is the direct dependence on each, and ∂z/∂φ goes through those above. A latent
    that is summed out (M2's label) has a weight for each of its branches.

    Args:
        samples: K.
    """

    samples: int = 5
    needs_density = True
    differentiable = False

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples, frozen_q=True)
        log_w = draw.log_w_branches.detach()
        weight = log_w.flatten(0, -2).softmax(0).reshape(log_w.shape)
        for latent in draw.latents.values():
            # What comes here is weighted by v once already, by the derivative of the logarithm.
            if latent.value.requires_grad:
                latent.value.register_hook(lambda gradient: _each(weight, gradient) * gradient)
        return Value(draw.penalized(draw.importance_weighted), draw.terms)


def _each(weight: Tensor, like: Tensor) -> Tensor:
    """``(samples, [branches,] batch)`` with the axes of the event behind."""
    return weight.reshape(*weight.shape, *[1] * (like.dim() - weight.dim()))
