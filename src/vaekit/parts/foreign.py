"""Foreign values in documents: modules and objectives whose class is no part; they must be brought along in Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vaekit.errors import UserError

Json = Any


def is_foreign(value: object) -> bool:
    """Whether a value can be named in a document though it cannot be made from it: a module, or what is called."""
    return not isinstance(value, type) and (callable(value) or hasattr(value, "named_modules"))


def foreign_document(value: Any) -> Json:
    """Names only: of the class and, of a module, of the classes inside it, by their places.

    >>> import torch
    >>> foreign_document(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    {'foreign': 'torch.nn.modules.container.Sequential', 'modules': {'0': 'Linear', '1': 'ReLU'}}
    """
    cls = value if hasattr(value, "__qualname__") else type(value)  # a function has a name of its own
    document = {"foreign": f"{cls.__module__}.{cls.__qualname__}"}
    if not hasattr(value, "named_modules"):
        return document
    modules = {name: type(module).__qualname__ for name, module in value.named_modules() if name}
    return document | {"modules": modules}


def foreign_values(document: Json, place: str = "") -> Iterator[tuple[str, str]]:
    """Place and class of every foreign value of a document."""
    if isinstance(document, Mapping):
        if isinstance(document.get("foreign"), str) and document.keys() <= {"foreign", "modules"}:
            yield place or "/", document["foreign"]
            return
        for key, item in document.items():
            yield from foreign_values(item, f"{place}/{key}")
    elif isinstance(document, list):
        for index, item in enumerate(document):
            yield from foreign_values(item, f"{place}/{index}")


def must_be_brought(place: str, name: str) -> UserError:
    """The error for a foreign value that somebody wants to be made from a document."""
    return UserError(
        f"the configuration at '{place or '/'}' names {name}, a class that is no registered part: it was not imported.",
        hint="in Python bring the model along: vk.load(folder, model=model); for the command line mark the class with "
        "@vk.part('kind/name'), train again and name its file: --parts FILE.py.",
    )


def word_for(document: Json) -> str:
    """A part or foreign value of a document by its name alone.

    >>> word_for({"part": "prior/standard-normal"}), word_for({"foreign": "__main__.Mine"})
    ('standard-normal', 'Mine')
    """
    name = document.get("part", document.get("foreign", "")) if isinstance(document, Mapping) else ""
    return str(name).rpartition("/" if "part" in document else ".")[2]
