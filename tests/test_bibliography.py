"""Every paper that a part or a recipe names has an entry, and the pages of the systems cite the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vaekit.parts.registry  # noqa: F401
from vaekit.bibliography import Entry, entries, entries_for, entry_of, software
from vaekit.parts.record import parts, slots
from vaekit.recipes import recipes

PAGES = sorted((Path(__file__).parent.parent / "docs" / "systems").glob("*.md"))
# Parts of the tests' own may be registered beside.
PAPERS = {
    f"{slot} {name}": cls.part_paper
    for slot in slots()
    for name, cls in parts(slot).items()
    if cls.part_paper and cls.__module__.startswith("vaekit.")
} | {f"recipe {entry.name}": entry.paper for entry in recipes().values()}


@pytest.mark.parametrize("name", PAPERS)
def test_every_paper_has_an_entry(name: str) -> None:
    for piece in PAPERS[name].split(";"):
        assert entry_of(piece) is not None, f"'{piece}' names no entry"


def test_every_entry_is_named() -> None:
    assert entries_for(PAPERS.values()) != []
    assert {entry.key for entry in entries_for(PAPERS.values())} == {entry.key for entry in entries().values()}


def test_keys_are_unique_and_fields_complete() -> None:
    assert len({entry.key for entry in entries().values()}) == len(entries())
    for label, entry in entries().items():
        for value in entry.fields.values():
            assert value.count("{") == value.count("}")
            assert value.isascii()
        if entry.kind == "misc":
            assert {"title", "author", "howpublished"} == entry.fields.keys()
            continue
        venue = {"inproceedings": "booktitle", "article": "journal"}[entry.kind]
        assert {"title", "author", "year", venue} <= entry.fields.keys()
        # The first author and the year of the label; a preprint's year may be the one before the talk's.
        first = re.split(r",| &| et al| \d{4}", label)[0]
        for letter, written in {"ø": r"{\o}", "ń": r"{\'n}", "ä": r"{\"a}"}.items():
            first = first.replace(letter, written)
        assert entry.fields["author"].startswith(f"{first},")
        assert 0 <= int(entry.fields["year"]) - int(label[-4:]) <= 1
        assert re.fullmatch(r"\d{4}\.\d{5}|1[34]\d\d\.\d{4}", entry.fields.get("eprint", "1312.6114"))


def test_what_a_piece_names() -> None:
    assert [entry.key for entry in entries_for(["β: Higgins et al. 2017", "Higgins et al. 2017, section 3"])] == [
        "higgins2017beta"
    ]
    assert entry_of("Nobody 1999") is None
    assert entry_of("Burda et al. 20167") is None
    assert entries_for(["", "Nobody 1999; Burda et al. 2016"]) == [entries()["Burda et al. 2016"]]


def test_bibtex() -> None:
    entry = Entry("key2000", "article", {"title": "A {Title}", "year": "2000"})
    assert entry.bibtex() == "@article{key2000,\n  title = {A {Title}},\n  year  = {2000}\n}"
    assert "version = {1.2}" in software("1.2").bibtex()


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "index"], ids=lambda page: page.stem)
def test_the_pages_cite_the_same(page: Path) -> None:
    (block,) = re.findall(r"```bibtex\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    known = {entry.bibtex() for entry in entries().values()}
    cited = block.strip().split("\n\n")
    for text in cited:
        squeezed = re.sub(r" +", " ", text)
        assert squeezed in {re.sub(r" +", " ", entry) for entry in known}
    if page.stem in recipes():
        assert len(cited) == len(entries_for([recipes()[page.stem].paper]))
