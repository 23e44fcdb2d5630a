"""Checkpointer: records of epochs, the weights that are kept, and the state to resume from."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from vaekit.atomic import ASIDE, NotWritten, read_json, write_json, write_tensors, writing
from vaekit.errors import Interrupted, UserError
from vaekit.run.folder import GROWN_FROM, OBJECTIVE, STATE, take_place
from vaekit.run.metrics import read_metrics, rewrite_metrics
from vaekit.run.state import State

SAVE_EVERY_SECONDS = 300  # inside an epoch
REST = 10.0  # times what saving takes, between two ends of epochs that are saved: small data has fifty a second


class MemoryCheckpointer:
    """Keeps a training in memory: records of epochs, and the weights of the best one in the state.

    Args:
        state: of the training.
    """

    place = "in memory"
    due, rested, saved = False, False, False

    def __init__(self, state: State) -> None:
        self.state = state
        self.epochs = 0
        self.records: list[dict[str, Any]] = []
        self.contents: tuple[dict[str, Tensor], dict[str, str]] = {}, {}

    def begin(self) -> None:
        """Nothing was saved before."""

    def note(self, record: Mapping[str, Any]) -> None:
        """Take note of an epoch that has ended."""
        self.records.append(dict(record))

    def save(self) -> None:
        """Copy the state: it goes on moving."""
        tensors, metadata = self.state.contents()
        self.contents = {name: tensor.detach().clone() for name, tensor in tensors.items()}, metadata
        self.epochs = self.state.counters.epochs_total

    def take_place(self) -> None:
        """It is in nobody's place."""

    def interrupted(self, epoch: int) -> Interrupted:
        """What stopping raises."""
        return Interrupted(f"stopped in epoch {epoch}; nothing is on disk, the model holds its weights of now.", None)


class Checkpointer:
    """Keeps a training in its run folder. All processes have one, and only the first writes.

    Args:
        folder: the run folder.
        state: what is saved.
    """

    def __init__(self, folder: Path, state: State) -> None:
        self.folder, self.state = folder, state
        self.epochs = 0  # that are saved
        self._first = state.rng.world.first
        self._unsaved: list[dict[str, Any]] = []  # records of epochs since the last save
        self._best_is_new, self._saved_at, self._saving_took = False, time.monotonic(), 0.0

    @property
    def path(self) -> Path:
        """Where the state is saved."""
        return self.folder / STATE

    @property
    def place(self) -> str:
        """Where it is kept, in words."""
        return f"in {self.folder}"

    @property
    def metrics(self) -> Path:
        """Where the records of epochs are."""
        return self.folder / "metrics.jsonl"

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records that are saved."""
        return read_metrics(self.metrics)

    def interrupted(self, epoch: int) -> Interrupted:
        """What stopping raises; the state is saved before."""
        return Interrupted(f"stopped in epoch {epoch}; the state is saved.", self.folder)

    @property
    def saved(self) -> bool:
        """Whether there is a state to go on from; it may be just on its way to the folder above."""
        return self.path.exists() or (self.folder / ASIDE).exists()

    def begin(self) -> dict[str, dict[str, Tensor]] | None:
        """What was saved, for :meth:`State.restore`, if anything; the counters are set to it, and later records go.

        The weights that are kept become those of the state, whatever has happened to their file.
        """
        saved = self.state.read_counters(self.path) if self.path.exists() else None
        self.epochs = self.state.counters.epochs_total
        if self._first:
            with self._saving():
                kept = [record for record in read_metrics(self.metrics) if record["epoch"] <= self.epochs]
                rewrite_metrics(self.metrics, kept)
                self._write_document()
                if saved and (best := saved.get("best")):
                    self._write_weights(best, saved.get("best_networks", {}))
        return saved

    @property
    def due(self) -> bool:
        """Whether it is time to save, inside an epoch."""
        return time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS

    @property
    def rested(self) -> bool:
        """Whether it is time to save, at the end of an epoch."""
        return not self.saved or time.monotonic() - self._saved_at >= REST * self._saving_took

    def note(self, record: Mapping[str, Any]) -> None:
        """Take note of an epoch that has ended."""
        self._unsaved.append(dict(record))
        self._best_is_new |= record["kept"]

    def save(self) -> None:
        """Write what has happened since the last time.

        In this order: a stop between two files is undone by resuming, from the state that was saved before.

        Raises:
            UserError: if something cannot be written, saying what is kept.
        """
        begun = time.monotonic()
        with self._saving():
            if self._first:
                with open(self.metrics, "a") as file:
                    file.write("".join(json.dumps(record) + "\n" for record in self._unsaved))
                if self._best_is_new:
                    if self.state.document:
                        self._write_document()
                    self._write_weights(self.state.best, self.state.best_networks)
            self.state.save(self.path)
        self._unsaved, self._best_is_new = [], False
        self._saved_at, self.epochs = time.monotonic(), self.state.counters.epochs_total
        self._saving_took = self._saved_at - begun

    def _write_document(self) -> None:
        """The model in ``config.json`` as the state has it: grown, or as it was given."""
        path = self.folder / "config.json"
        config = read_json(path)
        given = config.pop(GROWN_FROM, config["model"])
        document = json.loads(self.state.document) if self.state.document else given
        if config["model"] != document:
            grown = {GROWN_FROM: given} if self.state.document else {}
            write_json(path, {**config, "model": document, **grown})

    def _write_weights(self, model: Mapping[str, Tensor], networks: Mapping[str, Tensor]) -> None:
        """Weights of the epoch that is kept: of the model, and of the objective's networks if it has some."""
        write_tensors(self.folder / "model.safetensors", model)
        if networks:
            phase = min(self.state.counters.phase, len(read_json(self.folder / "config.json")["phases"]) - 1)
            write_tensors(self.folder / OBJECTIVE, networks, {"phase": f"{phase}"})

    def take_place(self) -> None:
        """A new run that was trained beside the one before takes its place, now that an epoch of it is saved."""
        if self._first:
            with self._saving():
                self.folder = take_place(self.folder)

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with writing(self.folder):
                yield
        except NotWritten as error:
            hint = (
                f"vaekit train --resume {shlex.quote(f'{self.folder}')} goes on from there"
                if self.saved
                else "start again"
            )
            kept = "the last state saved is kept" if self.saved else "nothing was saved yet"
            raise UserError(error.message, f"{kept}: make room or make it writable, then {hint}.") from error
