"""Aggregated posterior matched to the prior by a distance between samples: InfoVAE, WAE, sliced Wasserstein.

None of them needs the density of q, and a point will do. All latents are compared side by side. The distance is that of
a batch, the same for each of its rows; larger batches tell it better. It teaches q, and not the prior: draws of the
prior carry no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.draw import Draw, beside
from vaekit.objectives.discrepancy import checked_kernel, gram, sliced_wasserstein, u_statistic
from vaekit.objectives.objective import Matching, Value, from_prior
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/wae", paper="Tolstikhin et al. 2018, algorithm 2 (WAE-MMD); Gretton et al. 2012, lemma 6")
@dataclass(frozen=True)
class WAE(Matching):
    """E_q log p(x|z) − λ MMD²(q(z), p(z)), q(z) the mean of q(z|x) over the batch.

    Args:
        weight: λ, in nats.
        kernel: ``imq`` (inverse multiquadratics) or ``rbf`` (Gaussians), each at seven scales.
    """

    weight: float = 10.0
    kernel: str = "imq"

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)
        checked_kernel(self.kernel)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        log_px = draw.expect(draw.log_px).mean(0)
        mmd = _mmd(draw, _vectors(from_prior(model, batch)), self.kernel)
        return Value(draw.penalized(log_px - self.weight * mmd), {"log_px": log_px, "mmd": mmd})


@part("objective/info-vae", paper="Zhao et al. 2019; Gretton et al. 2012, lemma 6")
@dataclass(frozen=True)
class InfoVAE(Matching):
    """E_q log p(x|z) − (1 − α) KL(q(z|x)‖p(z)) − (α + λ − 1) MMD²(q(z), p(z)).

    α is how much of the information between x and z is free; the MMD keeps the aggregate of q at the prior all
    the same. α = 0 and λ = 1 is the evidence lower bound, α = 1 the MMD-VAE.

    Args:
        alpha: α, at most 1.
        strength: λ, from 1 − α, in nats.
        kernel: ``rbf`` (Gaussians) or ``imq`` (inverse multiquadratics), each at seven scales.
    """

    alpha: float = 0.5
    strength: float = 10.0
    kernel: str = "rbf"

    def __post_init__(self) -> None:
        if not self.alpha <= 1:
            raise ValueError(f"alpha must be at most 1, got {self.alpha}")
        at_least("strength", self.strength, 1 - self.alpha)
        checked_kernel(self.kernel)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        terms = draw.terms
        mmd = _mmd(draw, _vectors(from_prior(model, batch)), self.kernel)
        value = terms["log_px"] - (1 - self.alpha) * terms["kl"] - (self.alpha + self.strength - 1) * mmd
        return Value(draw.penalized(value), {**terms, "mmd": mmd})


@part("objective/sliced-wasserstein", paper="Kolouri et al. 2018")
@dataclass(frozen=True)
class SlicedWasserstein(Matching):
    """E_q log p(x|z) − λ SW₂²(q(z), p(z)): squared distances between sorted projections, in the mean over directions.

    Args:
        weight: λ, in nats.
        directions: random directions in each step.
    """

    weight: float = 10.0
    directions: int = 50

    def __post_init__(self) -> None:
        at_least("weight", self.weight, 0)
        at_least("directions", self.directions, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch)
        if draw.log_branch is not None:
            raise UserError(
                "sorted projections need rows of equal weight, and a label that is summed out has weights.",
                hint="use the objective wae, whose kernels can be weighted.",
            )
        log_px = draw.log_px.mean(0)
        distance = sliced_wasserstein(draw.z[0].flatten(1), _vectors(from_prior(model, batch)), self.directions)
        return Value(draw.penalized(log_px - self.weight * distance), {"log_px": log_px, "distance": distance})


def _vectors(latents: dict[str, Tensor]) -> Tensor:
    """All latents side by side, ``(batch, units)``."""
    return beside(latents).flatten(1)


def _mmd(draw: Draw, prior: Tensor, kernel: str) -> Tensor:
    """MMD² between the latents of a draw and draws of the prior, branches weighted by their probabilities."""
    leading = draw.log_px.shape[1:]  # ([branches,] batch)
    points = draw.z[0].reshape(leading.numel(), -1)
    within = draw.expect(gram(points, points, kernel).reshape(*leading, *leading))  # ([branches,] batch, batch)
    within = draw.expect(within.movedim(-1, 0))
    between = draw.expect(gram(prior, points, kernel).reshape(-1, *leading))
    return u_statistic(within, gram(prior, prior, kernel), between)
