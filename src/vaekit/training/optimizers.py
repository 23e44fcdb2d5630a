"""Optimisers by name, torch's own without its compiler; the norm of gradients, and clipping to it.

``torch.optim`` marks its methods as not to be compiled, and to do so imports the compiler, ``torch._dynamo``: more than
a second of every start, for code that nobody compiles.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vaekit.kernels.chunks import chunks
from vaekit.kernels.tracing import traced

MARKED = (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict)


def uncompiled(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same optimiser, whose methods do not import the compiler.

    What torch does otherwise holds, to the bit. Hooks of steps and the profiler's name for a step are left out.

    Args:
        make: makes an optimiser of parameters and options.
    """

    def made(parameters: Any, **options: Any) -> Optimizer:
        for method in MARKED:
            # Where torch itself remembers which function to call; what it has put there already stays.
            plain: Any = inspect.unwrap(method)
            plain.__dict__.setdefault("__dynamo_disable", plain)
        optimizer = make(parameters, **options)
        step = MethodType(inspect.unwrap(type(optimizer).step), optimizer)
        optimizer.step = torch.no_grad()(step)
        cast(Any, optimizer).group_by_age = lambda: None  # it looks at the age of each parameter in every step
        return optimizer

    return made


@uncompiled
def _adam(parameters: Any, **options: Any) -> Optimizer:
    # Fused: one kernel for all parameters, several times faster than a loop over them.
    return torch.optim.Adam(parameters, fused=True, **options)


def adam(parameters: Any, **options: Any) -> Optimizer:
    """torch's Adam, whose step goes straight to its kernel once the running means exist.

    The preparations of torch (groups by device and type, checks for graphs) cost as much as a third of the kernel.
    ``step(bad)`` does nothing where ``bad``, a number on the device, is 1, without a look at it from outside;
    ``begin()`` makes the running means of all parameters that have a gradient. Parameters that joined later (a model
    that grew) have taken fewer steps: ``group_by_age()`` takes note of it, because a compiled step counts them once a
    group.
    """
    optimizer = _adam(parameters, **options)
    (group,) = optimizer.param_groups
    kernels = cast(Any, torch)
    ages: dict[Tensor, float] = {}

    @torch.no_grad()
    def begin() -> None:
        cast(Any, optimizer)._init_group(group, [], [], [], [], [], [])

    def group_by_age() -> None:
        taken = {each: float(state["step"]) for each, state in optimizer.state.items() if "step" in state}
        ages.clear()
        ages.update({each: taken.get(each, 0.0) for each in group["params"]})

    @torch.no_grad()
    def step(bad: Tensor | None = None) -> None:
        moving = [parameter for parameter in group["params"] if parameter.grad is not None]
        if traced() and len({ages.get(each, 0.0) for each in moving}) > 1:
            for age in {ages.get(each, 0.0) for each in moving}:
                take([each for each in moving if ages.get(each, 0.0) == age], bad)
        else:
            take(moving, bad)

    def take(moving: list[Any], bad: Tensor | None) -> None:
        states = [optimizer.state[parameter] for parameter in moving]
        if not all(states):
            begin()
        steps = [state["step"] for state in states]
        kernels._foreach_add_(steps, 1 if bad is None else [1 - bad] * len(steps))
        beta1, beta2 = group["betas"]
        lists = [
            moving,
            [parameter.grad for parameter in moving],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
        ]
        if bad is not None:
            lists, places = chunks(*lists)
            steps = [steps[place] for place in places]
        if not lists[0]:
            return
        kernels._fused_adam_(
            *lists,
            [],
            steps,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
            found_inf=bad,
        )

    optimizer.begin, optimizer.step, optimizer.group_by_age = begin, step, group_by_age
    return optimizer


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """√ Σ ‖t‖², a tensor on the device; infinite or not a number where any element is.

    On a processor a product of a tensor with itself takes a quarter of the time of torch's norm.
    """
    if tensors and traced():
        return torch.stack([each.square().sum() for each in tensors]).sum().sqrt()
    if not tensors or tensors[0].device.type != "cpu" or not all(each.is_contiguous() for each in tensors):
        return torch.nn.utils.get_total_norm(tensors)
    flat = [each.view(-1) for each in tensors]
    return torch.stack([each.dot(each) for each in flat]).sum().sqrt()


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Norm of all gradients together, a tensor on the device."""
    return total_norm([each.grad for each in parameters if each.grad is not None])


@torch.no_grad()
def clip_gradients(parameters: Sequence[nn.Parameter], norm: Tensor, most: float) -> None:
    """Gradients of total norm ``norm`` scaled to the norm ``most`` where they exceed it, as torch does it."""
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad * factor


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": adam,
    "adamax": uncompiled(torch.optim.Adamax),
    "adagrad": uncompiled(torch.optim.Adagrad),
    "rmsprop": uncompiled(torch.optim.RMSprop),
    "sgd": uncompiled(torch.optim.SGD),
}
SKIPPING = {"adam"}  # whose step takes ``bad``
