"""Differences between two documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vaekit.parts.foreign import word_for

Json = Any


def differences(old: Json, new: Json, place: str) -> Iterator[tuple[str, str, str]]:
    """Where two JSON values differ, and the values there; of a part with another name, the name alone.

    A foreign class is the same if it has the same name: in a notebook, a script and a module it comes from elsewhere.

    >>> mlp = {"part": "network/mlp", "hidden": [8]}
    >>> list(differences({"network": mlp}, {"network": mlp | {"hidden": [9]}}, "model"))
    [('model/network/hidden/0', '8', '9')]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if _is_named(old) or _is_named(new):
            if (old.get("part"), word_for(old)) != (new.get("part"), word_for(new)):
                yield place, _said(old), _said(new)
                return
            old, new = ({key: item for key, item in each.items() if key != "foreign"} for each in (old, new))
        for key in {**old, **new}:
            yield from differences(old.get(key), new.get(key), f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}/{index}")
    elif old != new:
        yield place, _said(old), _said(new)


def _is_named(value: Json) -> bool:
    return isinstance(value, dict) and ("part" in value or "foreign" in value)


def _said(value: Json) -> str:
    """A value as it is said: of a part the name, without its slot."""
    return word_for(value) if _is_named(value) else f"{value}"
