"""A run is a folder: what was asked, the weights, what was measured, and the state to go on from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import vaekit.parts.registry  # noqa: F401 - so that the configuration can name them
from vaekit.atomic import load_module_tensors, read_tensors
from vaekit.data import load as load_data
from vaekit.data.dataset import Dataset, checked
from vaekit.data.kinds import Kind
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.evaluation import evaluate
from vaekit.evaluation.likelihood import evaluating
from vaekit.kernels.noise import same_noise_after
from vaekit.parts.record import from_document
from vaekit.run.config import read_config
from vaekit.run.folder import OBJECTIVE
from vaekit.run.metrics import read_metrics


class Run:
    """A finished or unfinished training run.

    ``config.json`` (how to rebuild the model, the data set, the phases, the settings),
    ``model.safetensors`` (the weights), ``metrics.jsonl`` (a line an epoch), ``state/`` (to resume).
    Nothing in it is a pickle and only registered parts are instantiated.

    Args:
        folder: the run folder.
        data: the data set, if it is at hand; else it is loaded by its name when it is needed.
    """

    def __init__(self, folder: str | Path, data: Dataset | None = None) -> None:
        self.folder = Path(folder)
        self._data = data

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json``.

        Raises:
            UserError: if the folder is not a run folder, or of a newer version.
        """
        return read_config(self.folder)

    @cached_property
    def model(self) -> Any:
        """The model with its trained weights, in evaluation mode."""
        with same_noise_after(torch.device("cpu")):  # which first weights are drawn from, and nobody sees
            model = from_document(self.config["model"])
        if not str(getattr(model, "part_name", "")).startswith("model/"):
            raise UserError(f"{self.folder / 'config.json'} does not describe a model.")
        path = self.folder / "model.safetensors"
        tensors, _ = read_tensors(path)
        load_module_tensors(model, tensors, path)
        return model.to(memory_format=torch.channels_last).eval()

    @cached_property
    def objective(self) -> Any:
        """The objective of the phase whose weights are kept, its networks (critics, classifiers) with theirs.

        Raises:
            UserError: if the run holds no such weights, or they do not fit.
        """
        path = self.folder / OBJECTIVE
        tensors, metadata = read_tensors(path)
        with same_noise_after(torch.device("cpu")):
            objective = from_document(self.config["phases"][int(metadata.get("phase", "0"))]).objective
        for index, network in enumerate(objective.networks()):
            own = {name.partition("/")[2]: each for name, each in tensors.items() if name.startswith(f"{index}/")}
            load_module_tensors(network, own, path)
            network.eval()
        return objective

    @cached_property
    def kind(self) -> Kind:
        """What the numbers are that the model was made for."""
        kind = from_document(self.config["data"]["kind"])
        try:
            kind.restore(torch.zeros(1, *self.config["data"]["shape"]))
        except (AttributeError, TypeError, ValueError, RuntimeError):
            raise UserError(f"{self.folder / 'config.json'} is damaged: data/kind does not fit data/shape.") from None
        return kind

    @cached_property
    def data(self) -> Dataset:
        """The data set that the run was trained on, as its model sees it.

        Raises:
            UserError: if it was given as arrays and has no name, cannot be had any more, or has changed.
        """
        if self._data is not None:
            return self._data
        document = self.config["data"]
        if not document["by_name"]:
            raise UserError(f"{self.folder} was trained on arrays given in Python; give the data to evaluate on.")
        data = load_data(document["name"]).read_as(self.kind)
        # Runs of older versions do not say what was loaded.
        if document.get("loaded", data.fingerprint) != data.fingerprint:
            raise UserError(
                f"{data.name} is not the data that {self.folder} was trained on, or it has changed.",
                hint="bring the old data back, or name it as DATA: it is then other data, read as the model reads it.",
            )
        return data

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """A record of each epoch."""
        return read_metrics(self.folder / "metrics.jsonl")

    @property
    def best(self) -> dict[str, Any]:
        """The record of the epoch that is kept; ``epochs``, ``seconds`` and ``skipped`` are the whole run's."""
        metrics = self.metrics
        if not metrics:
            raise UserError(f"no epoch of {self.folder} is finished.")
        best = ([record for record in metrics if record["kept"]] or metrics)[-1]
        last = {"epochs": metrics[-1]["epoch"], "seconds": metrics[-1]["seconds"], "skipped": metrics[-1]["skipped"]}
        return best | last

    def to(self, device: torch.device | str) -> Run:
        """Move the model to a device."""
        self.model.to(device)
        return self

    def evaluate(self, data: Dataset | None = None, **options: Any) -> dict[str, Any]:
        """All figures of the model, see :func:`vaekit.evaluation.evaluate`.

        Args:
            data: other data of the same shape; the run's own without it.
            options: ``split``, ``samples`` … as there.

        Raises:
            TypeError: if the data are not a :class:`Dataset`.
            UserError: if they do not fit the model, or an option is wrong.
        """
        if data is None:
            data = self.data
        else:
            classes = tuple(self.config["data"].get("classes", ()))
            data = checked(data).read_as(self.kind).numbered_as(classes, others="classify" not in self.model.abilities)
        self.check(data)
        device = next(self.model.parameters()).device
        return evaluate(self.model, data, device=device, open_run=load, **options)

    def check(self, data: Dataset) -> None:
        """
        Raises:
            UserError: if the data does not have the shape or kind that the model was made for, or the model does not
                take a row of it although it should.
        """
        expected = tuple(self.config["data"]["shape"])
        if data.shape != expected:
            raise UserError(
                f"the model of {self.folder} was made for examples of shape {expected}; "
                f"those of {data.name} are {data.shape}."
            )
        if type(self.kind) is not type(data.kind):
            raise UserError(
                f"the model of {self.folder} was made for {self.kind.describe()}; "
                f"{data.name} holds {data.kind.describe()}."
            )
        device = next(self.model.parameters()).device
        with evaluating(self.model, 0):
            # Twice: one row by itself passes for an example without an axis of rows.
            batch = Loader(data.test.first(1), data.kind, device, 2).rows(torch.zeros(2, dtype=torch.long))
            try:
                self.model.encode(batch.x, batch.condition)
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"{self.folder / 'config.json'} is damaged: it describes a model that does not take examples of "
                    f"shape {expected}."
                ) from error


def load(folder: str | Path, data: Dataset | None = None) -> Run:
    """Open a run folder.

    Raises:
        UserError: if it is not one.
    """
    run = Run(folder, data)
    _ = run.config
    return run
