"""Fit: a training from its arguments to its run."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from vaekit import __version__
from vaekit.atomic import NEW
from vaekit.data.dataset import Dataset
from vaekit.data.inputs import dataset_of
from vaekit.distributed.context import DistributedContext
from vaekit.errors import TrainingFailed
from vaekit.evaluation.fitness import is_over_bits
from vaekit.objectives import ELBO, Objective
from vaekit.parts.record import to_document
from vaekit.run.brought import brought_along
from vaekit.run.checkpointer import Checkpointer, MemoryCheckpointer
from vaekit.run.config import FORMAT
from vaekit.run.folder import (
    clear_folder,
    open_folder,
    recorded_settings,
    removing_what_is_empty,
)
from vaekit.run.run import Run
from vaekit.run.store import FolderStore, MemoryStore, grown
from vaekit.schedules import Schedule
from vaekit.training.loop import Training
from vaekit.training.model_checks import (
    check_all_is_trained,
    check_can_be_read,
    check_is_model,
    make_lazy_parameters,
    wrong_shape,
)
from vaekit.training.settings import OPEN, Phase, Settings, settled


def fit(
    model: nn.Module,
    data: Any,
    *,
    validation: Any = None,
    objective: Objective | None = None,
    epochs: int | None = None,
    learning_rate: float | Schedule | None = None,
    phases: Sequence[Phase] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    initialize: bool = True,
    note: dict[str, Any] | None = None,
    **options: Any,
) -> Run:
    """Train a model and return its run.

    Processes started by ``torchrun`` train together (:mod:`vaekit.distributed`); all of them must see the run folder.

    Args:
        model: what to train; it is moved to the device and changed in place.
        data: what to train it on: a numpy array, a tensor, a data frame (pandas, polars), a map-style torch data set,
            ``(X, y)`` with labels, or a :class:`vaekit.data.Dataset`. Of rows a tenth each is set aside for validation
            and test (:func:`vaekit.data.as_dataset` has more options).
        validation: rows of the same forms by which epochs are compared; then all of ``data`` is trained on.
        objective, epochs, learning_rate: of a single phase; the evidence lower bound, 10 and 0.001 by default.
        phases: several phases, instead of the three above.
        settings: what holds for all of it; or give its fields (``batch_size=…``, ``seed=…``) directly.
        out: the run folder; without one the run is kept in memory, and ``run.save(folder)`` writes it.
        resume: go on from the state in ``out``, exactly as if it had not stopped; starts if there is none.
        overwrite: start again in a run folder that is in use; the run in it stays until an epoch of the new one is
            saved, and is trained beside in ``out/.new`` until then.
        quiet: show no progress.
        initialize: whether parts that start from data (pseudo-inputs, say) see training rows before the first step;
            not if the model was trained before and is to go on.
        note: more to be written into ``config.json``.
        options: fields of :class:`Settings`.

    Raises:
        TypeError: if the model is none.
        ValueError: if an option is out of range, or phases are given beside what a single one would be made of.
        UserError: if the data cannot be used, or the weights are no ``float32``; if ``out`` is not empty and ``resume``
            is not set, or holds another run (nothing is written then); if it cannot be written (no space, read-only),
            and the last state saved is kept.
        Interrupted: on Ctrl-C, with the state saved; in memory the model keeps its weights of then.
        TrainingFailed: if steps are not finite many times in a row, with the last good state saved; or if the
            validation figures were numbers after no epoch of a phase.
    """
    check_is_model(model)
    data_set = dataset_of(data, validation, bits=is_over_bits(model))
    make_lazy_parameters(model, data_set)
    single: dict[str, Any] = {"objective": objective, "epochs": epochs, "learning_rate": learning_rate}
    single = {name: value for name, value in single.items() if value is not None}
    if phases and single:
        raise ValueError(f"give phases or {', '.join(single)} of a single one, not both")
    phases = tuple(phases) or (Phase(**{"objective": ELBO(), **single}),)
    settings = replace(settings or Settings(), **options)
    world = DistributedContext.here()
    device = world.device(settings.device)
    world.join(device)
    recorded: dict[str, Any] = {}
    if out is None and (resume or overwrite):
        raise ValueError("resume and overwrite are about a run folder: name it with out")
    if out is not None:
        recorded = {name: value for name, value in recorded_settings(Path(out), resume).items() if name in OPEN}
    settings = settled(
        settings,
        json.loads(world.all_gather_text(json.dumps(recorded))[0]),
        processes=world.size,
        steps=sum(phase.epochs for phase in phases) * -(-data_set.train.num_rows // settings.batch_size),
        numbers=sum(each.numel() for each in model.parameters()) + settings.batch_size * math.prod(data_set.shape),
        on=device.type,
    )
    config = {
        "format": FORMAT,
        "vaekit": __version__,
        "data": data_set.document,
        "model": to_document(model),
        "phases": [to_document(phase) for phase in phases],
        "settings": to_document(settings),
        **(note or {}),
    }
    check_can_be_read(model, config["model"])
    check_all_is_trained(model, phases)
    if out is None:
        training = Training(model, data_set, phases, settings, None, quiet, world, initialize)
        return _in_memory(training, config, data_set)
    folder = Path(world.all_gather_text(f"{out}")[0])
    training = Training(model, data_set, phases, settings, folder, quiet, world, initialize)
    return _in_folder(training, folder, config, data_set, resume=resume, overwrite=overwrite)


def _in_memory(training: Training, config: dict[str, Any], data: Dataset) -> Run:
    """Train, and keep everything in memory."""
    try:
        training.run()
    except Exception as error:
        if said := wrong_shape(training.model, data, error):
            raise said from error
        raise
    state, checkpointer = training.state, training.checkpointer
    assert isinstance(checkpointer, MemoryCheckpointer)
    store = MemoryStore(
        state.shown,
        training.phases[-1].objective,
        grown(config, state.document),
        checkpointer.records,
        state.best,
        state.best_networks,
        checkpointer.contents,
    )
    return Run(store, data)


def _in_folder(
    training: Training, folder: Path, config: dict[str, Any], data: Dataset, *, resume: bool, overwrite: bool
) -> Run:
    """Train, and keep everything in a run folder."""
    world, checkpointer = training.world, training.checkpointer
    assert isinstance(checkpointer, Checkpointer)
    with removing_what_is_empty(folder) if world.first else nullcontext():
        if world.first:
            checkpointer.folder = open_folder(folder, config, resume=resume, overwrite=overwrite)
        checkpointer.folder = Path(world.all_gather_text(f"{checkpointer.folder}")[0])
        try:
            training.run()
        except Exception as error:
            # The parts do not work together: found at the first step. Nothing is left behind.
            in_vain = checkpointer.folder.name == NEW or not isinstance(error, TrainingFailed)
            if world.first and not checkpointer.saved and in_vain:
                clear_folder(checkpointer.folder)
            if not checkpointer.saved and (said := wrong_shape(training.model, data, error)):
                raise said from error
            raise
    folder = Path(world.all_gather_text(f"{checkpointer.folder}")[0])
    return Run(FolderStore(folder, *brought_along(config, training.model, training.phases[-1].objective)), data)
