"""Head of the page: what was trained on what, and the command to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vaekit.parts.foreign import word_for
from vaekit.parts.specification import spelled
from vaekit.report.material import Material
from vaekit.report.page import command, paragraph, text


class Cover(NamedTuple):
    """What a page says that is about more than a run: an experiment of a paper, say.

    Attributes:
        path: where the page goes.
        title: its title.
        lines: what it is about.
        command: what repeats it.
        sections: title and HTML of what is shown before the sections of every run.
    """

    path: Path
    title: str
    lines: Sequence[str]
    command: str
    sections: Sequence[tuple[str, str]] = ()


def cover_of(material: Material, place: Path) -> Cover:
    """That of a run by itself, to be written to ``place``."""
    return Cover(place, _title(material), (), _repeat(material))


def head(material: Material, cover: Cover) -> str:
    """Title, the command to repeat it, the data and the model in a line each."""
    again = "It was trained from Python; its folder's config.json holds all that is needed to repeat it."
    return "\n".join(
        [
            f"<h1>{text(cover.title)}</h1>",
            *(paragraph(line) for line in cover.lines),
            paragraph(_data(material)),
            paragraph(_model(material), "soft"),
            command(cover.command) if cover.command else paragraph(again),
        ]
    )


def _title(material: Material) -> str:
    request = material.run.config.get("request", {})
    return f"{request.get('recipe', word_for(material.run.config['model']))} on {material.run.config['data']['name']}"


def _data(material: Material) -> str:
    data = material.data
    alike = data.train.x is data.test.x
    rows = [data.test] if alike else [data.train, data.validation, data.test]
    counts = " + ".join(f"{len(split.x):,}" for split in rows)
    what = "examples" if alike else "examples (train + validation + test)"
    return f"{data.name}: {counts} {what}, {data.describe()}."


def _model(material: Material) -> str:
    run = material.run
    model = run.model
    slots = ("prior", "posterior", "likelihood")
    parts = [f"{name} {word_for(document)}" for name, document in run.config["model"].items() if name in slots]
    weights = sum(parameter.numel() for parameter in model.parameters())
    goals = " then ".join(
        f"{word_for(phase['objective'])} for {phase['epochs']} epoch{'s' * (phase['epochs'] > 1)}"
        for phase in run.config["phases"]
    )
    best = run.best
    took = f"; {best['epochs']} epochs took {best['seconds']:,.0f} s, the weights of epoch {best['epoch']} are kept"
    version = f"; vaekit {run.config['vaekit']}" if "vaekit" in run.config else ""
    return f"{', '.join(parts) or word_for(run.config['model'])}; {weights:,} weights; {goals}{took}{version}."


def _repeat(material: Material) -> str:
    """The command; empty for a run that was started from Python."""
    config = material.run.config
    if not (request := config.get("request")):
        return ""
    fitted = config.get("fitted_prior")
    options = dict(fitted or request)
    verb, key = ("fit-prior", "from") if fitted else ("train", "data")
    words = [verb, str(options.pop(key, config["data"]["name"]))]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [spelled(value)])]
    return shlex.join(["vaekit", *words, "--out", "AGAIN"])
