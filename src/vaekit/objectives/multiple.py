"""Importance weighting that leaves the inference network a signal: MIWAE, CIWAE, PIWAE (Rainforth et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.objectives.objective import Objective, Player, Value, sides
from vaekit.parts.record import part
from vaekit.schedules import Schedule, Step, at, at_least


@part("objective/miwae", paper="Rainforth et al. 2018")
@dataclass(frozen=True)
class MIWAE(Objective):
    """(1/M) Σ_m log (1/K) Σ_k w_mk: the mean of M importance-weighted bounds. K = 1 is the evidence lower bound.

    Args:
        groups: M.
        samples: K.
    """

    groups: int = 8
    samples: int = 8
    needs_density = True

    def __post_init__(self) -> None:
        at_least("groups", self.groups, 1)
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.groups * self.samples)
        return Value(draw.penalized(grouped(draw.log_w, self.groups)), draw.terms)


@part("objective/ciwae", paper="Rainforth et al. 2018")
@dataclass(frozen=True)
class CIWAE(Objective):
    """β (E log p(x|z) − KL) + (1 − β) log (1/K) Σ_k w_k: the two bounds, combined, from the same draws.

    Args:
        beta: β, a number or a schedule from 0 to 1; 1 is the evidence lower bound, 0 the importance-weighted one.
        samples: K.
    """

    beta: float | Schedule = 0.5
    samples: int = 5
    needs_density = True

    def __post_init__(self) -> None:
        at_least("beta", self.beta, 0)
        if not callable(self.beta) and self.beta > 1:
            raise ValueError(f"beta must be between 0 and 1, got {self.beta}")
        at_least("samples", self.samples, 1)

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.samples)
        beta = at(self.beta, step)
        bound = beta * draw.elbo.mean(0) + (1 - beta) * draw.importance_weighted
        return Value(draw.penalized(bound), draw.terms)


@part("objective/piwae", paper="Rainforth et al. 2018")
@dataclass(frozen=True)
class PIWAE(Objective):
    """The importance-weighted bound of all M · K draws for the model, the mean of M bounds of K for the inference.

    Two players: ``generative`` (prior and likelihood) climbs log (1/MK) Σ w, ``recognition`` (q, and what the prior
    shares with it) climbs (1/M) Σ_m log (1/K) Σ_k w_mk. The model's bound is as tight as all draws make it, and
    the gradient of q is not drowned in noise.

    Args:
        groups: M.
        samples: K.
    """

    groups: int = 8
    samples: int = 8
    needs_density = True

    def __post_init__(self) -> None:
        at_least("groups", self.groups, 1)
        at_least("samples", self.samples, 1)

    def players(self, model: nn.Module) -> dict[str, Player]:
        infers, generates = sides(model)
        return {"generative": Player(generates, self), "recognition": Player(infers, self.infer)}

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        draw = model.draw(batch, self.groups * self.samples)
        return Value(draw.penalized(draw.importance_weighted), draw.terms)

    def infer(self, model: Any, batch: Batch, step: Step) -> Value:
        """The value of the inference: that of MIWAE."""
        draw = model.draw(batch, self.groups * self.samples)
        return Value(draw.penalized(grouped(draw.log_w, self.groups)), {})


def grouped(log_w: Tensor, groups: int) -> Tensor:
    """(1/M) Σ_m log (1/K) Σ_k w_mk of ``(M · K, batch)``, ``(batch,)``."""
    log_w = log_w.unflatten(0, (groups, -1))
    return (torch.logsumexp(log_w, dim=1) - math.log(log_w.shape[1])).mean(0)
