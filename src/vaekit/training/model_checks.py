"""Checks of a model before the first step: that it can be trained, written and read again, and that all of it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from vaekit.atomic import module_tensors
from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.errors import TrainingFailed, UserError
from vaekit.evaluation.likelihood import evaluating
from vaekit.kernels.noise import same_noise_after
from vaekit.models.dry_run import dry_run
from vaekit.networks.failing_layer import does_not_fit, failing_layer
from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import from_document
from vaekit.training.settings import Phase
from vaekit.training.trainable import TrainableParts


def check_is_model(model: Any) -> None:
    """Check that a value can be trained as a model.

    Raises:
        TypeError: if it is no module, or one that is not called as a model is.
        UserError: if a weight is of another precision than the rows will be.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"a model is a torch.nn.Module, such as vk.VAE(prior, posterior, likelihood), got {model!r}")
    if missing := [name for name in ("abilities", "draw") if not hasattr(model, name)]:
        raise TypeError(
            f"a model has {' and '.join(missing)}, and a {type(model).__name__} has not: "
            "vk.VAE(prior, posterior, likelihood) makes one of modules"
        )
    others = {each.dtype for each in model.parameters() if each.is_floating_point()} - {torch.float32}
    if others:
        raise UserError(
            f"the model has weights of {others.pop()}, and training is in torch.float32.",
            hint="model.float() makes them so; precision='bfloat16' rounds the factors of products.",
        )


def make_lazy_parameters(model: nn.Module, data: Dataset) -> None:
    """Make the parameters of a model that wait for the shape of a row, if there are any, by rows of the data."""
    dry_run(model, _two_rows(model, data))


def wrong_shape(model: Any, data: Dataset, error: Exception) -> UserError | None:
    """The sentence for a model that has failed at its first rows because a layer does not take their shape.

    Args:
        model, data: which has failed at what.
        error: as which it has failed.

    Returns:
        The sentence that names the layer; ``None`` if the model draws two rows, or that is not why it fails.
    """
    if isinstance(error, TrainingFailed) or not isinstance(error, (RuntimeError, ValueError, IndexError)):
        return None
    rows = _two_rows(model, data)
    with evaluating(model, 0):
        if failing_layer(model, lambda: model.draw(rows)) is None:
            return None
        said = does_not_fit("model", model, tuple(rows.x.shape[1:]), lambda: model.draw(rows), error)
    return UserError(said.message)


def _two_rows(model: nn.Module, data: Dataset) -> Batch:
    device = next(model.parameters()).device
    rows = data.train.first(2)
    return Loader(rows, data.kind, device, 2).rows(torch.arange(2) % len(rows.x))


def check_can_be_read(model: nn.Module, document: Any) -> None:
    """Build a model from the document that will be written, and compare the names and shapes of all tensors.

    Of a model with foreign modules, which have to be brought along, nothing is built.

    Raises:
        UserError: if that cannot be done, or they differ.
    """
    document = json.loads(json.dumps(document))
    if any(foreign_values(document)):
        return
    hint = "a registered part must be made again by its constructor's arguments; a class without @vk.part need not."
    try:
        with same_noise_after(torch.device("cpu")):
            rebuilt = from_document(document)
    except UserError as error:
        raise UserError(f"the trained model could not be read again: {error.message}", error.hint or hint) from error
    ours, theirs = ({name: tuple(each.shape) for name, each in module_tensors(one).items()} for one in (model, rebuilt))
    different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if different:
        name = different[0]
        now, then = (f"the shape {one[name]}" if name in one else "no such tensor" for one in (ours, theirs))
        raise UserError(
            f"the trained model could not be read again: of '{name}' it has {now}, and made from its arguments {then}.",
            hint,
        )


def check_all_is_trained(model: nn.Module, phases: Sequence[Phase]) -> None:
    """Check that every parameter that may move is trained in some phase.

    Raises:
        UserError: if parameters that may move are held by no player of a phase in which they could: they would stay
            what they are in silence.
    """
    held: set[int] = set()
    waiting: dict[int, str] = {}
    for phase in phases:
        trainable, objective = TrainableParts.of(model, phase), phase.objective
        players = trainable.players(objective).values()
        held |= {id(parameter) for player in players for parameter in player.parameters}
        still = trainable.still
        own = (("objective.", network) for network in objective.networks())
        for prefix, module in (("", model), *own):
            for name, parameter in module.named_parameters():
                if parameter.requires_grad and id(parameter) not in still:
                    waiting[id(parameter)] = prefix + name
    if idle := [name for key, name in waiting.items() if key not in held]:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        raise UserError(
            f"no player of the objective holds {', '.join(idle[:3])}{more}: they would stay as they are.",
            hint="give them to a player, or say that they rest: requires_grad_(False), or a phase's train= and rest=.",
        )
