"""Gradients that pass through draws, beside those of the density."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.testing.copies import flat
from vaekit.testing.statistics import assert_mean, reproducible

CHUNKS, DRAWS, DIRECTIONS = 100, 200, 2


@reproducible
def check_pathwise(
    make: Callable[[], Distribution], parameters: Sequence[nn.Parameter], event_dims: int, name: str
) -> None:
    """∂/∂φ E t(z) by way of ``rsample`` is E (t(z) − mean t) ∂ log q(z)/∂φ, along random directions of φ.

    A part of a draw that is held still, or counted twice, leaves density and samples what they are; here it shows.

    Args:
        make: gives q(z) anew, of one row, from its parameters.
        parameters: φ, leaves that require gradients.
        event_dims: axes of an event.
        name: names q in the message.

    Raises:
        AssertionError: by how many standard errors the two differ.
    """
    along = [[torch.randn_like(parameter) for parameter in parameters] for _ in range(DIRECTIONS)]
    weight: Tensor | None = None
    differences = []
    for _ in range(CHUNKS):
        q = make()
        drawn: Any = q.rsample(torch.Size([DRAWS]))
        z = flat(drawn, event_dims)
        weight = torch.randn(z.shape[-1], dtype=z.dtype) if weight is None else weight
        t = _statistic(z @ weight)
        still: Any = (
            {key: value.detach() for key, value in drawn.items()} if isinstance(drawn, dict) else drawn.detach()
        )
        surprise = t.detach() - t.detach().mean()
        by_density = (surprise * q.log_prob(still)).sum() / (DRAWS - 1)
        difference = torch.autograd.grad(t.mean() - by_density, parameters, allow_unused=True)
        slopes = [
            sum((g * a).sum() for g, a in zip(difference, direction, strict=True) if g is not None)
            for direction in along
        ]
        differences.append(torch.stack([torch.as_tensor(slope, dtype=z.dtype) for slope in slopes]))
    what = f"{name}: the gradient of E t(z) by way of rsample less that by the density"
    assert_mean(torch.stack(differences), 0.0, what)


def _still(drawn: Any) -> Any:
    return {key: value.detach() for key, value in drawn.items()} if isinstance(drawn, dict) else drawn.detach()


def _statistic(s: Tensor) -> Tensor:
    return s.sin() + 0.5 * s.square()
