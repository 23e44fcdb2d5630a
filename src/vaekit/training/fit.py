"""The loop. It steps the players it is told of and knows nothing about models."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Sequence
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
from vaekit.training.files import read_json, write_json, write_tensors
from vaekit.training.progress import Bar, say
from vaekit.training.run import FORMAT, Run, read_metrics, rewrite_metrics
from vaekit.training.state import State
from vaekit.training.watch import gradient_norm, name_the_cause

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
        train: names of the model's parts that move (``("prior",)``); all of it by default.
    """

    objective: Objective
    epochs: int = 10
    learning_rate: float | Schedule = 1e-3
    train: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")


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
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got '{self.optimizer}'")


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
        UserError: if ``out`` is not empty and ``resume`` is not set, or holds another run.
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
    open_folder(folder, config, resume=resume, overwrite=overwrite)
    Training(model, data, phases, settings, folder, quiet).run()
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
    if overwrite and path.exists():
        shutil.rmtree(folder)
    if path.exists() and resume:
        before = read_json(path)
        for key in ("data", "model", "settings"):
            if before.get(key) != config[key]:
                raise UserError(
                    f"{folder} was trained with another {key} than is asked for now; it cannot be resumed.",
                    hint="resume with the options that it was started with (see its config.json).",
                )
        shown = [_without_epochs(phase) for phase in before["phases"]]
        if shown != [_without_epochs(phase) for phase in config["phases"]]:
            raise UserError(f"{folder} was trained with another objective or schedule; it cannot be resumed.")
    elif folder.exists() and any(folder.iterdir()) and not (resume and not path.exists()):
        raise UserError(
            f"{folder} is not empty.", hint="--resume goes on with it, --overwrite starts again, --out names another."
        )
    try:
        write_json(path, config)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from None


def _without_epochs(phase: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in phase.items() if key != "epochs"}


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the best there is.

    Raises:
        UserError: if it is not there.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available.get(name.partition(":")[0], False):
        there = [key for key, value in available.items() if value]
        raise UserError(f"the device '{name}' is not here; there are: {', '.join(there)}.")
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
        self.resting: list[nn.Module] = []
        self.stop_asked = False

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
        names = dict(self.model.named_children())
        if unknown_names := set(phase.train) - names.keys():
            raise UserError(f"the model has no part {', '.join(sorted(unknown_names))}; it has {', '.join(names)}.")
        # What a resting part shares with a moving one rests too (a code book, say).
        self.resting = [module for name, module in names.items() if phase.train and name not in phase.train]
        still = {id(parameter) for module in self.resting for parameter in module.parameters()}
        players = {}
        for name, player in objective.players(self.model).items():
            parameters = [parameter for parameter in player.parameters if id(parameter) not in still]
            if parameters:
                players[name] = Player(parameters, player.value)
        if not players:
            raise UserError(f"nothing is left to train: the model has no parameters in {', '.join(phase.train)}.")
        make = OPTIMIZERS[self.settings.optimizer]
        self.state.optimizers = {
            name: make(player.parameters, lr=0.0, weight_decay=self.settings.weight_decay)
            for name, player in players.items()
        }
        return players

    def _epoch(self, phase: Phase, players: dict[str, Player], bar: Bar) -> None:
        """From the batch where the state is to the end of the epoch."""
        counters, started = self.state.counters, time.monotonic()
        order = self.batches.order(self.settings.seed, counters.epochs_total)
        self.model.train()
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
        for name, player in players.items():
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
                counters.skipped_in_a_row = 0
                self._log(name, value.objective, value.terms, len(indices))
            else:
                self._skip(name_the_cause(self.model, batch, value, indices, name))
            optimizer.zero_grad()
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
                f"{counters.skipped_in_a_row} steps in a row were not finite: {cause}. The state at the end of "
                f"epoch {counters.epochs_total} is kept in {self.folder}."
            )

    def _report(self, phase: Phase, started: float) -> None:
        """Validate, remember the best, write the epoch's line, save."""
        state, counters = self.state, self.state.counters
        figures = bound(state.shown, self.validation, seed=self.settings.seed)
        watched = "elbo" if "elbo" in figures else "log_px"
        state.keep_best(figures[watched] if self.settings.keep_best else None)
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
            **{f"train_{name}": value for name, value in means.items()},
            **{f"validation_{name}": value for name, value in figures.items()},
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
    def _listening(self):
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
