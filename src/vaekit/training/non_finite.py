"""Diagnosis of a step that is not finite: which term, which latent, which row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.kernels.noise import same_noise_after
from vaekit.objectives.objective import Value

MOST_NAMED = 3  # of what is not finite: one thing brings others with it


def is_bad(tensor: Tensor) -> bool:
    return not bool(torch.isfinite(tensor).all())


@torch.no_grad()
def name_the_cause(model: Any, batch: Batch, value: Value, rows: Tensor, player: str) -> str:
    """Cause of a bad step in one sentence. No random number of the training is consumed.

    Args:
        model: the model, as it was at the bad step.
        batch: the batch.
        value: of the objective.
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
