"""Invertible steps between vectors, given a context: what flows are made of.

A step maps ``(z, context)`` to the new z and log|det| of the map, ``(*leading,)``; its ``inverse`` takes the new z back
and returns the same log-determinant.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.networks.network import Linear, positive


class MaskedLinear(nn.Linear):
    """A linear layer of whose weights some are zero.

    Args:
        mask: one where there is a weight, ``(out, in)``.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight * self.mask, self.bias)


class AutoregressiveStep(nn.Module):
    """z_i ← σ_i z_i + (1 − σ_i) m_i with m_i and σ_i of z_<i and the context (Kingma et al. 2016, equation 14).

    A network with one hidden layer whose masks let output i see the inputs before i gives all m and σ at once
    (Germain et al. 2015). Forwards one pass; backwards one pass for each dimension.

    Args:
        latent_dim: length of z.
        context_dim: length of the context.
        hidden: units of the hidden layer for each dimension.
    """

    def __init__(self, latent_dim: int, context_dim: int, hidden: int) -> None:
        super().__init__()
        inputs = torch.arange(1, latent_dim + 1)
        # A unit of degree k sees the first k inputs; those of degree 0 carry the context to the first output.
        units = torch.arange(hidden * latent_dim) % latent_dim
        self.first = MaskedLinear((units[:, None] >= inputs).float())
        self.first_context = Linear(context_dim, len(units), bias=False)
        self.last = MaskedLinear((inputs[:, None] > units).float().repeat(2, 1))

    def _mean_and_gate(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        hidden = functional.elu(self.first(z) + self.first_context(context))
        mean, gate = self.last(hidden).to(z.dtype).chunk(2, dim=-1)  # whatever the factors were rounded to
        return mean, gate + 1.5  # most of z passes at first

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, gate = self._mean_and_gate(z, context)
        return torch.lerp(mean, z, gate.sigmoid()), functional.logsigmoid(gate).sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        before, log_det = torch.zeros_like(z), z.new_zeros(z.shape[:-1])
        place = torch.arange(z.shape[-1], device=z.device)
        for i in range(z.shape[-1]):
            mean, gate = self._mean_and_gate(before, context)
            before = torch.where(place == i, mean + (z - mean) / gate.sigmoid(), before)
            log_det = log_det + functional.logsigmoid(gate[..., i])
        return before, log_det


class CouplingStep(nn.Module):
    """(a, b) ← (a, s b + t) with s > 0 and t of a and the context (Dinh et al. 2017, equation 7). As fast backwards.

    Args:
        latent_dim: length of z, at least 2; a is its first half.
        context_dim: length of the context.
        hidden: units of the hidden layer for each dimension.
    """

    def __init__(self, latent_dim: int, context_dim: int, hidden: int) -> None:
        super().__init__()
        self.kept = latent_dim // 2
        self.first = Linear(self.kept, hidden * latent_dim)
        self.first_context = Linear(context_dim, hidden * latent_dim, bias=False)
        self.last = Linear(hidden * latent_dim, 2 * (latent_dim - self.kept))

    def _scale_and_shift(self, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.last(functional.elu(self.first(kept) + self.first_context(context))).chunk(2, dim=-1)
        return positive(raw, minimum=0.01), shift

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = z[..., : self.kept], z[..., self.kept :]
        scale, shift = self._scale_and_shift(kept, context)
        return _beside(kept, scale * moved + shift), scale.log().sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = z[..., : self.kept], z[..., self.kept :]
        scale, shift = self._scale_and_shift(kept, context)
        return _beside(kept, (moved - shift) / scale), scale.log().sum(-1)


def _beside(kept: Tensor, moved: Tensor) -> Tensor:
    """On one last axis; what was moved may have leading axes of the context that z has not."""
    return torch.cat([kept.expand(*moved.shape[:-1], -1), moved], dim=-1)


def through(steps: Iterable[nn.Module], z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """All steps one after the other, z turned round after each, so that the next one moves what this one kept."""
    log_det = z.new_zeros(z.shape[:-1])
    for step in steps:
        z, more = step(z, context)
        z, log_det = z.flip(-1), log_det + more
    return z, log_det


def back(steps: Iterable[nn.Module], z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`through`, with its log-determinant."""
    log_det = z.new_zeros(z.shape[:-1])
    for step in reversed(list(steps)):
        z, more = step.inverse(z.flip(-1), context)  # type: ignore[operator]
        log_det = log_det + more
    return z, log_det
