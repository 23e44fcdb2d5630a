"""log q(z|x) with the parameters of q held still, of any distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution


def frozen_log_prob(q: Distribution, z: Tensor, before: Sequence[tuple[Tensor, Tensor]] = ()) -> Tensor:
    """log q(z), whose gradient reaches z and the latents that q depends on, and nothing else.

    The value is that of q. Its derivatives ∂ log q/∂z are taken at once, at a copy of z that is a leaf, and the
    result is the number log q plus (z − z₀) · ∂ log q/∂z, which is log q to first order: no parameter of q is in
    the graph, and q may be any distribution that answers ``log_prob``. It has no second derivatives.

    Args:
        q: batch shape ``(samples, [branches,] batch)`` or what broadcasts to it; each row depends on its own z only.
        z: ``(samples, [branches,] batch, *event)``.
        before: for each latent that q depends on, the value to which its gradient goes, and the node of it that q saw.
    """
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        log_q = q.log_prob(leaf)
        towards = [(z, leaf), *((value, seen) for value, seen in before if seen.requires_grad)]
        slopes: Sequence[Tensor | None] = [None] * len(towards)
        if log_q.requires_grad:
            seen = [node for _, node in towards]
            slopes = torch.autograd.grad(log_q.sum(), seen, retain_graph=True, allow_unused=True)
    frozen = log_q.detach()
    for (value, _), slope in zip(towards, slopes, strict=True):
        if slope is not None:
            step = (value - value.detach()) * slope
            frozen = frozen + step.reshape(*log_q.shape, -1).sum(-1)
    return frozen
