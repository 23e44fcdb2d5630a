"""The normal with mean 0 and scale 1: what is known of it need not be computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.distributions import Normal


class UnitNormal(Normal):
    """N(0, 1) for each element; loc and scale are zeros and ones."""

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        """As torch's, but no GPU is asked whether the scales are positive."""
        return torch.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)


class UnitNormalDivergence(Function):
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1) − log σ for each element, in nats (Kingma & Welling 2013, appendix B).

    The general formula takes half as many operations again, forwards and backwards. Its gradient cannot be
    differentiated again.
    """

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(loc, scale)
        return scale.square().addcmul_(loc, loc).sub_(1).mul_(0.5).sub_(scale.log())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        loc, scale = ctx.saved_tensors
        return grad * loc, grad * (scale - scale.reciprocal())
