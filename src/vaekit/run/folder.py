"""Run folder: opened anew, to resume, or to overwrite."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vaekit.atomic import ASIDE, NEW, is_leftover, write_json, writing
from vaekit.errors import UserError
from vaekit.parts.compare import differences
from vaekit.parts.record import completed
from vaekit.progress import say
from vaekit.run.config import read_config
from vaekit.run.metrics import read_metrics

STATE = "state/training.safetensors"
REPORT = "report.html"
OBJECTIVE = "objective.safetensors"  # networks of the objective (critics, classifiers) at the epoch that is kept
GROWN_FROM = "grown_from"  # in config.json: the model as it was given, where it has grown in training
FILES = (
    STATE,
    "model.safetensors",
    OBJECTIVE,
    "metrics.jsonl",
    "config.json",
)  # of a run, in the order in which they move


def fresh_folder(parent: Path, name: str) -> Path:
    """``parent/name-N`` with the first N that is free."""
    stem = Path(name.partition(":")[0]).stem
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def open_folder(folder: Path, config: dict[str, Any], *, resume: bool, overwrite: bool) -> Path:
    """Make the run folder and write ``config.json``, or check that the one there asks for the same.

    A run that is overwritten stays until the new one has an epoch to show, see :func:`take_place`.

    Returns:
        Where to train: the folder, or ``folder/.new`` while the run before is still in it.

    Raises:
        UserError: if it is in use, differs or cannot be written.
    """
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; a run folder is asked for.")
        if resume or overwrite:
            folder = _finish_taking_place(folder)
        path = folder / "config.json"
        if overwrite and path.exists():
            read_config(folder)  # only a run is ever replaced
            folder = folder / NEW
            clear_folder(folder)
        elif path.exists() and resume:
            before = read_config(folder)
            _check_same(folder, before, config)
            if GROWN_FROM in before:
                config = config | {"model": before["model"], GROWN_FROM: before[GROWN_FROM]}
            _check_state(folder)
        elif folder.is_dir() and (strangers := [entry for entry in folder.iterdir() if not is_leftover(entry)]):
            if resume or overwrite:
                raise UserError(
                    f"{folder} is not a run folder: it has no config.json, and there is {strangers[0].name} in it."
                )
            raise UserError(
                f"{folder} is not empty.",
                hint="--resume goes on with it, --overwrite starts again, --out names another.",
            )
        for leftover in (entry for entry in folder.rglob(".*.tmp") if is_leftover(entry)):
            leftover.unlink()
        write_json(folder / "config.json", config)
    return folder


def recorded_settings(folder: Path, resume: bool) -> dict[str, Any]:
    """Settings of the run that is to be gone on with; none if there is no such run.

    Raises:
        UserError: if what is there is damaged.
    """
    return read_config(folder)["settings"] if resume and (folder / "config.json").is_file() else {}


@contextmanager
def removing_what_is_empty(folder: Path) -> Iterator[None]:
    """If it fails inside, the run folder and those above it are removed that were not there before and are empty."""
    missing = [each for each in (folder / NEW, folder, *folder.parents) if not os.path.exists(each)]
    try:
        yield
    except Exception:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


def take_place(folder: Path) -> Path:
    """Put a run in ``RUN/.new`` in the place of the one in ``RUN``; any other folder is left as it is.

    The old ``config.json`` leaves first and the new one comes last. In between ``RUN`` is no run folder, and whoever
    reads it is told so: a kill never leaves weights of one run beside the configuration of the other.

    Returns:
        Where the run is now.
    """
    run = folder.parent
    if folder.name != NEW or not any(path.exists() for path in (run / "config.json", folder / ASIDE)):
        return folder
    (run / "state").mkdir(exist_ok=True)
    (run / REPORT).unlink(missing_ok=True)  # it is about the run before
    if not (folder / ASIDE).exists():
        os.replace(run / "config.json", folder / ASIDE)
    for name in FILES:
        # What is not there any more was moved before a kill.
        if (folder / name).exists():
            os.replace(folder / name, run / name)
    clear_folder(folder)
    return run


def _finish_taking_place(folder: Path) -> Path:
    """Go on with :func:`take_place` if that was killed, asked by the name of either folder."""
    new = folder if folder.name == NEW else folder / NEW
    return take_place(new) if (new / ASIDE).exists() else folder


def clear_folder(folder: Path) -> None:
    """Remove what training writes, and the folder if nothing else is in it."""
    for name in (*FILES, ASIDE, REPORT):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run is resumed as it was begun.

    Raises:
        UserError: if something else than the number of epochs differs, saying what.
    """
    # As it will be read: tuples become lists.
    now = json.loads(json.dumps(now))
    before = before | {"model": before.get(GROWN_FROM, before["model"])}
    if before["data"].get("fingerprint") != now["data"]["fingerprint"]:
        raise UserError(
            f"{now['data']['name']} is not the data that {folder} was trained on, or it has changed; "
            "it cannot be resumed."
        )
    for key in ("model", "phases", "settings"):
        for place, old, new in differences(completed(before[key]), now[key], key):
            if place == "settings/device":
                say(f"warning: {folder} was started on another device: it will not end with the same bytes.")
            elif key == "phases" and place.endswith("/epochs"):
                # The length of a warm-up goes with that of its phase.
                if len(levels := place.split("/")) == 3:
                    _check_not_finished(folder, int(levels[1]), old, new)
            else:
                raise UserError(
                    f"{folder} was started with {_said(place)} {old}, and not {new}; it cannot be resumed.",
                    hint="resume with the options that it was started with, or leave them out.",
                )


def _said(place: str) -> str:
    """A place in the configuration as the option that it comes from; that of the model comes from several.

    >>> _said("settings/batch_size"), _said("phases/0/learning_rate/start"), _said("model/prior")
    ('--batch-size', '--learning-rate (start)', 'model/prior')
    """
    found = re.fullmatch(r"(?:settings/|phases/\d+/(?=objective|learning_rate))(\w+)/?(.*)", place)
    if found is None:
        return place
    return f"--{found[1].replace('_', '-')}" + (f" ({found[2]})" if found[2] else "")


def _check_state(folder: Path) -> None:
    """Check that there is a state to go on from.

    Raises:
        UserError: if epochs are finished and there is no state to go on from.
    """
    # A kill leaves the first epoch without one, and no other.
    records = read_metrics(folder / "metrics.jsonl")
    if records and records[-1]["epoch"] > 1 and not (folder / STATE).exists():
        raise UserError(
            f"{folder / STATE} is not there: its {records[-1]['epoch']} epochs cannot be gone on with.",
            hint="bring it back, or start again: vaekit train DATA --out FOLDER --overwrite.",
        )


def _check_not_finished(folder: Path, phase: int, old: str, new: str) -> None:
    records = read_metrics(folder / "metrics.jsonl")
    if records and records[-1]["phase"] > phase:
        raise UserError(
            f"phase {phase + 1} of {folder} is finished with {old} epochs and cannot be given {new} any more.",
            hint="leave --epochs out to go on with the phases after it.",
        )
    done = sum(record["phase"] == phase for record in records)
    if int(new) < done:
        raise UserError(
            f"{folder} has had {done} epochs and cannot be given only {new}.",
            hint="leave --epochs out, or ask for more.",
        )
