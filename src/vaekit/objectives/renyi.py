"""Rényi bounds, between the evidence lower bound and the importance-weighted one, and beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from vaekit.data.batch import Batch
from vaekit.kernels.double import double
from vaekit.objectives.objective import Objective, Value
from vaekit.parts.record import part
from vaekit.schedules import Step, at_least


@part("objective/renyi", paper="Li & Turner 2016")
@dataclass(frozen=True)
class Renyi(Objective):
    """1/(1 − α) log (1/K) Σ_k w_k^(1 − α) with w_k = p(x, z_k) / q(z_k|x).

    α → 1 is the evidence lower bound (of draws, without a formula for the divergence), α = 0 the importance-weighted
    bound; for α from 0 its mean is a lower bound on log p(x). Below 0 it may be above log p(x).

    Args:
        alpha: α.
        samples: K.
    """

    alpha: float = 0.5
    samples: int = 5
    needs_density = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.alpha):
            raise ValueError(f"alpha must be a finite number, got {self.alpha}; the objective 'vr-max' is α → −∞")
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        log_w = draw.log_w_given_branch
        if self.alpha == 1:
            bound = draw.expect(log_w).mean(0)
        else:
            power = 1 - self.alpha
            # Near α = 1 the mean of w^(1 − α) is so near 1 that float32 keeps nothing of its logarithm.
            mean = torch.logsumexp(draw.log_expect(power * double(log_w)), dim=0) - math.log(self.samples)
            bound = (mean / power).to(log_w.dtype)
        return Value(draw.penalized(bound), draw.terms)


@part("objective/vr-max", paper="Li & Turner 2016")
@dataclass(frozen=True)
class VRMax(Objective):
    """max_k log w_k: Rényi's bound for α → −∞. Only the heaviest of the K draws is learned from.

    It is no bound on log p(x): with many draws it is above.

    Args:
        samples: K.
    """

    samples: int = 5
    needs_density = True

    def __post_init__(self) -> None:
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        return Value(draw.penalized(draw.log_w.amax(0)), draw.terms)
