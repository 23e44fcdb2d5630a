"""What an active cause of sparse coding is worth: 1, or a normal number."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Expected(NamedTuple):
    """What the E-step makes of some rows.

    Attributes:
        gain: log p(x|set) − log N(x; 0, σ²I) for each set of active causes, ``(rows, sets)``.
        moments: from the probabilities of the sets ``(rows, sets)`` to ⟨s⟩ ``(rows, candidates)`` and ⟨ssᵀ⟩ ``(rows,
            candidates, candidates)``.
    """

    gain: Tensor
    moments: Callable[[Tensor], tuple[Tensor, Tensor]]


class Causes(Protocol):
    """Either of the two."""

    def draw(self, active: Tensor, generator: torch.Generator) -> Tensor: ...

    def expected(self, inner: Tensor, gram: Tensor, sets: Tensor, variance: Tensor) -> Expected: ...


class Binary:
    """Active causes are 1."""

    def draw(self, active: Tensor, generator: torch.Generator) -> Tensor:
        """s where it is active, ``(rows, causes)``."""
        return active

    def expected(self, inner: Tensor, gram: Tensor, sets: Tensor, variance: Tensor) -> Expected:
        """What is expected given each set.

        Args:
            inner: Wᵀx of the candidates, ``(rows, candidates)``.
            gram: WᵀW of the candidates, ``(rows or 1, candidates, candidates)``.
            sets: which candidates are active, ``(sets, candidates)``.
            variance: σ².
        """
        quadratic = torch.einsum("sh,bhj,sj->bs", sets, gram, sets)
        products = torch.einsum("sh,sj->shj", sets, sets).flatten(1)

        def moments(weight: Tensor) -> tuple[Tensor, Tensor]:
            return weight @ sets, (weight @ products).unflatten(-1, (sets.shape[1],) * 2)

        return Expected((inner @ sets.T - 0.5 * quadratic) / variance, moments)


class Slab:
    """Active causes are N(0, 1); their scale is part of W."""

    def draw(self, active: Tensor, generator: torch.Generator) -> Tensor:
        """s where it is active, ``(rows, causes)``."""
        return active * torch.randn(active.shape, dtype=active.dtype, generator=generator)

    def expected(self, inner: Tensor, gram: Tensor, sets: Tensor, variance: Tensor) -> Expected:
        """With s integrated out given the set; arguments as of :meth:`Binary.expected`."""
        both = torch.einsum("sh,sj->shj", sets, sets)
        identity = torch.eye(sets.shape[1], dtype=sets.dtype)
        lower = torch.linalg.cholesky(identity + both * gram.unsqueeze(1) / variance)  # (rows or 1, sets, …)
        covariance = torch.cholesky_inverse(lower) * both  # of the active ones, zero elsewhere
        mean = torch.einsum("bshj,nj->nsh" if len(gram) == 1 else "nshj,nj->nsh", covariance, inner) / variance
        gain = 0.5 * torch.einsum("nsh,nh->ns", mean, inner) / variance
        gain = gain - lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)

        def moments(weight: Tensor) -> tuple[Tensor, Tensor]:
            first = torch.einsum("ns,nsh->nh", weight, mean)
            second = torch.einsum("nsh,nsj->nhj", weight.unsqueeze(-1) * mean, mean)
            inside = "ns,bshj->nhj" if len(gram) == 1 else "ns,nshj->nhj"
            return first, second + torch.einsum(inside, weight, covariance)

        return Expected(gain, moments)
