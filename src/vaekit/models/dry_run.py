"""Dry run: parameters that wait for the shape of a row (of plain modules, of torch's lazy layers) are made."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.models.draw import bare, encoded
from vaekit.networks.failing_layer import DoesNotFit
from vaekit.networks.plain import has_lazy_parameters


def try_dry_run(model: nn.Module) -> None:
    """A dry run of a model that has just been made, without data: with x of the shape that p(x|z) has.

    What cannot be run so, without the condition that it needs, say, waits for the rows of :func:`dry_run`.

    Raises:
        DoesNotFit: if a module does not take what it would be given.
    """
    if not has_lazy_parameters(model):
        return
    try:
        _run(model, None)
    except DoesNotFit:
        raise
    except Exception:  # whatever a part of the user's may say
        return


def dry_run(model: nn.Module, rows: Batch) -> None:
    """Run a few rows through a model, if parameters of it wait for that.

    Raises:
        UserError: if the model does not take them, or parameters still have no shape.
    """
    if not has_lazy_parameters(model):
        return
    _run(model, rows)
    if lazy := [name for name, each in model.named_parameters() if is_lazy(each)]:
        raise UserError(
            f"the shape of {lazy[0]}{f' and {len(lazy) - 1} more parameters' * (len(lazy) > 1)} is not known: it is in "
            "none of encode, decode and draw.",
            hint="run a row through it before the training.",
        )


def _run(model: Any, rows: Batch | None) -> None:
    """Decode, encode and draw; a single axis of rows first, by which plain modules know the axes of a row."""
    abilities: frozenset[str] = model.abilities
    modes = [(each, each.training) for each in model.modules()]
    condition = None if rows is None else rows.condition
    try:
        model.eval()
        with torch.inference_mode(False), torch.no_grad():
            if {"sample", "decode"} <= abilities:
                z = model.sample_latents(1 if rows is None else len(rows.x), condition)
                p = model.decode(bare(z), condition)
                if rows is None:
                    rows = Batch(next(iter(z.values())).new_zeros(1, *p.event_shape))
            if rows is not None and "encode" in abilities:
                encoded(model, rows._replace(condition=condition)).sample()
            if rows is not None and has_lazy_parameters(model):
                model.draw(rows._replace(label=None))
    finally:
        for each, training in modes:
            each.training = training
