"""Building a part from options by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from vaekit.errors import UserError, unknown
from vaekit.parts.record import parts

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
    parameters = inspect.signature(known[name]).parameters
    names = list(parameters)
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


def needs_python(cls: type) -> bool:
    """Whether a part must be given other parts that no recipe can guess, so that no command line makes it.

    Recipes know a network for a posterior, say, but none for another network.
    """
    known = SURROUNDINGS - {cls.part_name.partition("/")[0]}  # type: ignore[attr-defined]
    required = [
        p
        for p in inspect.signature(cls).parameters.values()
        if p.default is inspect.Parameter.empty and p.name not in known
    ]
    return any(not set(_spelled_out(p.annotation)) & _SIMPLE.keys() for p in required)


def _spelled_out(annotation: Any) -> list[str]:
    """The alternatives of an annotation by name, whether it is a string (postponed) or a type."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return [word.rpartition(".")[2] if "[" not in word else word for word in text.split(" | ")]


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
