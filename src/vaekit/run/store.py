"""Stores of a run: a folder, or memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vaekit.parts.registry  # noqa: F401 - so that the configuration can name them
from vaekit.atomic import load_module_tensors, read_tensors, write_tensors
from vaekit.errors import UserError
from vaekit.kernels.noise import same_noise_after
from vaekit.parts.record import from_document
from vaekit.run.brought import brought_along, check_brought, check_same
from vaekit.run.config import read_config
from vaekit.run.folder import GROWN_FROM, OBJECTIVE, STATE, open_folder, take_place
from vaekit.run.metrics import read_metrics, rewrite_metrics

WEIGHTS, METRICS = "model.safetensors", "metrics.jsonl"


class FolderStore:
    """A run folder: ``config.json``, ``model.safetensors``, ``metrics.jsonl``, ``state/``.

    Nothing in it is a pickle and only registered parts are instantiated.

    Args:
        folder: which.
        model, objective: brought along, where their classes are no registered parts; they are given the weights.
    """

    def __init__(self, folder: Path, model: Any = None, objective: Any = None) -> None:
        self.folder = folder
        self.brought = (model, objective)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Content of ``config.json``.

        Raises:
            UserError: if the folder is not a run folder, or of a newer version.
        """
        return read_config(self.folder)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return read_metrics(self.folder / METRICS)

    @cached_property
    def model(self) -> Any:
        """The model with the weights that are kept.

        Raises:
            UserError: if it cannot be made of the configuration, or the weights do not fit.
        """
        if (model := self.brought[0]) is not None:
            check_brought(model, self.config, self.folder)
        else:
            with same_noise_after(torch.device("cpu")):  # which first weights are drawn from, and nobody sees
                model = from_document(self.config["model"])
            if not str(getattr(model, "part_name", "")).startswith("model/"):
                raise UserError(f"{self.folder / 'config.json'} does not describe a model.")
        path = self.folder / WEIGHTS
        tensors, _ = read_tensors(path)
        load_module_tensors(model, tensors, path)
        return model.to(memory_format=torch.channels_last).eval()

    @cached_property
    def objective(self) -> Any:
        """The objective with the weights of its networks that are kept.

        Raises:
            UserError: if the run holds no such weights, or they do not fit.
        """
        path = self.folder / OBJECTIVE
        tensors, metadata = read_tensors(path)
        phase = self.config["phases"][int(metadata.get("phase", "0"))]
        if (objective := self.brought[1]) is not None:
            check_same(phase["objective"], objective, "objective", self.folder)
        else:
            with same_noise_after(torch.device("cpu")):
                objective = from_document(phase).objective
        return _with_weights(objective, tensors, path)


class MemoryStore:
    """A run that was trained in memory.

    Args:
        model: what was trained; it is copied.
        objective: of the phase that is kept.
        config: as it would be written.
        records: a record of each epoch.
        best: weights of the epoch that is kept.
        networks: those of the objective's networks.
        state: tensors and metadata to go on from.
    """

    folder = None

    def __init__(
        self,
        model: nn.Module,
        objective: Any,
        config: dict[str, Any],
        records: list[dict[str, Any]],
        best: Mapping[str, Tensor],
        networks: Mapping[str, Tensor],
        state: tuple[dict[str, Tensor], dict[str, str]],
    ) -> None:
        self.config, self.metrics, self._best, self._networks, self._state = config, records, best, networks, state
        self._model, self._objective = model, objective

    @cached_property
    def model(self) -> Any:
        model = copy.deepcopy(self._model)
        load_module_tensors(model, self._best, "the trained weights")
        return model.eval()

    @cached_property
    def objective(self) -> Any:
        """The objective with the weights of its networks that are kept.

        Raises:
            UserError: if it has no networks.
        """
        if not self._networks:
            raise UserError("the objective of this run has no networks of its own.")
        return _with_weights(copy.deepcopy(self._objective), self._networks, "the trained weights")

    def save(self, folder: Path, overwrite: bool) -> None:
        """Write the run folder that training there would have left.

        Raises:
            UserError: if the folder is in use or cannot be written.
        """
        place = open_folder(folder, self.config, resume=False, overwrite=overwrite)
        write_tensors(place / WEIGHTS, self._best)
        if self._networks:
            write_tensors(place / OBJECTIVE, self._networks, {"phase": f"{len(self.config['phases']) - 1}"})
        rewrite_metrics(place / METRICS, self.metrics)
        write_tensors(place / STATE, *self._state)
        if place != folder:
            take_place(place)

    def opened(self, folder: Path) -> FolderStore:
        """The folder that was saved, with copies of what no document can make."""
        model, objective = brought_along(self.config, self._model, self._objective)
        return FolderStore(folder, model, objective)


def grown(config: dict[str, Any], document: str) -> dict[str, Any]:
    """The configuration of a run whose model has grown; unchanged where it has not (``document`` is empty)."""
    return config | {"model": json.loads(document), GROWN_FROM: config["model"]} if document else config


def _with_weights(objective: Any, tensors: Mapping[str, Tensor], where: object) -> Any:
    """An objective with the weights of its networks, in evaluation mode."""
    for index, network in enumerate(objective.networks()):
        own = {name.partition("/")[2]: each for name, each in tensors.items() if name.startswith(f"{index}/")}
        load_module_tensors(network, own, where)
        network.eval()
    return objective
