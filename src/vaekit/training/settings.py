"""Training settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vaekit.acceleration import why_off
from vaekit.checks import check_number, check_whole
from vaekit.kernels import PRECISIONS
from vaekit.objectives import Objective
from vaekit.parts.record import part
from vaekit.schedules import Schedule, at_least
from vaekit.training.optimizers import OPTIMIZERS, SKIPPING

# Whether compiling pays goes by the seconds that it would save in all steps: in each a fixed time for the calls of
# Python, and some for every number that is moved (weights, and values of a batch). Compiling takes a quarter of WORTH.
SAVED_BY_STEP, SAVED_BY_NUMBER, WORTH = 6e-4, 2e-9, 60.0
OPEN = ("accumulate", "compile")  # settings that may be left to the training


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
            microbatches its code book with the posterior, say).

    Raises:
        ValueError: if a number is out of range, or the objective is none or is for other parts.
    """

    objective: Objective
    epochs: int = 10
    learning_rate: float | Schedule = 1e-3
    train: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not callable(self.objective) or isinstance(self.objective, type):
            raise ValueError(f"objective must be one, such as vk.objectives.ELBO(), got {self.objective!r}")
        check_whole("epochs", self.epochs, 1)
        at_least("learning_rate", self.learning_rate, 0)
        for name, parts in (("train", self.train), ("rest", self.rest)):
            if isinstance(parts, str):
                raise ValueError(f"{name} must be names of parts, such as ('{parts}',), got '{parts}'")
        needed = getattr(self.objective, "trains", ())
        if needed and self.train != needed:
            name, parts = type(self.objective).__name__, ", ".join(needed)
            raise ValueError(f"{name} is for a phase that trains the {parts} alone, as vaekit fit-prior does")


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
        patience: stop after so many epochs without a better validation figure; 0 for never. Objectives
            that have no such figure (an adversarial one) never stop early.
        keep_best: keep the weights of the best validation figure rather than the last.
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the best there is.
        precision: ``float32``, or ``bfloat16`` for the factors of matrix products and convolutions in training; sums,
            densities, weights and everything that is measured afterwards stay ``float32``. ``float16`` is for GPUs
            without ``bfloat16``: its gradients are scaled (:mod:`vaekit.training.loss_scale`).
        accumulate: microbatches of a batch, computed one after the other, in less memory, or at the same time by the
            processes that ``torchrun`` starts; 0 for as many as there are processes. Each microbatch has its own
            noise; an objective that compares the rows of a batch sees those of a microbatch.
        compile: compile the step (:mod:`vaekit.acceleration`): some seconds at the start, less in every
            step. It needs a C++ compiler. Sums are those of the other way to rounding. ``None``: on a processor,
            where a minute or more would be saved.

    Raises:
        ValueError: if a number is out of range, or the optimiser or the precision is not known.
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
    precision: str = "float32"
    accumulate: int = 0
    compile: bool | None = None

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size, 1)
        check_whole("seed", self.seed, 0)
        check_whole("patience", self.patience, 0)
        check_whole("accumulate", self.accumulate, 0)
        check_number("weight_decay", self.weight_decay, 0)
        check_number("clip_norm", self.clip_norm, 0)
        check_number("ema_decay", self.ema_decay, 0, below=1)
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got '{self.optimizer}'")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got '{self.precision}'")

    @property
    def can_be_captured(self) -> bool:
        """Whether no step needs a decision in Python: the optimiser itself leaves out what is not finite."""
        return self.optimizer in SKIPPING and self.precision != "float16"


def settled(
    settings: Settings, recorded: Mapping[str, Any], *, processes: int, steps: int, numbers: int, on: str
) -> Settings:
    """Settings with what was left open: as the run records it, else a microbatch a process, compiled where it pays.

    Args:
        settings: as they were given.
        recorded: those of the run that is gone on with.
        processes: how many train.
        steps: that are planned.
        numbers: weights, and values of a batch.
        on: the type of the device.
    """
    settings = replace(settings, accumulate=settings.accumulate or recorded.get("accumulate") or processes)
    if settings.compile is None:
        saved = steps * (SAVED_BY_STEP + SAVED_BY_NUMBER * numbers)
        possible = on == "cpu" and settings.accumulate == 1 and settings.can_be_captured and not why_off()
        pays = possible and saved >= WORTH
        settings = replace(settings, compile=bool(recorded.get("compile", pays)))
    return settings
