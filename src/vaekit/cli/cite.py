"""The papers behind a run as BibTeX: those of its parts, its objective and its recipe, and vaekit itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vaekit.cli.options import Json, RunFolder, print_json


@dataclass
class Options:
    run: RunFolder
    json: Json = False


def run(options: Options) -> int:
    from vaekit.bibliography import entries_for, entry_of, software
    from vaekit.run.config import read_config

    config = read_config(options.run)
    sources = _sources(config)
    named_by: dict[str, list[str]] = {}
    for name, paper in sources.items():
        for entry in entries_for([paper or ""]):
            named_by.setdefault(entry.key, []).append(name)
        for piece in (paper or "").split(";"):
            if piece.strip() and entry_of(piece) is None:
                print(f"no entry for '{piece.strip()}', which {name} names: add it yourself.", file=sys.stderr)
        if paper is None:
            print(f"{name} is not a part of vaekit: add its paper yourself.", file=sys.stderr)
    entries = entries_for(paper for paper in sources.values() if paper)
    itself = software(str(config.get("vaekit", "")))
    if options.json:
        cited = [
            {"key": entry.key, "type": entry.kind, "fields": entry.fields, "for": named_by.get(entry.key, [])}
            for entry in [*entries, itself]
        ]
        bibtex = "\n\n".join(entry.bibtex() for entry in [*entries, itself])
        print_json({"run": str(options.run), "entries": cited, "bibtex": bibtex})
        return 0
    for entry in entries:
        print(f"% {', '.join(named_by[entry.key])}\n{entry.bibtex()}\n")
    print(itself.bibtex())
    return 0


def _sources(config: dict[str, Any]) -> dict[str, str | None]:
    """The recipe and the parts of a run by name, each with the line that names its papers; ``None`` if not known."""
    import vaekit.parts.registry  # noqa: F401 - so that the parts are known
    from vaekit.parts.record import parts
    from vaekit.parts.specification import parse
    from vaekit.recipes import recipes

    sources: dict[str, str | None] = {}
    # A run started from Python has no request, and no recipe.
    if isinstance(request := config.get("request"), dict):
        name, _ = parse(str(request.get("recipe", "vae")))
        known = recipes().get(name)
        sources[f"recipe {name}"] = known.paper if known else None
    for name in _part_names([config[key] for key in ("model", "phases")]):
        slot, _, rest = name.partition("/")
        cls = parts(slot).get(rest)
        sources[name.replace("/", " ", 1)] = getattr(cls, "part_paper", "") if cls else None
    return sources


def _part_names(document: Any) -> Iterator[str]:
    """Every value of ``part`` in a document, from the outside in."""
    if isinstance(document, dict):
        if isinstance(document.get("part"), str):
            yield document["part"]
        for value in document.values():
            yield from _part_names(value)
    elif isinstance(document, list):
        for value in document:
            yield from _part_names(value)
