"""Independent Bernoulli variables, log p in few passes over memory.

With x in {0, 1} and logits l, let u = (1 − 2x) l, which is large where l is wrong:

    log p(x) = − Σ_d log(1 + exp u_d).

Factors are multiplied before there is a logarithm to take: a logarithm for each element is what costs most in torch's
own cross entropy. Where a product is too large for the format, and for x between 0 and 1, it is

    log p(x) = Σ_d x_d l_d − softplus(l_d) = − Σ_d (max(l_d, 0) − x_d l_d) + Σ_d log σ(|l_d|),

whose factors σ(|l|) lie in [½, 1]. In either form no sum has terms of both signs, so nothing cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.distributions import Bernoulli, Independent

from vaekit.kernels.tracing import traced

FACTORS = 64  # in one product: 2⁻⁶⁴ is far from the smallest number of float32
MANY = 4
EIGHT = 8  # factors of one logarithm in a program: a group is multiplied as it is read
BITS = 4  # of the factors 1 + exp u: their product is finite while the u that are large add up to less than 88
FAST = {torch.float32, torch.float64}


def bernoulli_log_prob(logits: Tensor, x: Tensor) -> Tensor:
    """Σ_d x_d l_d − softplus(l_d) over the last axis, in nats, ``(*leading,)``; finite wherever the logits are.

    A float16 gets torch's cross entropy, and so do ``torch.compile`` and ``torch.func``; a GPU gets it too, with a
    shorter gradient.

    Args:
        logits: ``(*leading, dims)``.
        x: what is observed, in [0, 1]; its leading axes and those of the logits broadcast.
    """
    logits = logits.expand(np.broadcast_shapes(logits.shape, x.shape))
    if (
        logits.dtype == x.dtype
        and logits.dtype in FAST
        and logits.device.type in ("cpu", "cuda")
        and not torch.compiler.is_compiling()
        and not _are_functorch_transforms_active()  # torch.func: vmap, hessian …
    ):
        return LogProb.apply(logits, x) if torch.is_grad_enabled() else _forward(logits, x)  # type: ignore[return-value]
    return _by_torch(logits, x)


class LogProb(torch.autograd.Function):
    """The fast sum with its gradient, which can be differentiated too."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return _forward(logits, x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        logits, x = ctx.saved_tensors
        grad = grad_outputs[0].unsqueeze(-1)
        for_logits, for_x = ctx.needs_input_grad
        return (
            _slope(logits, x, grad) if for_logits else None,
            (grad * logits).sum_to_size(x.shape) if for_x else None,
        )


def _by_torch(logits: Tensor, x: Tensor) -> Tensor:
    x = x.to(logits.dtype).expand_as(logits)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def _forward(logits: Tensor, x: Tensor) -> Tensor:
    if traced():
        return _in_one_loop(logits, x)
    if logits.device.type != "cpu":
        return _by_torch(logits, x)
    # To see that x is of zeros and ones pays where there are several draws for each row.
    if logits.numel() >= MANY * x.numel() and bool((x * x == x).all()):
        log_p = _of_bits(logits, x)
        if bool(log_p.isfinite().all()):
            return log_p
    return _of_shades(logits, x)


def _of_bits(logits: Tensor, x: Tensor) -> Tensor:
    """For x in {0, 1}; −∞ where a product is too large."""
    whole = logits.shape[-1] // BITS * BITS
    # The same memory again: to ask for more of it would cost as much as the sums.
    factors = torch.mul(logits, 1 - 2 * x).exp_().add_(1)
    rest = factors[..., whole:].prod(-1).log_()
    # What is multiplied lies far apart, so that neighbours are multiplied at once.
    return factors[..., :whole].unflatten(-1, (BITS, -1)).prod(-2).log_().sum(-1).add_(rest).neg_()


def _of_shades(logits: Tensor, x: Tensor) -> Tensor:
    """For x in [0, 1] and any logits."""
    whole = logits.shape[-1] // FACTORS * FACTORS
    scratch = logits.relu().addcmul_(x, logits, value=-1)
    wrong = scratch.sum(-1)
    sure = torch.abs(logits, out=scratch).sigmoid_()
    rest = sure[..., whole:].prod(-1).log_()
    return sure[..., :whole].unflatten(-1, (-1, FACTORS)).prod(-1).log_().sum(-1).add_(rest).sub_(wrong)


def _in_one_loop(logits: Tensor, x: Tensor) -> Tensor:
    """For x in [0, 1] and any logits, as a compiler likes it: groups of eight, of which it makes no tensor.

    Σ_d log(1 + exp −|l_d|) is Σ log Π (1 + exp −|l|), whose factors lie in [1, 2].
    """
    whole = logits.shape[-1] // EIGHT * EIGHT
    wrong, unsure = logits.relu() - x * logits, 1 + (-logits.abs()).exp()
    rest = (wrong[..., whole:] + unsure[..., whole:].log()).sum(-1)
    groups = wrong[..., :whole].unflatten(-1, (EIGHT, -1)), unsure[..., :whole].unflatten(-1, (EIGHT, -1))
    return -((groups[0].sum(-2) + groups[1].prod(-2).log()).sum(-1) + rest)


def _slope(logits: Tensor, x: Tensor, grad: Tensor) -> Tensor:
    """(x − σ(l)) · grad; in place unless it is to be differentiated."""
    mean = logits.sigmoid()
    return (x - mean) * grad if torch.is_grad_enabled() else mean.sub_(x).mul_(-grad)


class IndependentBernoulli(Independent):
    """Π_d Bernoulli(x_d; σ(l_d)): torch's ``Independent`` in everything, but log p in few passes over memory.

    >>> import torch
    >>> p = IndependentBernoulli(Bernoulli(logits=torch.zeros(5, 1, 28, 28)), 3)
    >>> p.log_prob(torch.ones(1, 28, 28)).shape
    torch.Size([5])
    """

    base_dist: Bernoulli

    def log_prob(self, value: Tensor) -> Tensor:
        """``(*batch,)``, in nats, of x in [0, 1] of a shape that broadcasts to ``(*batch, *event)``."""
        return bernoulli_log_prob(self._flat(self.base_dist.logits), self._flat(value))

    def _flat(self, value: Tensor) -> Tensor:
        leading = value.shape[: value.dim() - len(self.event_shape)]
        return value.reshape(*leading, self.event_shape.numel())
