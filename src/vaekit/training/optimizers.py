"""The optimisers by name: torch's own, without its compiler.

``torch.optim`` marks its methods as not to be compiled, and to do so imports the compiler, ``torch._dynamo``: more than
a second of every start, for code that nobody compiles.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch.optim import Optimizer

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
        return optimizer

    return made


def _adam(parameters: Any, **options: Any) -> Optimizer:
    # Fused: one kernel for all parameters, several times faster than a loop over them.
    return torch.optim.Adam(parameters, fused=True, **options)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "adam": uncompiled(_adam),
    "adamax": uncompiled(torch.optim.Adamax),
    "adagrad": uncompiled(torch.optim.Adagrad),
    "rmsprop": uncompiled(torch.optim.RMSprop),
    "sgd": uncompiled(torch.optim.SGD),
}
