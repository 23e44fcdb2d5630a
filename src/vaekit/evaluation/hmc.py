"""Hamiltonian Monte Carlo: a move that leaves a density invariant (Neal 2011)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Steps of one length may run round an orbit and come back to where they began; each move varies its length a little.
JITTER = 0.1


class Density(NamedTuple):
    """What a move needs to know at a point.

    Attributes:
        parts: log densities that the target is mixed from, each ``(chains, batch)``.
        log_p: log of the target, ``(chains, batch)``.
        gradient: of ``log_p``, ``(chains, batch, units)``.
    """

    parts: tuple[Tensor, ...]
    log_p: Tensor
    gradient: Tensor


def density_at(z: Tensor, parts_of: Callable[[Tensor], tuple[Tensor, ...]], weights: tuple[float, ...]) -> Density:
    """The target Σ_i weight_i · part_i at z, with its gradient."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        parts = parts_of(z)
        log_p = sum(weight * part for weight, part in zip(weights, parts, strict=True))
        assert isinstance(log_p, Tensor)
        (gradient,) = torch.autograd.grad(log_p.sum(), z)
    return Density(tuple(part.detach() for part in parts), log_p.detach(), gradient)


def move(
    z: Tensor,
    at: Callable[[Tensor], Density],
    step: Tensor,
    scale: Tensor,
    leapfrog: int,
) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """One move of every chain: fresh momenta, leapfrog steps, accepted or not.

    Args:
        z: ``(chains, batch, units)``.
        at: the target and its gradient.
        step: length of a leapfrog step for each row, ``(batch,)``.
        scale: of each unit, ``(batch, units)``: the mass is 1/scale². Neither may depend on where the chains are.
        leapfrog: how many steps.

    Returns:
        The next z, the parts of the target there, and the probability with which each chain was accepted.
    """
    length = step * (1 + JITTER * (2 * torch.rand_like(step) - 1))
    stride = length.unsqueeze(-1) * scale
    first = at(z)
    momentum = torch.randn_like(z)
    kinetic = 0.5 * momentum.square().sum(-1)
    there, here = z, first
    for _ in range(leapfrog):
        momentum = momentum + 0.5 * stride * here.gradient
        there = there + stride * momentum
        here = at(there)
        momentum = momentum + 0.5 * stride * here.gradient
    log_ratio = here.log_p - first.log_p + kinetic - 0.5 * momentum.square().sum(-1)
    # A path that runs away ends where nothing is a number: it is refused.
    probability = log_ratio.clamp_max(0).exp().nan_to_num(0.0)
    accepted = torch.rand_like(probability) < probability
    parts = tuple(torch.where(accepted, new, old) for new, old in zip(here.parts, first.parts, strict=True))
    return torch.where(accepted.unsqueeze(-1), there, z), parts, probability
