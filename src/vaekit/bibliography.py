"""Bibliography: the papers that parts and recipes name, as BibTeX.

A paper is named by a line such as ``Kingma & Welling 2013, appendix C.2; β: Higgins et al. 2017``: pieces between
semicolons, each beginning with authors and year (after a word and a colon, where only one option comes from there).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Entry:
    """One entry of a bibliography.

    Attributes:
        key: what ``\\cite`` names.
        kind: ``article``, ``inproceedings``, ``misc``, ``software``.
        fields: title, author and so on, in the order in which they are written.
    """

    key: str
    kind: str
    fields: dict[str, str]

    def bibtex(self) -> str:
        """The entry as it stands in a ``.bib`` file, without a newline at the end."""
        width = max(map(len, self.fields))
        lines = [f"  {name:<{width}} = {{{value}}}" for name, value in self.fields.items()]
        return f"@{self.kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


def entry_of(piece: str) -> Entry | None:
    """The entry that a piece without semicolons names by the authors and the year at its start, if it is known."""
    whole = piece.strip()
    for start in (whole, re.sub(r"^[^:,;]*: ", "", whole)):
        for label, entry in entries().items():
            if re.match(rf"{re.escape(label)}(?!\w)", start):
                return entry
    return None


def entries_for(texts: Iterable[str]) -> list[Entry]:
    """The entries that lines such as ``part_paper`` name, each once, in the order of their first mention.

    What names no known paper is passed over: a part of a user's own may come from anywhere.

    >>> [entry.key for entry in entries_for(["Kingma & Welling 2013; β: Higgins et al. 2017"])]
    ['kingma2014autoencoding', 'higgins2017beta']
    """
    found = (entry_of(piece) for text in texts for piece in text.split(";"))
    return list({entry.key: entry for entry in found if entry is not None}.values())


def software(version: str) -> Entry:
    """The entry of vaekit itself."""
    title = "vaekit: variational autoencoders from parts that compose"
    return Entry("vaekit", "software", {"title": title, "author": "{The vaekit contributors}", "version": version})


@cache
def entries() -> dict[str, Entry]:
    """All that are known (``bibliography.toml``), by authors and year, as parts and recipes write them."""
    text = files("vaekit").joinpath("bibliography.toml").read_text(encoding="utf-8")
    return {
        label: Entry(fields.pop("key"), fields.pop("kind"), fields) for label, fields in tomllib.loads(text).items()
    }
