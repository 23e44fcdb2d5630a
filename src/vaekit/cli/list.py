"""What there is: systems, parts, data sets, papers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from vaekit.cli.options import Json, print_json

SLOTS = ("prior", "posterior", "likelihood", "objective", "network", "schedule", "codebook", "kind", "estimator")


@dataclass
class Options:
    what: Annotated[Literal["systems", "parts", "data", "papers"], tyro.conf.Positional]
    """What to list."""
    json: Json = False


def run(options: Options) -> int:
    rows = {"systems": _systems, "parts": _parts, "data": _data, "papers": _papers}[options.what]()
    if options.json:
        print_json(rows)
    else:
        _table(rows)
    return 0


def _options(function: Any, hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    """Options and their defaults; what has no default comes from the surroundings and is left out."""
    parameters = inspect.signature(function).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty and name not in hidden
    }


def _systems() -> list[dict[str, Any]]:
    from vaekit.recipes import recipes

    common = ("likelihood", "network", "epochs", "learning_rate")
    return [
        {"name": entry.name, "what": entry.title, "options": _options(entry.function, common), "paper": entry.paper}
        for entry in recipes().values()
    ]


def _parts() -> list[dict[str, Any]]:
    import vaekit.parts.registry  # noqa: F401
    from vaekit.parts.build import needs_python
    from vaekit.parts.record import parts
    from vaekit.recipes.compose import family

    def note(slot: str, name: str, cls: type) -> str:
        if needs_python(cls):
            return " Made of other parts, by a recipe or in Python."
        both = family(name) if slot == "network" else None
        return f" One direction: the option is {both}." if both else ""

    return [
        {
            "name": f"{slot} {name}",
            "what": _first_line(cls) + note(slot, name, cls),
            "options": _options(cls.__init__, ("condition_dim",)),
            "paper": getattr(cls, "part_paper", ""),
        }
        for slot in SLOTS
        for name, cls in parts(slot).items()
    ]


def _data() -> list[dict[str, Any]]:
    from vaekit.data import names, options

    return [
        {
            "name": name,
            "what": _first_line(function),
            "options": {
                key: f"{option.default} ({', '.join(map(str, option.choices))})"
                for key, option in options(name).items()
            },
            "paper": "",
        }
        for name, function in names().items()
    ]


def _papers() -> list[dict[str, Any]]:
    rows = [*_systems(), *_parts()]
    return [{"name": row["paper"], "what": row["name"], "options": {}, "paper": ""} for row in rows if row["paper"]]


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def _table(rows: list[dict[str, Any]]) -> None:
    from vaekit.parts.specification import spelled

    for row in rows:
        options = ", ".join(f"{key}={spelled(value)}" for key, value in row["options"].items())
        print(f"{row['name']}\n    {row['what']}")
        if options:
            print(f"    options: {options}")
        if row["paper"]:
            print(f"    paper: {row['paper']}")
