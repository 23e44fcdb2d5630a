"""Data sets: ``load("mnist")``, ``load("faces.npy:binarization=dynamic")``, ``as_dataset(array)``."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaekit.config import parse
from vaekit.data import kinds
from vaekit.data.catalogue import Option, named, names, options
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Kind
from vaekit.data.readers import ENDINGS, as_dataset, read
from vaekit.errors import unknown

__all__ = ["Dataset", "Option", "Split", "as_dataset", "kinds", "load", "load_rows", "named", "names", "options"]


def load(text: str | Path, **given: Any) -> Dataset:
    """Load a data set by name or path, with options: ``mnist``, ``mnist:binarization=static``, ``faces.npy:test=500``.

    Args:
        text: the small form ``name:option=value,option=value``. A name of the catalogue comes first: write
            ``./mnist`` for a file of that name.
        given: further options; they win over those in ``text``.

    Raises:
        UserError: for an unknown name or option, or data that cannot be had or used.
    """
    name, in_text = _name_and_options(str(text))
    chosen = in_text | given
    if name in names():
        dataset = names()[name](**chosen)
    elif _is_path(name):
        known = [key for key in inspect.signature(read).parameters if key not in ("path", "whole")]
        for key in chosen.keys() - {"whole"}:
            if key not in known:
                raise unknown("option of a data file", key, known)
        dataset = read(name, **chosen)
        # Written down in a run, a path must mean the same from any folder.
        name = str(Path(name).resolve())
    else:
        error = unknown("data set", name, names())
        error.hint = error.hint or f"for a file of your own give its path (with {' or '.join(ENDINGS)})."
        raise error
    written = ",".join(f"{key}={'none' if value is None else value}" for key, value in chosen.items())
    return replace(dataset, name=f"{name}:{written}" if written else name)


def load_rows(text: str | Path, kind: Kind | None = None) -> Dataset:
    """Data for a finished model: all rows of a path in their order, read as ``kind``; a catalogue name as ever.

    Raises:
        UserError: as of :func:`load`.
    """
    name, in_text = _name_and_options(str(text))
    if name in names() or not _is_path(name):
        return load(text)
    dataset = load(text, whole=True)
    plain_bits = isinstance(kind, kinds.Binary) and dataset.kind == kinds.Binary()
    if kind is not None and dataset.kind != kind and not plain_bits and not in_text.keys() & {"kind", "binarization"}:
        dataset = load(text, whole=True, kind=kind)
    return replace(dataset, name=str(text))


def _name_and_options(text: str) -> tuple[str, dict[str, Any]]:
    """Split the small form; a path may itself contain ':' if a file is there."""
    if Path(text).is_file():
        return text, {}
    places = [place for place, character in enumerate(text) if character == ":"]
    for place in reversed(places):
        if Path(text[:place]).is_file():
            return text[:place], parse(f"file:{text[place + 1 :]}")[1]
    return parse(text)


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.lower().endswith(ENDINGS) or Path(name).exists()
