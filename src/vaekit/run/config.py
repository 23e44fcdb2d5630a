"""Configuration of a run: what ``config.json`` holds, and its checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vaekit.atomic import read_json
from vaekit.errors import UserError

FORMAT = 1
# What must be where in config.json, so that what reads it need not ask.
FORM: dict[str, type] = {
    "data": dict,
    "data/name": str,
    "data/by_name": bool,
    "data/kind": dict,
    "data/shape": list,
    "model": dict,
    "phases": list,
    "settings": dict,
}
OPTIONAL: dict[str, type] = {
    "request": dict,
    "fitted_prior": dict,
    "data/condition_dim": int,
    "data/classes": list,
    "data/loaded": str,
}


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a run folder.

    Raises:
        UserError: if it is not one, or of a newer version.
    """
    path = folder / "config.json"
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise UserError(f"{path} is not the configuration of a run.")
    if document["format"] > FORMAT:
        raise UserError(
            f"{folder} was written by a newer vaekit (format {document['format']}, this one reads {FORMAT}).",
            hint="install the newer version.",
        )
    if missing := [key for key in ("data", "model", "phases", "settings") if not document.get(key)]:
        raise UserError(f"{path} is damaged: it has no {', '.join(missing)}.")
    for place, form in {**FORM, **OPTIONAL}.items():
        *above, key = place.split("/")
        inside = document[above[0]] if above else document
        if not isinstance(inside.get(key), form) and (key in inside or place in FORM):
            raise UserError(f"{path} is damaged: {place} is {json.dumps(inside.get(key))[:40]}.")
    shape = document["data"]["shape"]
    if not all(type(size) is int and size > 0 for size in shape):
        raise UserError(f"{path} is damaged: data/shape is {json.dumps(shape)[:40]}.")
    return document
