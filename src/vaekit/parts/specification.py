"""Part specifications, ``mixture:num_components=50``: read and written."""

from __future__ import annotations

import re
from typing import Any

from vaekit.errors import UserError
from vaekit.parts.build import build
from vaekit.parts.record import Json, parts, slots

_CALL = re.compile(r"^([a-z][a-z0-9-]*)\((.*)\)$", re.DOTALL)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Read the part specification ``name:option=value,option=value``.

    Values are numbers, ``true``/``false``, ``none``, words, or a part written as a call:
    ``elbo:beta=linear(0,1,epochs=100)``.

    >>> parse("mixture:num_components=50")
    ('mixture', {'num_components': 50})
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    for item in _split(rest):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UserError(f"'{text}' is not of the form name:option=value,option=value (at '{item}').")
        _enter(options, key, value, text)
    return name.strip(), options


def _enter(options: dict[str, Any], key: str, value: str, text: str) -> None:
    """Entry of an option that is given once.

    Raises:
        UserError: if the option is there already.
    """
    name = key.strip().replace("-", "_")
    if name in options:
        raise UserError(f"'{text}' gives {name} twice.")
    options[name] = literal(value.strip())


def _split(text: str) -> list[str]:
    """Split at commas that are outside parentheses.

    Raises:
        UserError: if a parenthesis has no partner.
    """
    items, depth, start = [], 0, 0
    for index, character in enumerate(text + ","):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and depth == 0:
            items.append(text[start:index])
            start = index + 1
    if depth:
        raise UserError(f"a parenthesis in '{text}' is not {'closed' if depth > 0 else 'opened'}.")
    return [item for item in items if item.strip()]


def literal(text: str) -> Any:
    """Value in a part specification: a number, ``true``, ``false``, ``none``, a schedule, sizes ``300/300``, a word."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    if call := _CALL.match(text):
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for item in _split(call[2]):
            key, equals, value = item.partition("=")
            if equals:
                _enter(named, key, value, text)
            else:
                positional.append(literal(item.strip()))
        if call[1] not in parts("schedule") and any(call[1] in parts(slot) for slot in slots()):
            raise UserError(
                f"'{text}' is no schedule, and only schedules are written with parentheses.",
                hint="parts that are made of other parts are put together in Python.",
            )
        return build("schedule", call[1], {}, positional, named)
    if "/" in text and all(piece.strip().isdigit() for piece in text.split("/")):
        return tuple(int(piece) for piece in text.split("/"))
    return text


def spelled(value: Json) -> str:
    """The part specification of a value of a document: what :func:`literal` reads.

    >>> spelled({"part": "schedule/linear", "start": 0, "end": 1, "epochs": 10})
    'linear(start=0,end=1,epochs=10)'
    """
    if isinstance(value, dict):
        name = str(value.get("part")).rpartition("/")[2]
        return f"{name}({','.join(f'{key}={spelled(item)}' for key, item in value.items() if key != 'part')})"
    if isinstance(value, (list, tuple)):
        return "/".join(map(spelled, value))
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
