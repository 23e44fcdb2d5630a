"""Sphinx configuration. The build must be free of warnings: ``make docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

# Document the sources beside this folder, not another copy that happens to be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from vaekit._version import __version__

project = "vaekit"
author = "the vaekit contributors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
language = "en-GB"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_mock_imports: list[str] = []
python_use_unqualified_type_names = True

nitpicky = False

html_theme = "furo"
html_title = f"vaekit {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False


def _escape_stars(line: str) -> str:
    """Escape a star that opens a word and closes nowhere, outside of backticks."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    pieces = re.split(r"(``.*?``|`[^`]*`)", line)
    pieces[::2] = [re.sub(r"(?<![\w*\\])\*(?=\w)(?!.*\w\*(?!\w))", r"\\*", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _shapes_are_text(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Docstrings write shapes as (samples, batch, *event), which reStructuredText takes for emphasis."""
    literal: int | None = None
    for index, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None:
            lines[index] = _escape_stars(line)
            if line.rstrip().endswith("::"):
                literal = indent


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _shapes_are_text, priority=400)  # before napoleon, at 500
