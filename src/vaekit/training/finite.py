"""What became infinite or not a number, and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.kernels import total_norm
from vaekit.kernels.noise import same_noise_after
from vaekit.objectives.objective import Value

MOST_NAMED = 3  # of what is not finite: one thing brings others with it


def is_bad(tensor: Tensor) -> bool:
    return not bool(torch.isfinite(tensor).all())


@torch.no_grad()
def name_the_cause(model: Any, batch: Batch, value: Value, rows: Tensor, player: str) -> str:
    """One sentence: which term, which latent, which row. The draws of training are as if nobody had asked.

    Args:
        model: the model, as it was at the bad step.
        batch: the batch.
        value: what the objective said.
        rows: the batch's row numbers in the training data.
        player: whose step it was.
    """
    if is_bad(batch.x):
        return f"the data itself is not finite in {_rows(batch.x.flatten(1), rows)}"
    terms = [name for name, term in value.terms.items() if is_bad(term)]
    where = _rows(value.objective.unsqueeze(-1), rows)
    latents = []
    with same_noise_after(batch.x.device):
        drawn = model.draw(batch).latents
    for name, latent in drawn.items():
        for field in ("value", "log_pz", "log_qz", "kl", "kl_dims"):
            tensor = getattr(latent, field)
            if tensor is not None and is_bad(tensor):
                latents.append(f"{field} of the latent {name}")
    if is_bad(value.objective) or terms:
        named = [*terms, *latents] or ["the objective"]
        what = " and ".join(named[:MOST_NAMED])
        return f"{what} became infinite or not a number in {where}"
    gradients = [
        name for name, parameter in model.named_parameters() if parameter.grad is not None and is_bad(parameter.grad)
    ]
    owner = f" of {gradients[0]}" if gradients else ""
    return f"the gradient{owner} of the player '{player}' became infinite or not a number"


def _rows(table: Tensor, rows: Tensor) -> str:
    bad = rows[~torch.isfinite(table.detach()).all(-1).cpu()].tolist()
    if not bad:
        return "the batch as a whole"
    more = f" and {len(bad) - 1} more rows of its batch" if len(bad) > 1 else ""
    return f"row {bad[0]} of the training data{more}"


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The norm of all gradients together, a tensor on the device."""
    return total_norm([p.grad for p in parameters if p.grad is not None])


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], norm: Tensor, most: float) -> None:
    """Gradients of that norm together shortened to the most that is allowed, as torch's own does it.

    They are new ones: other processes may look at the old.
    """
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad * factor


def places_of_buffers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Owner and name of every buffer that is saved; one that is not is a constant: nothing could resume it."""
    return [
        (module, name)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    ]


@torch.no_grad()
def copies(places: Sequence[tuple[nn.Module, str]]) -> list[tuple[nn.Module, str, Tensor]]:
    """Buffers with a copy of their values, for :func:`put_back`."""
    return [(module, name, getattr(module, name).clone()) for module, name in places]


def put_back(before: Sequence[tuple[nn.Module, str, Tensor]]) -> None:
    """Give buffers the values that they had, whether they were written to or replaced."""
    for module, name, value in before:
        setattr(module, name, value.clone())


def finite(value: float) -> float | None:
    """The value, or ``None`` where JSON has no word for it."""
    return value if math.isfinite(value) else None
