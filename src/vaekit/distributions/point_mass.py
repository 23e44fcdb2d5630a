"""Point mass: the posterior of a plain autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class PointMass(Distribution):
    """A point mass at ``value``, shape ``(*batch, *event)``.

    It has no density with respect to Lebesgue measure, so it answers no ``log_prob``; code that
    needs a density asks ``has_density`` first (:attr:`vaekit.models.draw.Draw.has_density`).

    Args:
        value: where the mass is.
        event_dims: how many trailing axes form one event.
    """

    arg_constraints = {}  # noqa: RUF012 - the base class fixes the form
    support = constraints.real
    has_rsample = True
    has_density = False

    def __init__(self, value: Tensor, event_dims: int = 1) -> None:
        self.value = value
        split = value.dim() - event_dims
        super().__init__(value.shape[:split], value.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def stddev(self) -> Tensor:
        return torch.zeros_like(self.value)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.value.expand(self._extended_shape(sample_shape))
