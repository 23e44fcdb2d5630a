"""Models and objectives with foreign classes: brought along in Python, and checked against the run's configuration."""

from __future__ import annotations

import copy
import json
from typing import Any

import torch
from torch import nn

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.dry_run import dry_run
from vaekit.parts.compare import differences
from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import completed, to_document


def brought_along(config: dict[str, Any], model: nn.Module, objective: Any) -> tuple[Any, Any]:
    """Copies of a model and an objective that have just been trained, each if no document can make it, on the CPU."""
    foreign_model, foreign_objective = (any(foreign_values(config[name])) for name in ("model", "phases"))
    objective = copy.deepcopy(objective) if foreign_objective else None
    for network in objective.networks() if objective is not None else ():
        network.to("cpu")
    return copy.deepcopy(model).to("cpu") if foreign_model else None, objective


def check_brought(model: nn.Module, config: dict[str, Any], run: object) -> None:
    """Make the parameters of a model that wait for the shape of a row, and compare it with the one that was trained.

    Args:
        model: brought along.
        config: of the run.
        run: which, for errors.

    Raises:
        UserError: if it is another model, saying where.
    """
    like, data = next(model.parameters()), config["data"]
    zeros = torch.zeros(2, *data["shape"], dtype=like.dtype, device=like.device)
    classes = data.get("condition_dim", 0)
    dry_run(model, Batch(zeros, condition=zeros.new_zeros(2, classes) if classes else None))
    check_same(config["model"], model, "model", run)


def check_same(document: Any, value: Any, name: str, run: object) -> None:
    """Check that a value brought along is the one that was trained.

    Raises:
        UserError: if a value brought along is not what the document describes.
    """
    now = json.loads(json.dumps(to_document(value)))
    for place, old, new in differences(completed(document), now, name):
        raise UserError(
            f"the {name} brought along is not that of {run}: its {place} is {new}, and was {old}.",
            hint=f"make the {name} as it was made for the training.",
        )
