"""Run: a trained model with its data, its metrics, and the verbs of the command line."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data import load as load_data
from vaekit.data.dataset import Dataset, Split
from vaekit.data.inputs import rows_for
from vaekit.data.kinds import Kind
from vaekit.data.loader import Loader
from vaekit.distributions.moments import centre
from vaekit.errors import UserError, unknown
from vaekit.evaluation import evaluate
from vaekit.evaluation.anomaly import scores, threshold
from vaekit.evaluation.fitness import check_finite
from vaekit.evaluation.impute import complete
from vaekit.evaluation.latents import encodings, latents_of
from vaekit.evaluation.likelihood import evaluating, log_likelihood
from vaekit.evaluation.traversal import rank_units, traverse
from vaekit.models.draw import bare, encoded
from vaekit.parts.foreign import foreign_values, must_be_brought
from vaekit.parts.record import from_document
from vaekit.run.results import Codes, Completed, Reconstruction, Traversal
from vaekit.run.store import FolderStore, MemoryStore

ENCODED, REBUILT, SCORED = 500, 500, 100  # rows in a batch
ORDERED_ON = 1000  # rows on which the units are put in order

Progress = Callable[[int], None]


def quietly(rows: int) -> None:
    """No progress."""


class Run:
    """A trained model, finished or not.

    The verbs take rows as ``fit`` does (arrays, tensors, data frames, torch data sets, ``(X, y)``, a
    :class:`vaekit.data.Dataset`) and read them as the data that the model was trained on: columns in its order, real
    numbers by its mean and scale. Without rows they are about the test split of the run's own data. What they give
    back is in the units of the data.

    Args:
        where: the run folder, or another store of a run.
        data: the data set, if it is at hand; else it is loaded by its name when it is needed.
    """

    def __init__(self, where: str | Path | FolderStore | MemoryStore, data: Dataset | None = None) -> None:
        self.store: Any = FolderStore(Path(where)) if isinstance(where, str | Path) else where
        self._data = data

    @property
    def folder(self) -> Path:
        """The run folder.

        Raises:
            UserError: if the run is in memory.
        """
        if self.store.folder is None:
            raise UserError("this run is in memory.", hint="run.save(folder) writes its folder.")
        return self.store.folder

    def __str__(self) -> str:
        return "this run" if self.store.folder is None else f"{self.store.folder}"

    @property
    def config(self) -> dict[str, Any]:
        """How to rebuild the model, the data set, the phases, the settings: ``config.json``."""
        return self.store.config

    @property
    def model(self) -> Any:
        """The model with the weights that are kept, in evaluation mode."""
        return self.store.model

    @property
    def objective(self) -> Any:
        """The objective of the phase that is kept, its networks (critics, classifiers) with their weights.

        Raises:
            UserError: if it has no networks.
        """
        return self.store.objective

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """A record of each epoch."""
        return self.store.metrics

    @cached_property
    def kind(self) -> Kind:
        """Kind of data that the model was made for."""
        kind = from_document(self.config["data"]["kind"])
        try:
            kind.restore(torch.zeros(1, *self.config["data"]["shape"]))
        except (AttributeError, TypeError, ValueError, RuntimeError):
            raise UserError(f"{self._file} is damaged: data/kind does not fit data/shape.") from None
        return kind

    @property
    def _file(self) -> str:
        return "the configuration" if self.store.folder is None else f"{self.store.folder / 'config.json'}"

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
            raise UserError(f"{self} was trained on arrays given in Python; give the data to evaluate on.")
        data = load_data(document["name"]).read_as(self.kind)
        # Runs of older versions do not say what was loaded.
        if document.get("loaded", data.fingerprint) != data.fingerprint:
            raise UserError(
                f"{data.name} is not the data that {self} was trained on, or it has changed.",
                hint="bring the old data back, or name it as DATA: it is then other data, read as the model reads it.",
            )
        return data

    @property
    def best(self) -> dict[str, Any]:
        """The record of the epoch that is kept; ``epochs``, ``seconds`` and ``skipped`` are the whole run's."""
        metrics = self.metrics
        if not metrics:
            raise UserError(f"no epoch of {self} is finished.")
        best = ([record for record in metrics if record["kept"]] or metrics)[-1]
        last = {"epochs": metrics[-1]["epoch"], "seconds": metrics[-1]["seconds"], "skipped": metrics[-1]["skipped"]}
        return best | last

    def to(self, device: torch.device | str) -> Run:
        """Move the model to a device."""
        self.model.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Run:
        """Write a run that is in memory as the run folder that training there would have left.

        Args:
            folder: where; it must be new or empty.
            overwrite: replace the run that is there.

        Returns:
            The run in that folder.

        Raises:
            UserError: if the run has a folder already, or this one is in use or cannot be written.
        """
        if not isinstance(self.store, MemoryStore):
            raise UserError(f"this run is in {self.folder} already.")
        self.store.save(Path(folder), overwrite)
        return Run(self.store.opened(Path(folder)), self._data)

    def again(self) -> Run:
        """The run of a folder opened anew, with a model of its own.

        Raises:
            UserError: if the run is in memory.
        """
        return Run(FolderStore(self.folder, *copy.deepcopy(self.store.brought)), self._data)

    # What the verbs are about.

    @property
    def classes(self) -> tuple[int | str, ...]:
        """The classes that the model tells apart, in the order of their numbers; none if it knows no labels."""
        document = self.config["data"]
        if "condition_shape" in document:
            return ()
        used = document.get("condition_dim", 0) or getattr(self.model, "num_classes", 0)
        return tuple(document.get("classes", ()) or range(used)) if used else ()

    def condition(self, count: int, label: Any = None, given: Any = None) -> Tensor | None:
        """The condition of ``count`` new rows of a model that has one; ``None`` for any other model.

        Args:
            count: how many rows.
            label: the class of all of them, or that of each ``(count,)``, as they are called in the data; without it
                classes come in turn.
            given: conditions of a model of arrays (attributes, images), ``(count, *shape)``.

        Raises:
            UserError: if there is no such class, or the model knows none, or there are not ``count``; if conditions are
                missing, or of another shape.
        """
        shape = self.config["data"].get("condition_shape")
        if shape is not None and label is None:
            if given is None:
                raise UserError(f"the model of {self} is conditioned on arrays {tuple(shape)}: give condition=.")
            array = torch.as_tensor(np.asarray(given), dtype=torch.get_default_dtype(), device=self.device)
            if array.shape != (count, *shape):
                raise UserError(
                    f"the model of {self} is conditioned on arrays {tuple(shape)}, and {count} rows were given "
                    f"conditions {tuple(array.shape)}."
                )
            return array
        if given is not None:
            raise UserError(f"the model of {self} is not conditioned on arrays.")
        names = {f"{name}": number for number, name in enumerate(self.classes)}
        if label is not None and not names:
            raise UserError(f"the model of {self} knows no class {label}: it was not made with labels.")
        if not names:
            return None
        given = np.resize([*names], count) if label is None else np.asarray(label)
        if given.ndim and len(given) != count:
            raise UserError(f"there are {count} rows of latents and {len(given)} labels beside them.")
        called = [f"{name}" for name in np.broadcast_to(given, count)]
        if strangers := {*called} - {*names}:
            raise unknown(f"class of the model of {self}", min(strangers), names)
        chosen = torch.tensor([names[name] for name in called])
        return torch.nn.functional.one_hot(chosen, len(names)).to(self.device, torch.get_default_dtype())

    def read(self, data: Any = None) -> Dataset:
        """Rows as the model sees them, checked against it; the run's own data without any.

        Raises:
            UserError: if they do not fit the model.
        """
        if data is None:
            chosen = self.data
        else:
            # A class that the model has no use for may be a new one.
            chosen = rows_for(data, self.kind).read_as(self.kind)
            chosen = chosen.numbered_as(tuple(self.config["data"].get("classes", ())), others=not self.classes)
        conditioned = self.config["data"].get("condition_dim", 0)
        shape = self.config["data"].get("condition_shape")
        if shape is not None and chosen.condition_shape != tuple(shape):
            raise UserError(
                f"the model of {self} is conditioned on arrays of shape {tuple(shape)}; those of {chosen.name} are "
                f"{chosen.condition_shape or 'missing'}.",
                hint="give them with the rows: vaekit.data.as_dataset(x, condition=…).",
            )
        if conditioned and not chosen.condition_dim:
            chosen = chosen.conditioned(conditioned)
        self.check(chosen)
        return chosen

    def _rows(self, data: Any, split: str | None) -> tuple[Dataset, Split]:
        """The data, and the rows of the split: ``test`` by default, all of rows without splits."""
        chosen = self.read(data)
        undivided = chosen.train.x is chosen.test.x
        return chosen, chosen.split(split or ("all" if undivided else "test"))

    def check(self, data: Dataset) -> None:
        """Check that rows have the shape and kind that the model was made for.

        Raises:
            UserError: if the data does not have the shape or kind that the model was made for, or the model does not
                take a row of it although it should.
        """
        expected = tuple(self.config["data"]["shape"])
        if data.shape != expected:
            raise UserError(
                f"the model of {self} was made for examples of shape {expected}; those of {data.name} are {data.shape}."
            )
        if type(self.kind) is not type(data.kind):
            raise UserError(
                f"the model of {self} was made for {self.kind.describe()}; {data.name} holds {data.kind.describe()}."
            )
        if "encode" not in self.model.abilities:
            return
        with evaluating(self.model, 0):
            # Twice: one row by itself passes for an example without an axis of rows.
            batch = Loader(data.test.first(1), data.kind, self.device, 2).rows(torch.zeros(2, dtype=torch.long))
            try:
                encoded(self.model, batch)
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"{self._file} is damaged: it describes a model that does not take examples of shape {expected}."
                ) from error

    def _needs(self, verb: str, *abilities: str) -> None:
        """Check that the model has the abilities of a verb.

        Raises:
            UserError: if the model lacks one of the abilities.
        """
        if missing := [each for each in abilities if each not in self.model.abilities]:
            raise UserError(
                f"the model of {self} cannot {verb}: it has no ability '{missing[0]}' "
                f"({', '.join(sorted(self.model.abilities)) or 'none'})."
            )

    # The verbs.

    def encode(
        self, data: Any = None, *, split: str | None = None, seed: int = 0, progress: Progress = quietly
    ) -> Codes:
        """Mean and standard deviation of q(z|x) of every row.

        Args:
            data: rows; the run's own without any.
            split: ``train``, ``validation``, ``test`` or ``all``.
            seed: of a dynamic binarisation.
            progress: told the number of rows finished.
        """
        self._needs("encode", "encode")
        chosen, rows = self._rows(data, split)
        loader = Loader(rows, chosen.kind, self.device, ENCODED)
        found = encodings(self.model, loader, seed, progress)
        label = None if rows.label is None else chosen.written(rows.label)
        return Codes({name: (each.mean.numpy(), each.scale.numpy()) for name, each in found.items()}, label)

    def decode(
        self,
        z: Any,
        *,
        label: Any = None,
        condition: Any = None,
        values: str = "mean",
        seed: int = 0,
        units: str = "data",
    ) -> np.ndarray:
        """What the model makes of latents, ``(rows, *example)``.

        Args:
            z: an array of all latents side by side ``(rows, units)``, or arrays by latent.
            label: the class of all rows or of each, of a model that knows classes.
            condition: of each row ``(rows, *shape)``, of a model that is conditioned on arrays.
            values: the ``mean`` of p(x|z), or a ``sample`` of it.
            seed: of the draws.
            units: of the ``data``, or as the ``model`` sees it.

        Raises:
            UserError: if they are no latents of the model.
        """
        self._needs("decode", "decode", "sample")
        one = None if condition is None else np.asarray(condition)[:1]
        latents = latents_of(z, "z", self.model, self.device, self.condition(1, given=one))
        conditioned = bool(self.config["data"].get("condition_dim", 0))
        with evaluating(self.model, seed):
            # Where the class is a latent, it is among them, unless another is asked for.
            asked = conditioned or label is not None
            rows = len(next(iter(latents.values())))
            p = self.model.decode(bare(latents), self.condition(rows, label, condition) if asked else None)
            return self._values(p.mean if values == "mean" else p.sample(), units)

    def sample(
        self,
        count: int = 64,
        *,
        label: Any = None,
        condition: Any = None,
        values: str = "mean",
        seed: int = 0,
        units: str = "data",
    ) -> np.ndarray:
        """New data, ``(count, *example)``; z is drawn from the prior.

        Args:
            count: how many.
            label: the class of all of them or of each, of a model that knows classes; all in turn without it.
            condition: of each row ``(rows, *shape)``, of a model that is conditioned on arrays.
            values: the ``mean`` of p(x|z), or a ``sample`` of it.
            seed: of the draws.
            units: of the ``data``, or as the ``model`` sees it.
        """
        self._needs("sample", "sample")
        with evaluating(self.model, seed):
            p = self.model.generate(count, self.condition(count, label, condition))
            return self._values(p.mean if values == "mean" else p.sample(), units)

    def reconstruct(
        self,
        data: Any = None,
        *,
        number: int | None = None,
        split: str | None = None,
        seed: int = 0,
        units: str = "data",
        progress: Progress = quietly,
    ) -> Reconstruction:
        """Rows beside the mean of p(x|z) at their codes.

        Args:
            data: rows; the run's own without any.
            number: how many, from the first; all by default.
            split: ``train``, ``validation``, ``test`` or ``all``.
            seed: of a dynamic binarisation.
            units: of the ``data``, or as the ``model`` sees it.
            progress: told the number of rows finished.
        """
        self._needs("reconstruct", "encode", "decode")
        chosen, rows = self._rows(data, split)
        loader = Loader(rows, chosen.kind, self.device)
        found: list[tuple[np.ndarray, np.ndarray]] = []
        with evaluating(self.model, seed):
            for places in torch.arange(min(number or len(rows.x), len(rows.x))).split(REBUILT):
                batch = loader.rows(places)
                code = centre(encoded(self.model, batch))
                mean = self.model.decode(code, batch.condition).mean
                found.append((self._values(mean, units, chosen.kind), self._values(batch.x, units, chosen.kind)))
                progress(len(places))
        return Reconstruction(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def score(
        self,
        data: Any = None,
        *,
        samples: int = 100,
        split: str | None = None,
        seed: int = 0,
        progress: Progress = quietly,
    ) -> np.ndarray:
        """−log p(x) of every row in nats, ``(rows,)``: how unlikely it is, of what the model sees.

        Args:
            data: rows; the run's own without any.
            samples: draws for each row.
            split: ``train``, ``validation``, ``test`` or ``all``.
            seed: of the draws.
            progress: told the number of rows finished.
        """
        chosen, rows = self._rows(data, split)
        check_finite(self.model, next(iter(Loader(rows.first(100), chosen.kind, self.device, 100))))
        batches = Loader(rows, chosen.kind, self.device, SCORED)
        return scores(self.model, batches, samples=samples, seed=seed, progress=progress).numpy()

    def threshold(
        self, share: float = 0.01, *, samples: int = 100, seed: int = 0, progress: Progress = quietly
    ) -> float:
        """The score that only this share of the run's validation rows exceeds, in nats."""
        data = self.data
        batches = Loader(data.validation, data.kind, self.device, SCORED)
        return threshold(scores(self.model, batches, samples=samples, seed=seed, progress=progress), 1 - share)

    def impute(
        self,
        data: Any = None,
        *,
        samples: int = 1000,
        values: str = "mean",
        split: str | None = None,
        seed: int = 0,
        progress: Progress = quietly,
    ) -> Completed:
        """Rows with their missing cells (NaN) filled by what the model expects there, given the observed ones.

        Args:
            data: rows; the run's own without any.
            samples: draws for each row, weighted by importance.
            values: the ``mean`` of p(missing|observed), or a ``sample`` of it.
            split: ``train``, ``validation``, ``test`` or ``all``.
            seed: of the draws.
            progress: told the number of rows finished.
        """
        self._needs("impute", "encode", "decode")
        chosen, rows = self._rows(data, split)
        options = {"samples": samples, "values": values, "seed": seed, "progress": progress}
        x, effective = complete(self.model, rows, chosen.kind, device=self.device, **options)
        return Completed(x, np.asarray(effective), rows.mask)

    def traverse(
        self,
        data: Any = None,
        *,
        row: int = 0,
        units: int = 10,
        steps: int = 11,
        reach: float = 3.0,
        split: str | None = None,
        seed: int = 0,
    ) -> Traversal:
        """What each unit of the latents does: moved alone from −reach to reach, the most used unit first.

        Args:
            data: rows; the run's own without any.
            row: the example from which it starts; the other units stay at its posterior mean.
            units: how many.
            steps: values that each unit takes.
            reach: how far a unit goes to either side of 0.
            split: ``train``, ``validation``, ``test`` or ``all``.
            seed: of a dynamic binarisation.

        Raises:
            UserError: if there is no such row, or no latent that is a vector of numbers.
        """
        self._needs("traverse", "encode", "decode")
        chosen, rows = self._rows(data, split)
        if not 0 <= row < len(rows.x):
            raise UserError(f"there is no row {row}: {chosen.name} has rows 0 to {len(rows.x) - 1}.")
        some = Loader(rows.spread(ORDERED_ON), chosen.kind, self.device, 100)
        dense = "density" in self.model.abilities
        kl = log_likelihood(self.model, some, 1, seed=seed).kl_dims if dense else {}
        found = encodings(self.model, some, seed)
        ranking = rank_units(found, {name: value.tolist() for name, value in kl.items()})
        if not (chosen_units := ranking.units[:units]):
            raise UserError(f"the model of {self} has no latent that is a vector of numbers: nothing to move.")
        with evaluating(self.model, seed):
            first = Loader(rows, chosen.kind, self.device).rows(torch.tensor([row]))
        values = torch.linspace(-reach, reach, steps, device=self.device)
        paths = traverse(self.model, first, chosen_units, values, seed=seed)
        return Traversal(chosen_units, ranking, values.cpu().numpy(), paths, first.x, chosen.kind)

    def evaluate(self, data: Any = None, **options: Any) -> dict[str, Any]:
        """All figures of the model, see :func:`vaekit.evaluation.evaluate`.

        Args:
            data: rows; the run's own without any.
            options: ``split``, ``samples`` … as there.

        Raises:
            UserError: if they do not fit the model, or an option is wrong.
        """
        chosen = self.read(data)
        if data is not None and not isinstance(data, Dataset):
            options = {"split": "all", **options}
        return evaluate(self.model, chosen, device=self.device, open_run=load, **options)

    def report(self, data: Any = None, *, out: str | Path | None = None, **options: Any) -> Path:
        """Write one page about the run: curve, numbers, pictures, findings. It opens without the network.

        Args:
            data: rows; the run's own without any.
            out: where; ``report.html`` in the run folder without it.
            options: ``split``, ``samples``, ``limit``, ``seed``, ``findings`` … of :func:`vaekit.report.write_report`.

        Returns:
            Where the page is.
        """
        from vaekit.report import write_report  # it loads matplotlib

        self._needs("report", "encode", "decode", "sample")
        place = Path(out) if out is not None else self.folder / "report.html"
        if data is not None and not isinstance(data, Dataset):
            options = {"split": "all", **options}
        return write_report(self, None if data is None else self.read(data), out=place, **options)

    def _values(self, x: Tensor, units: str, kind: Kind | None = None) -> np.ndarray:
        """Values as an array, in the units of the data or as the model sees them."""
        if units not in ("data", "model"):
            raise ValueError(f"units must be data or model, got '{units}'")
        return ((kind or self.kind).restore(x) if units == "data" else x).detach().cpu().numpy()


def load(folder: str | Path, data: Dataset | None = None, *, model: Any = None, objective: Any = None) -> Run:
    """Open a run folder.

    Args:
        folder: the run folder.
        data: the data set, if it is at hand.
        model: a model made as the trained one was, if classes of it are no registered parts; it is given the weights.
        objective: the same, of the last phase.

    Raises:
        UserError: if it is not one, its model has to be brought along, or that is another one.
    """
    run = Run(FolderStore(Path(folder), model, objective), data)
    if model is not None:
        _ = run.model
    elif foreign := next(foreign_values(run.config["model"]), None):
        raise must_be_brought(*foreign)
    return run
