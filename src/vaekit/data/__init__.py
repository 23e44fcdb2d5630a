"""Data sets: ``load("mnist")``, ``load("faces.npy:binarization=dynamic")``, ``as_dataset(array)``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from vaekit.data import kinds
from vaekit.data.arrays import as_dataset
from vaekit.data.catalogue import Option, named, names, options
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Kind
from vaekit.data.readers import ENDINGS, read, read_rows
from vaekit.errors import unknown
from vaekit.parts.specification import parse

__all__ = [
    "Dataset",
    "Option",
    "Split",
    "as_dataset",
    "kinds",
    "load",
    "load_rows",
    "named",
    "names",
    "options",
    "path_and_options",
]


def load(text: str | Path, **given: Any) -> Dataset:
    """Load a data set by name or path, with options: ``mnist``, ``mnist:binarization=static``, ``faces.npy:test=500``.

    Args:
        text: the part specification ``name:option=value,option=value``. A name of the catalogue comes first: write
            ``./mnist`` for a file of that name. ``condition=label`` conditions the model on the label.
        given: further options; they win over those in ``text``.

    Raises:
        UserError: for an unknown name or option, or data that cannot be had or used.
    """
    name, in_text = _name_and_options(str(text))
    chosen = in_text | given
    condition = chosen.pop("condition", None)
    _check_condition(condition)
    if name in names():
        dataset = names()[name](**chosen)
    elif _is_path(name):
        dataset = read(name, **chosen)
        # A kind itself has no spelling.
        dataset = replace(dataset, by_name=not isinstance(chosen.get("kind"), Kind))
        # Written down in a run, a path must mean the same from any folder.
        name = str(Path(name).resolve())
    else:
        error = unknown("data set", name, names())
        error.hint = error.hint or f"for data of your own give its path ({', '.join(ENDINGS)}, or a folder of images)."
        raise error
    if condition:
        dataset = dataset.conditioned()
        chosen["condition"] = condition
    written = ",".join(f"{key}={_spelled(value)}" for key, value in chosen.items())
    return replace(dataset, name=f"{name}:{written}" if written else name)


def load_rows(text: str | Path, kind: Kind | None = None) -> Dataset:
    """Data for a finished model: all rows of a path in their order, read as ``kind``; a catalogue name as ever.

    Args:
        text: as of :func:`load`.
        kind: what the model was made for. Real numbers get its mean and scale, not their own, and columns its order.

    Raises:
        UserError: as of :func:`load`, or if columns have other names than those of ``kind``.
    """
    found = path_and_options(str(text))
    if found is None:
        return load(text)
    path, options = found
    # Whether it is conditioned on the label, a finished model knows itself.
    _check_condition(options.pop("condition", None))
    return replace(read_rows(path, kind, options), name=str(text))


def _check_condition(condition: Any) -> None:
    if condition not in (None, "label"):
        raise unknown("condition", f"{condition}", ["label"])


def path_and_options(text: str) -> tuple[Path, dict[str, Any]] | None:
    """The file that a text names, and its options; ``None`` for a name of the catalogue."""
    name, options = _name_and_options(text)
    return (Path(name), options) if name not in names() and _is_path(name) else None


def _name_and_options(text: str) -> tuple[str, dict[str, Any]]:
    """Split the part specification; a path may itself contain ':' if a file is there."""
    if Path(text).exists():
        return text, {}
    places = [place for place, character in enumerate(text) if character == ":"]
    for place in reversed(places):
        if Path(text[:place]).exists() and text[:place]:
            return text[:place], parse(f"file:{text[place + 1 :]}")[1]
    return parse(text)


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.lower().endswith(ENDINGS) or Path(name).exists()


def _spelled(value: Any) -> str:
    """A value as the part specification reads it: ``none``, ``true``, ``28/28``."""
    if value is None or isinstance(value, bool):
        return f"{value}".lower()
    return "/".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
