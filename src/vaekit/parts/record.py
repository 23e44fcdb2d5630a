"""Recorded constructors: parts as documents, and parts rebuilt from documents.

A *part* is any class marked with :func:`part`: it remembers the arguments of its constructor, so
that a composed model is one JSON document (:func:`to_document`) and is rebuilt from it
(:func:`from_document`). Only marked classes are ever instantiated; nothing is imported by name.
Any other module or objective is *foreign* (:mod:`vaekit.parts.foreign`): the document names its class.

A part is named ``slot/name``, for example ``prior/mixture``. On the command line the slot is the
flag and the rest is one form, the part specification: ``--prior mixture:num_components=50``
(:func:`vaekit.parts.specification.parse`, :func:`vaekit.parts.build.build`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeVar

from vaekit.errors import UserError
from vaekit.parts.foreign import foreign_document, is_foreign, must_be_brought

T = TypeVar("T", bound=type)
Json = Any

_REGISTRY: dict[str, type] = {}


def part(name: str, *, paper: str = "") -> Callable[[T], T]:
    """Mark a class as a part called ``slot/name``: record its arguments and allow its rebuilding.

    Args:
        name: ``slot/name``, unique; the slot is one of the words of the library (``prior`` …) or new.
        paper: where it comes from, in one line.

    Raises:
        ValueError: if another class already has the name.
    """

    def mark(cls: T) -> T:
        known = _REGISTRY.get(name)
        # A class defined again under the same name (a notebook cell run twice) replaces itself.
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise ValueError(f"the part name '{name}' is taken by {known.__module__}.{known.__qualname__}")
        plain_init = cls.__init__
        signature = inspect.signature(plain_init)

        @functools.wraps(plain_init)
        def recording_init(self: Any, /, *args: Any, **kwargs: Any) -> None:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            plain_init(self, *args, **kwargs)
            # The first is the object itself, whatever the constructor calls it.
            arguments = dict(islice(bound.arguments.items(), 1, None))
            kept = {key for key, value in arguments.items() if is_part(value) or is_foreign(value)}
            held = {key: getattr(self, key, None) for key in kept}
            object.__setattr__(self, "_part_arguments", arguments)
            object.__setattr__(self, "_part_held", held)

        cls.__init__ = recording_init
        cls.part_name = name
        cls.part_paper = paper
        _REGISTRY[name] = cls
        return cls

    return mark


def parts(slot: str) -> dict[str, type]:
    """The registered parts of a slot, by name, in alphabetical order."""
    prefix = slot + "/"
    return {name[len(prefix) :]: cls for name, cls in sorted(_REGISTRY.items()) if name.startswith(prefix)}


def slots() -> list[str]:
    """All slots that have at least one part."""
    return sorted({name.split("/")[0] for name in _REGISTRY})


def is_part(value: object) -> bool:
    """Whether it is of a marked class; of a class that only inherits from one, its document would make another."""
    return hasattr(value, "_part_arguments") and "part_name" in vars(type(value))


def _arguments(part: Any) -> dict[str, Any]:
    """What would make the part as it is: where another part was put in the place of one since, that one."""
    replaced = {key: now for key, held in part._part_held.items() if (now := getattr(part, key, None)) is not held}
    return part._part_arguments | replaced


def update_arguments(part: Any, **arguments: Any) -> None:
    """Record other constructor arguments of a part that has changed since (a mixture that has opened an expert).

    Raises:
        ValueError: for an argument that its constructor does not have.
    """
    if unknown_names := sorted(arguments.keys() - part._part_arguments.keys()):
        raise ValueError(f"{type(part).__name__} has no argument {', '.join(unknown_names)}")
    object.__setattr__(part, "_part_arguments", part._part_arguments | arguments)


def to_document(value: Any) -> Json:
    """Write a part, and every part inside it, as JSON values; modules and objectives that are none by name.

    A part used in two places is written once; the second place points at the first with
    ``{"same": "path/of/the/first"}``, so that shared weights stay shared.

    Raises:
        TypeError: if an argument is none of these, such as a tensor.
    """
    seen: dict[int, str] = {}

    def write(value: Any, path: str) -> Json:
        if is_part(value) or is_foreign(value):
            if id(value) in seen:
                return {"same": seen[id(value)]}
            seen[id(value)] = path
            if not is_part(value):
                return foreign_document(value)
            written = {key: write(arg, f"{path}/{key}") for key, arg in _arguments(value).items()}
            return {"part": value.part_name} | written
        if isinstance(value, Mapping):
            return {"map": {key: write(item, f"{path}/{key}") for key, item in value.items()}}
        if isinstance(value, (list, tuple)):
            return [write(item, f"{path}/{index}") for index, item in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        name = type(value).__name__
        raise TypeError(
            f"the argument at {path or '/'} is a {name}, which cannot be written down and made again: arguments are "
            "modules, numbers, strings, lists and maps of them, and tensors are for a method that is called after "
            "construction"
        )

    return write(value, "")


def from_document(document: Json) -> Any:
    """Rebuild what :func:`to_document` wrote. Lists come back as tuples.

    Raises:
        UserError: if a type is not registered (a foreign one never is), or its arguments do not fit.
    """
    built: dict[str, Any] = {}

    def read(document: Json, path: str) -> Any:
        if isinstance(document, list):
            return tuple(read(item, f"{path}/{index}") for index, item in enumerate(document))
        if not isinstance(document, dict):
            return document
        # An argument of a part may itself be called "map" or "same".
        if document.keys() == {"map"} and isinstance(document["map"], dict):
            return {key: read(item, f"{path}/{key}") for key, item in document["map"].items()}
        if document.keys() == {"same"}:
            if not isinstance(document["same"], str) or document["same"] not in built:
                raise UserError(f"the configuration at '{path}' points at '{document['same']}', which is not there.")
            return built[document["same"]]
        if isinstance(document.get("foreign"), str) and "part" not in document:
            raise must_be_brought(path, document["foreign"])
        name = document.get("part")
        if not isinstance(name, str) or name not in _REGISTRY:
            raise UserError(
                f"the configuration at '{path or '/'}' names the type '{name}', which is not registered; "
                "it was not imported.",
                hint="if it is a part of your own, import the module that defines it first (--parts FILE.py).",
            )
        arguments = {key: read(item, f"{path}/{key}") for key, item in document.items() if key != "part"}
        try:
            built[path] = _made(_REGISTRY[name], arguments)
        except UserError:
            raise
        except Exception as error:  # whatever a constructor may say of a damaged document
            raise UserError(f"the configuration of '{name}' at '{path or '/'}' does not fit it: {error}.") from error
        return built[path]

    return read(document, "")


def _made(cls: type, arguments: dict[str, Any]) -> Any:
    """An instance from its arguments by name, also of those that are taken by position only, as * or as **.

    Raises:
        TypeError: if they do not fit.
    """
    signature = inspect.signature(cls)
    if strange := arguments.keys() - signature.parameters.keys():
        raise TypeError(f"it takes no {', '.join(sorted(strange))}")
    bound = inspect.BoundArguments(signature, arguments)  # type: ignore[arg-type]
    return cls(*bound.args, **bound.kwargs)


def completed(document: Json) -> Json:
    """A document with the arguments that its parts have gained since it was written, at their defaults."""
    if isinstance(document, list):
        return [completed(item) for item in document]
    if not isinstance(document, dict):
        return document
    known = _REGISTRY.get(str(document.get("part")))
    arguments = inspect.signature(known).parameters.values() if known else ()
    defaults = {each.name: to_document(each.default) for each in arguments if each.default is not each.empty}
    return defaults | {key: completed(item) for key, item in document.items()}
