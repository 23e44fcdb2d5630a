"""Opening a run folder: a new one, one to go on with, one to start again in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vaekit.errors import UserError
from vaekit.training.files import is_leftover, write_json
from vaekit.training.progress import say
from vaekit.training.run import read_config, read_metrics


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
    elif path.exists() and resume:
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
    if before["data"].get("fingerprint") != now["data"]["fingerprint"]:
        raise UserError(
            f"{now['data']['name']} is not the data that {folder} was trained on, or it has changed; "
            "it cannot be resumed."
        )
    for key in ("model", "phases", "settings"):
        for place, old, new in _differences(before[key], now[key], key):
            if place == "settings/device":
                say(f"warning: {folder} was started on another device: it will not end with the same bytes.")
            elif key == "phases" and place.endswith("/epochs"):
                _check_not_finished(folder, int(place.split("/")[1]), old, new)
            else:
                raise UserError(
                    f"{folder} was started with {place} {old}, and not {new}; it cannot be resumed.",
                    hint="resume with the options that it was started with, or leave them out.",
                )


def _check_not_finished(folder: Path, phase: int, old: str, new: str) -> None:
    records = read_metrics(folder / "metrics.jsonl")
    if records and records[-1]["phase"] > phase:
        raise UserError(
            f"phase {phase + 1} of {folder} is finished with {old} epochs and cannot be given {new} any more.",
            hint="leave --epochs out to go on with the phases after it.",
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
