"""``vaekit cite``: the papers of a run, no more and no fewer."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from cli_cases import Command, everything_in

from vaekit import __version__

SCHEDULED = ["bowman2016generating", "sonderby2016ladder", "loshchilov2017sgdr"]  # warm-up and the cosine
CITED = {
    "vae": ["kingma2014autoencoding", "rezende2014stochastic", "higgins2017beta", *SCHEDULED, "vaekit"],
    "aae": ["makhzani2015adversarial", "kingma2014autoencoding", "rezende2014stochastic", "vaekit"],
    "hvae": [
        "tomczak2018vampprior",
        "rezende2014stochastic",
        "kingma2014autoencoding",
        "higgins2017beta",
        *SCHEDULED,
        "vaekit",
    ],
    "m2": ["kingma2014semisupervised", "kingma2014autoencoding", "higgins2017beta", "vaekit"],
    "vq-vae": [
        "vandenoord2017neural",
        "kingma2014autoencoding",
        "rezende2014stochastic",
        "vandenoord2016pixel",
        "dhariwal2020jukebox",
        "higgins2017beta",
        "vaekit",
    ],
}


@pytest.mark.parametrize("recipe", CITED)
def test_exactly_what_the_run_is_made_of(vaekit: Command, runs: dict[str, Path], recipe: str) -> None:
    before = everything_in(runs[recipe])
    said = vaekit("cite", runs[recipe])
    assert (said.code, said.err) == (0, "")
    assert re.findall(r"^@\w+\{([\w-]+),$", said.out, re.MULTILINE) == CITED[recipe]
    assert f"version = {{{__version__}}}" in said.out
    assert everything_in(runs[recipe]) == before


def test_each_entry_says_what_it_is_for(vaekit: Command, runs: dict[str, Path]) -> None:
    text = vaekit("cite", runs["aae"]).out
    assert "% recipe aae, objective adversarial\n@article{makhzani2015adversarial," in text
    assert "Burda" not in text


def test_for_programs(vaekit: Command, runs: dict[str, Path]) -> None:
    said = vaekit("cite", runs["m2"], "--json")
    (line,) = said.out.splitlines()
    document = json.loads(line)
    assert document["run"] == str(runs["m2"])
    assert [entry["key"] for entry in document["entries"]] == CITED["m2"]
    first, last = document["entries"][0], document["entries"][-1]
    assert first["fields"]["eprint"] == "1406.5298"
    assert first["for"] == ["recipe m2", "model m2", "objective classified"]
    assert last["type"] == "software"
    assert document["bibtex"].count("\n@") == len(CITED["m2"]) - 1


def changed(run: Path, to: Path, **changes: object) -> Path:
    """A copy of a run folder with other values in ``config.json``."""
    shutil.copytree(run, to)
    config = json.loads((to / "config.json").read_text())
    config = {key: value for key, value in (config | changes).items() if value is not None}
    (to / "config.json").write_text(json.dumps(config))
    return to


def test_parts_in_parts_and_schedules(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    warm_up = {"part": "schedule/linear", "start": 0.0, "end": 1.0, "epochs": 5}
    phases = [{"part": "training/phase", "objective": {"part": "objective/elbo", "beta": warm_up}}]
    said = vaekit("cite", changed(runs["vae"], tmp_path / "run", phases=phases))
    assert {"bowman2016generating", "sonderby2016ladder"} <= set(re.findall(r"@\w+\{([\w-]+),", said.out))


def test_a_run_from_python_has_no_recipe(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    said = vaekit("cite", changed(runs["aae"], tmp_path / "run", request=None))
    assert said.code == 0
    assert "recipe" not in said.out
    assert "% objective adversarial\n" in said.out


def test_parts_of_ones_own(vaekit: Command, runs: dict[str, Path], tmp_path: Path) -> None:
    said = vaekit("cite", changed(runs["vae"], tmp_path / "run", model={"part": "model/mine", "of": [{"x": 1}]}))
    assert said.code == 0
    assert said.err == "model mine is not a part of vaekit: add its paper yourself.\n"
    assert "@software{vaekit," in said.out


def test_not_a_run(vaekit: Command, tmp_path: Path) -> None:
    message, _ = vaekit.refused("cite", tmp_path)
    assert "config.json" in message
