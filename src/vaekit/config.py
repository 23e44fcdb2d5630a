"""Everything is a value that can be written down.

A *part* is any class marked with :func:`part`: it remembers the arguments of its constructor, so
that a composed model is one JSON document (:func:`to_document`) and is rebuilt from it
(:func:`from_document`). Only marked classes are ever instantiated; nothing is imported by name.

A part is named ``slot/name``, for example ``prior/mixture``. On the command line the slot is the
flag and the rest is one small form: ``--prior mixture:num_components=50`` (:func:`parse`,
:func:`build`).
"""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from vaekit.errors import UserError, unknown

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
        def recording_init(self: Any, *args: Any, **kwargs: Any) -> None:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            plain_init(self, *args, **kwargs)
            arguments = {key: value for key, value in bound.arguments.items() if key != "self"}
            object.__setattr__(self, "_part_arguments", arguments)

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
    return hasattr(value, "_part_arguments")


def replace_argument(part: Any, name: str, value: Any) -> None:
    """Put another part in the place of an argument that a part was made with and holds under the same name.

    Raises:
        TypeError: if it was not made with an argument of that name.
    """
    if name not in part._part_arguments:
        raise TypeError(f"{part.part_name} has no argument {name}")
    setattr(part, name, value)
    part._part_arguments[name] = value


def to_document(value: Any) -> Json:
    """Write a part, and every part inside it, as JSON values.

    A part used in two places is written once; the second place points at the first with
    ``{"same": "path/of/the/first"}``, so that shared weights stay shared.

    Raises:
        TypeError: if an argument is neither a part nor a JSON value, such as a module whose class is no part.
    """
    seen: dict[int, str] = {}

    def write(value: Any, path: str) -> Json:
        if is_part(value):
            if id(value) in seen:
                return {"same": seen[id(value)]}
            seen[id(value)] = path
            arguments = value._part_arguments
            return {"part": value.part_name} | {key: write(arg, f"{path}/{key}") for key, arg in arguments.items()}
        if isinstance(value, Mapping):
            return {"map": {key: write(item, f"{path}/{key}") for key, item in value.items()}}
        if isinstance(value, (list, tuple)):
            return [write(item, f"{path}/{index}") for index, item in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        name = type(value).__name__
        raise TypeError(
            f"the argument at {path or '/'} is a {name}, which cannot be written down and made again: a module must be "
            f"a part (@vaekit.part('kind/name') above class {name}); other arguments numbers, strings, lists and maps "
            "of them, and tensors are for a method that is called after construction"
        )

    return write(value, "")


def from_document(document: Json) -> Any:
    """Rebuild what :func:`to_document` wrote. Lists come back as tuples.

    Raises:
        UserError: if a type is not registered, or its arguments do not fit.
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
        name = document.get("part")
        if not isinstance(name, str) or name not in _REGISTRY:
            raise UserError(
                f"the configuration at '{path or '/'}' names the type '{name}', which is not registered; "
                "it was not imported.",
                hint="if it is a part of your own, import the module that defines it first (--parts FILE.py).",
            )
        arguments = {key: read(item, f"{path}/{key}") for key, item in document.items() if key != "part"}
        try:
            built[path] = _REGISTRY[name](**arguments)
        except UserError:
            raise
        except Exception as error:  # whatever a constructor may say of a damaged document
            raise UserError(f"the configuration of '{name}' at '{path or '/'}' does not fit it: {error}.") from error
        return built[path]

    return read(document, "")


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


_CALL = re.compile(r"^([a-z][a-z0-9-]*)\((.*)\)$", re.DOTALL)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Read the small form ``name:option=value,option=value``.

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
    """
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
    """A value of the small form: a number, ``true``, ``false``, ``none``, a schedule, sizes ``300/300``, or a word."""
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
    """The small form of a value of a document: what :func:`literal` reads.

    >>> spelled({"part": "schedule/linear", "start": 0, "end": 1, "epochs": 10})
    'linear(start=0,end=1,epochs=10)'
    """
    if isinstance(value, dict):
        name = str(value.get("part")).rpartition("/")[2]
        return f"{name}({','.join(f'{key}={spelled(item)}' for key, item in value.items() if key != 'part')})"
    if isinstance(value, (list, tuple)):
        return "/".join(map(spelled, value))
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def build(
    slot: str,
    name: str,
    context: Mapping[str, Any],
    positional: list[Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Make the part ``slot/name`` from its options; parameters not given come from the context, and what the
    surroundings know already (:data:`SURROUNDINGS`) is no option.

    Args:
        slot: which kind of part.
        name: its name in the slot.
        context: what the surroundings know (``latent_dim``, ``shape`` …), taken by parameter name.
        positional: arguments given by position.
        options: arguments given by name.

    Raises:
        UserError: for an unknown name or option, naming the nearest known ones.
    """
    positional, options = positional or [], dict(options or {})
    known = parts(slot)
    if name not in known:
        raise unknown(slot, name, [key for key, cls in known.items() if not needs_python(cls)])
    parameters = inspect.signature(known[name].__init__).parameters
    names = [key for key in parameters if key != "self"]
    for key in options:
        if key in names and _PART.search(str(parameters[key].annotation)):
            raise UserError(
                f"the option {key} of the {slot} '{name}' is another part: a recipe or Python gives it, not the "
                "command line."
            )
        if key not in names or (key in SURROUNDINGS and context.get(key) is not None):
            raise unknown(f"option of the {slot} '{name}'", key, [key for key in names if key not in context])
    if len(positional) > len(names):
        raise UserError(f"the {slot} '{name}' takes {', '.join(names)}: {len(positional)} values are too many.")
    given = dict(zip(names, positional, strict=False))
    if twice := sorted(given.keys() & options.keys()):
        raise UserError(f"the {slot} '{name}' is given {', '.join(twice)} twice.")
    given |= options
    arguments = {key: context[key] for key in names if key in context} | given
    missing = [key for key in names if key not in arguments and parameters[key].default is inspect.Parameter.empty]
    if missing and needs_python(known[name]):
        raise UserError(
            f"the {slot} '{name}' is made of other parts by a recipe or in Python, not on the command line: it needs "
            f"{', '.join(missing)}."
        )
    if missing:
        form = f"{name}(…,{missing[0]}=…)" if slot == "schedule" else f"{name}:{missing[0]}=…"
        raise UserError(f"the {slot} '{name}' needs {', '.join(missing)}: write {slot} as {form}.")
    fitted = {
        key: fitting(f"the option {key} of the {slot} '{name}'", value, parameters[key].annotation)
        for key, value in given.items()
    }
    try:
        return known[name](**arguments | fitted)
    except (TypeError, ValueError) as error:
        raise UserError(f"the {slot} '{name}' cannot be made: {error}.") from error


# What parts ask of their surroundings by name; recipes know these.
SURROUNDINGS = frozenset(
    [
        "latent_dim",
        "latents",
        "shape",
        "in_shape",
        "image_shape",
        "condition_dim",
        "network",
        "posterior",
        "num_classes",
        "num_codes",
        "code_dim",
        "low",
        "high",
    ]
)
_PART = re.compile(r"\b(Module|Objective)\b")
_SIMPLE: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}


def needs_python(cls: type) -> bool:
    """Whether a part must be given other parts that no recipe can guess, so that no command line makes it.

    Recipes know a network for a posterior, say, but none for another network.
    """
    known = SURROUNDINGS - {cls.part_name.partition("/")[0]}  # type: ignore[attr-defined]
    parameters = [p for name, p in inspect.signature(cls.__init__).parameters.items() if name != "self"]
    required = [p for p in parameters if p.default is inspect.Parameter.empty and p.name not in known]
    return any(not set(_spelled_out(p.annotation)) & _SIMPLE.keys() for p in required)


def _spelled_out(annotation: Any) -> list[str]:
    """The alternatives of an annotation by name, whether it is a string (postponed) or a type."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return [word.rpartition(".")[2] if "[" not in word else word for word in text.split(" | ")]


def check_whole(name: str, value: object, least: int) -> None:
    """
    Raises:
        ValueError: if it is not a whole number from ``least`` that fits into 64 bits.
    """
    if type(value) is not int or not least <= value < 2**63:
        end = " to 2^63 − 1" if type(value) is int and value >= least else ""
        raise ValueError(f"{name} must be a whole number from {least}{end}, got {value!r}")


def check_number(name: str, value: object, least: float, below: float = math.inf) -> None:
    """
    Raises:
        ValueError: if it is not a number from ``least`` and less than ``below``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < below:
        end = "" if below == math.inf else f" and less than {below}"
        raise ValueError(f"{name} must be a number from {least}{end}, got {value!r}")


def fitting(what: str, value: Any, annotation: Any) -> Any:
    """A value written by a user as the kind that its annotation names: one number is a tuple of one where there may be
    several.

    Raises:
        UserError: if it is of another kind.
    """
    wanted = _spelled_out(annotation)
    simple = [word for word in wanted if word in _SIMPLE]
    sizes = any(word.startswith("tuple[int") for word in wanted)
    if not simple and not sizes:
        return value
    if type(value) is int and any(word.startswith("tuple[int, ...") for word in wanted):
        return (value,)
    fits = any(isinstance(value, _SIMPLE[word]) and not (isinstance(value, bool) and word != "bool") for word in simple)
    fits = fits or (value is None and "None" in wanted) or ("Schedule" in wanted and callable(value))
    if sizes:
        fits = fits or (isinstance(value, tuple) and all(isinstance(item, int) for item in value))
    if not fits:
        names = {"int": "a whole number", "float": "a number", "str": "a word", "bool": "true or false"}
        said = [names[word] for word in simple] or ["numbers with / between them"]
        said += ["a schedule such as linear(0,1,epochs=10)"] if "Schedule" in wanted else []
        raise UserError(f"{what} must be {' or '.join(said)}, got '{value}'.")
    return value
