"""The loop. It steps the players it is told of and knows nothing about models."""

from __future__ import annotations

import json
import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaekit import __version__
from vaekit.config import part, to_document
from vaekit.data.dataset import Dataset
from vaekit.data.loader import Loader
from vaekit.errors import Interrupted, TrainingFailed, UserError
from vaekit.evaluation.likelihood import bound
from vaekit.objectives import ELBO, Objective
from vaekit.objectives.objective import Player
from vaekit.schedules import Schedule, Step, at
from vaekit.training.files import is_leftover, write_json, write_tensors
from vaekit.training.progress import Bar, say
from vaekit.training.run import FORMAT, Run, read_config, read_metrics, rewrite_metrics
from vaekit.training.state import State
from vaekit.training.watch import finite, gradient_norm, name_the_cause, put_back

SAVE_EVERY_SECONDS = 300
MOST_SKIPPED_IN_A_ROW = 20


@part("training/phase")
@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Args:
        objective: what is maximised.
        epochs: how long.
        learning_rate: a number or a schedule over the phase.
        train: names of the model's parts that move (``("prior",)``); all of it by default. What is in no
            other part rests.
        rest: names of parts that rest all the same, with whatever moving parts share with them (a prior
            shares its code book with the posterior, say).

    Raises:
        ValueError: if a number is out of range.
    """

    objective: Objective
    epochs: int = 10
    learning_rate: float | Schedule = 1e-3
    train: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _whole("epochs", self.epochs, 1)
        if not callable(self.learning_rate):
            _number("learning_rate", self.learning_rate)


@part("training/settings")
@dataclass(frozen=True)
class Settings:
    """What holds for the whole training.

    Args:
        batch_size: rows in a batch.
        seed: of the data order and of all noise.
        optimizer: ``adam``, ``adamax``, ``adagrad``, ``rmsprop`` or ``sgd``.
        weight_decay: of the optimiser.
        clip_norm: largest norm of a player's gradient; 0 for no limit.
        ema_decay: decay of a running average of the weights, which then is what is kept; 0 for none.
        patience: stop after so many epochs without a better validation figure; 0 for never.
        keep_best: keep the weights of the best validation figure rather than the last.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the best there is.

    Raises:
        ValueError: if a number is out of range or the optimiser is not known.
    """

    batch_size: int = 128
    seed: int = 0
    optimizer: str = "adam"
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    patience: int = 0
    keep_best: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        _whole("batch_size", self.batch_size, 1)
        _whole("seed", self.seed, 0)
        _whole("patience", self.patience, 0)
        _number("weight_decay", self.weight_decay)
        _number("clip_norm", self.clip_norm)
        _number("ema_decay", self.ema_decay, below=1)
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got '{self.optimizer}'")


def _whole(name: str, value: Any, least: int) -> None:
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"{name} must be a whole number from {least}, got {value!r}")


def _number(name: str, value: Any, below: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < below:
        end = "" if below == math.inf else f" and less than {below}"
        raise ValueError(f"{name} must be a number from 0{end}, got {value!r}")


OPTIMIZERS: dict[str, Any] = {
    # Fused: one kernel for all parameters, several times faster than a loop over them.
    "adam": lambda parameters, **options: torch.optim.Adam(parameters, fused=True, **options),
    "adamax": torch.optim.Adamax,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def fit(
    model: nn.Module,
    data: Dataset,
    *,
    objective: Objective | None = None,
    epochs: int = 10,
    learning_rate: float | Schedule = 1e-3,
    phases: Sequence[Phase] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    note: dict[str, Any] | None = None,
    **options: Any,
) -> Run:
    """Train a model and return its run folder.

    Args:
        model: what to train; it is moved to the device and changed in place.
        data: what to train it on.
        objective, epochs, learning_rate: of a single phase; the evidence lower bound by default.
        phases: several phases, instead of the three above.
        settings: what holds for all of it; or give its fields (``batch_size=…``, ``seed=…``) directly.
        out: the run folder; ``runs/DATA-N`` without one.
        resume: go on from the state in ``out``, exactly as if it had not stopped; starts if there is none.
        overwrite: start again in a run folder that is in use; what is in it is removed.
        quiet: show no progress.
        note: more to be written into ``config.json``.
        options: fields of :class:`Settings`.

    Raises:
        ValueError: if an option is out of range.
        UserError: if ``out`` is not empty and ``resume`` is not set, or holds another run; nothing is written then.
        Interrupted: on Ctrl-C, with the state saved.
        TrainingFailed: if steps are not finite many times in a row, with the last good state saved.
    """
    phases = tuple(phases) or (Phase(objective or ELBO(), epochs, learning_rate),)
    settings = replace(settings or Settings(), **options)
    folder = Path(out) if out is not None else fresh_folder(Path("runs"), data.name)
    config = {
        "format": FORMAT,
        "vaekit": __version__,
        "data": {
            "name": data.name,
            "by_name": data.by_name,
            "kind": to_document(data.kind),
            "shape": list(data.shape),
            "fingerprint": data.fingerprint,
        },
        "model": to_document(model),
        "phases": [to_document(phase) for phase in phases],
        "settings": to_document(settings),
        **(note or {}),
    }
    training = Training(model, data, phases, settings, folder, quiet)
    open_folder(folder, config, resume=resume, overwrite=overwrite)
    try:
        training.run()
    except UserError:
        # The parts do not work together: found at the first step. Nothing is left behind.
        if not training.state_path.exists():
            clear_folder(folder)
        raise
    return Run(folder, data)


def fresh_folder(parent: Path, name: str) -> Path:
    """``parent/name-N`` with the first N that is free."""
    stem = Path(name.partition(":")[0]).stem
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def open_folder(folder: Path, config: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Make the run folder and write ``config.json``, or check that the one there asks for the same.

    Raises:
        UserError: if it is in use or differs.
    """
    path = folder / "config.json"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; a run folder is asked for.")
    if overwrite and path.exists():
        read_config(folder)  # only a run is ever removed
        clear_folder(folder)
    if path.exists() and resume:
        _check_same(folder, read_config(folder), config)
    elif folder.is_dir() and (strangers := [entry for entry in folder.iterdir() if not is_leftover(entry)]):
        if resume or overwrite:
            raise UserError(
                f"{folder} is not a run folder: it has no config.json, and there is {strangers[0].name} in it."
            )
        raise UserError(
            f"{folder} is not empty.", hint="--resume goes on with it, --overwrite starts again, --out names another."
        )
    try:
        for leftover in (entry for entry in folder.rglob(".*.tmp") if is_leftover(entry)):
            leftover.unlink()
        write_json(path, config)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from None


def clear_folder(folder: Path) -> None:
    """Remove what training writes, and the folder if nothing else is in it."""
    for name in ("config.json", "metrics.jsonl", "model.safetensors"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """
    Raises:
        UserError: if something else than the number of epochs differs, saying what.
    """
    # As it will be read: tuples become lists.
    now = json.loads(json.dumps(now))
    if before["data"] != now["data"] and before["data"].get("name") == now["data"]["name"]:
        raise UserError(f"the data {now['data']['name']} has changed since {folder} was trained; it cannot be resumed.")
    for key in ("data", "model", "phases", "settings"):
        for place, old, new in _differences(before[key], now[key], key):
            if not place.endswith("/epochs") or key != "phases":
                raise UserError(
                    f"{folder} was started with {place} {old}, and not {new}; it cannot be resumed.",
                    hint="resume with the options that it was started with, or leave them out.",
                )


def _differences(old: Any, new: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """Where two JSON values differ, and the values there; of a part with another name, the name alone."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("part") != new.get("part"):
            yield place, f"{old.get('part')}", f"{new.get('part')}"
            return
        for key in {**old, **new}:
            yield from _differences(old.get(key), new.get(key), f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{place}/{index}")
    elif old != new:
        yield place, _name(old), _name(new)


def _name(value: Any) -> str:
    return f"{value['part'] if isinstance(value, dict) and 'part' in value else value}"


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the best there is.

    Raises:
        UserError: if it is not there.
    """
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        return torch.device("cuda" if counts["cuda"] else "cpu")
    kind, colon, index = name.partition(":")
    if not (index.isdecimal() if colon else True) or int(index or 0) >= counts.get(kind, 0):
        there = ", ".join(key for key, count in counts.items() if count)
        raise UserError(f"the device '{name}' is not here; there are: {there}.")
    return torch.device(name)


class Training:
    """One training: the loop and its state.

    Args:
        model, data, phases, settings: as of :func:`fit`.
        folder: the run folder, open.
        quiet: show no progress.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        phases: Sequence[Phase],
        settings: Settings,
        folder: Path,
        quiet: bool,
    ) -> None:
        device = choose_device(settings.device)
        self.model: Any = model.to(device)
        self.phases, self.settings, self.folder, self.quiet = phases, settings, folder, quiet
        self.batches = Loader(data.train, data.kind, device, settings.batch_size)
        self.validation = Loader(data.validation, data.kind, device, max(settings.batch_size, 500))
        self.state = State(self.model, settings.ema_decay)
        self.state_path = folder / "state" / "training.safetensors"
        self.moving: list[nn.Module] = []
        self.resting: list[nn.Module] = []
        self.stop_asked = False
        for phase in self.phases:
            self._choose_parts(phase)

    def run(self) -> None:
        """Train until the end, from wherever the state is."""
        torch.manual_seed(self.settings.seed)
        saved = self.state.read_counters(self.state_path) if self.state_path.exists() else None
        counters = self.state.counters
        metrics = self.folder / "metrics.jsonl"
        rewrite_metrics(
            metrics, [record for record in read_metrics(metrics) if record["epoch"] <= counters.epochs_total]
        )
        total = sum(phase.epochs for phase in self.phases) * len(self.batches)
        done = counters.epochs_total * len(self.batches) + counters.batch
        with self._listening(), Bar("training", total, "steps", done=done, quiet=self.quiet) as bar:
            while counters.phase < len(self.phases):
                phase = self.phases[counters.phase]
                players = self._begin(phase)
                if saved is not None:
                    self.state.restore(saved)
                    saved = None
                while counters.epoch < phase.epochs and not self._patience_is_over():
                    self._epoch(phase, players, bar)
                counters.phase, counters.epoch, counters.step, counters.waited = counters.phase + 1, 0, 0, 0

    def _begin(self, phase: Phase) -> dict[str, Player]:
        """The players of a phase, each with its optimiser."""
        objective = phase.objective
        device = next(self.model.parameters()).device
        self.state.objective = objective.to(device) if isinstance(objective, nn.Module) else None
        self._choose_parts(phase)
        still = {id(parameter) for module in self.resting for parameter in module.parameters()}
        moving = {id(parameter) for module in self.moving for parameter in module.parameters()}
        # Parameters that are not of the model are the objective's own.
        still |= {id(parameter) for parameter in self.model.parameters()} - moving
        players = {}
        for name, player in objective.players(self.model).items():
            parameters = [parameter for parameter in player.parameters if id(parameter) not in still]
            if parameters:
                players[name] = Player(parameters, player.value)
        if not players:
            raise UserError("nothing is left to train: the parts that are to move have no parameters.")
        make = OPTIMIZERS[self.settings.optimizer]
        self.state.optimizers = {
            name: make(player.parameters, lr=0.0, weight_decay=self.settings.weight_decay)
            for name, player in players.items()
        }
        return players

    def _choose_parts(self, phase: Phase) -> None:
        """Which parts of the model move in a phase, and which rest whatever they share."""
        names = dict(self.model.named_children())
        if unknown_names := {*phase.train, *phase.rest} - names.keys():
            raise UserError(f"the model has no part {', '.join(sorted(unknown_names))}; it has {', '.join(names)}.")
        self.moving = [names[name] for name in phase.train] if phase.train else [self.model]
        self.resting = [names[name] for name in phase.rest]

    def _epoch(self, phase: Phase, players: dict[str, Player], bar: Bar) -> None:
        """From the batch where the state is to the end of the epoch."""
        counters, started = self.state.counters, time.monotonic()
        order = self.batches.order(self.settings.seed, counters.epochs_total)
        self.model.eval()
        for module in self.moving:
            module.train()
        for module in self.resting:
            module.eval()
        size = self.settings.batch_size
        saved_at = started
        while counters.batch < len(self.batches):
            indices = order[counters.batch * size : (counters.batch + 1) * size]
            self._step(phase, players, indices)
            counters.batch += 1
            counters.step += 1
            bar.advance()
            now = time.monotonic()
            if self.stop_asked or now - saved_at > SAVE_EVERY_SECONDS:
                counters.seconds, started, saved_at = counters.seconds + now - started, now, now
                self.state.save(self.state_path)
            if self.stop_asked:
                raise Interrupted(f"stopped in epoch {counters.epochs_total + 1}; the state is saved.", self.folder)
        counters.epoch, counters.epochs_total, counters.batch = counters.epoch + 1, counters.epochs_total + 1, 0
        self._report(phase, started)

    def _step(self, phase: Phase, players: dict[str, Player], indices: Tensor) -> None:
        """Each player in turn: value of each example, mean, gradient, step."""
        counters = self.state.counters
        step = Step(counters.step, counters.epoch + counters.batch / len(self.batches), phase.epochs)
        batch = self.batches.rows(indices)
        cause = ""
        for name, player in players.items():
            # What moves in a forward pass (a code book) must be put back if the step is not taken.
            before = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
            value = player.value(self.model, batch, step)
            loss = -value.objective.mean()
            # Only into the player's own parameters: nobody else feels this value.
            loss.backward(inputs=player.parameters)
            norm = gradient_norm(player.parameters)
            optimizer = self.state.optimizers[name]
            if torch.isfinite(loss + norm):
                if self.settings.clip_norm:
                    nn.utils.clip_grads_with_norm_(player.parameters, self.settings.clip_norm, norm)
                optimizer.param_groups[0]["lr"] = at(phase.learning_rate, step)
                optimizer.step()
                self._log(name, value.objective, value.terms, len(indices))
            else:
                put_back(before)
                cause = cause or name_the_cause(self.model, batch, value, indices, name)
                put_back(before)
            optimizer.zero_grad()
        if cause:
            self._skip(cause)
        else:
            counters.skipped_in_a_row = 0
            self.state.follow_average()

    def _log(self, player: str, objective: Tensor, terms: dict[str, Tensor], rows: int) -> None:
        for key, value in {f"{player}_objective": objective, **terms}.items():
            self.state.add(key, value.detach().mean() * rows)
            self.state.add(f"{key}/rows", torch.tensor(float(rows)))

    def _say(self, line: str) -> None:
        if not self.quiet:
            say(line)

    def _skip(self, cause: str) -> None:
        counters = self.state.counters
        counters.skipped += 1
        counters.skipped_in_a_row += 1
        if counters.skipped == 1 or counters.skipped_in_a_row == MOST_SKIPPED_IN_A_ROW:
            self._say(f"warning: step {counters.step + 1} was skipped: {cause}.")
        if counters.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
            raise TrainingFailed(
                f"{counters.skipped_in_a_row} steps in a row were not finite: {cause}. "
                + (
                    f"The state at the end of epoch {counters.epochs_total} is kept in {self.folder}."
                    if counters.epochs_total
                    else "No epoch was finished."
                )
            )

    def _report(self, phase: Phase, started: float) -> None:
        """Validate, remember the best, write the epoch's line, save."""
        state, counters = self.state, self.state.counters
        figures = bound(state.shown, self.validation, seed=self.settings.seed)
        watched = "elbo" if "elbo" in figures else "log_px"
        state.follow_figure(figures[watched], keep_best=self.settings.keep_best)
        counters.seconds += time.monotonic() - started
        means = {
            name: (total / state.sums[f"{name}/rows"]).item()
            for name, total in state.sums.items()
            if not name.endswith("/rows")
        }
        state.sums = {}
        record = {
            "epoch": counters.epochs_total,
            "phase": counters.phase,
            **{f"train_{name}": finite(value) for name, value in sorted(means.items())},
            **{f"validation_{name}": finite(value) for name, value in figures.items()},
            "learning_rate": at(phase.learning_rate, Step(counters.step, counters.epoch, phase.epochs)),
            "skipped": counters.skipped,
            "seconds": round(counters.seconds, 3),
        }
        # In this order: a stop between two of them is undone by resuming from the state of the epoch before.
        with open(self.folder / "metrics.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")
        write_tensors(self.folder / "model.safetensors", state.best)
        state.save(self.state_path)
        mark = " *" if counters.best_epoch == counters.epochs_total else ""
        self._say(
            f"epoch {counters.epochs_total:>4}  validation {watched} {figures[watched]:10.3f} nats"
            f"  (log p(x|z) {figures['log_px']:.2f}, KL {figures['kl']:.2f}){mark}"
        )

    def _patience_is_over(self) -> bool:
        counters, patience = self.state.counters, self.settings.patience
        return bool(patience) and counters.waited >= patience

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Ctrl-C asks for a stop after the step; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: object) -> None:
            self.stop_asked = True
            signal.signal(signal.SIGINT, before[signal.SIGINT])

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
