"""HTML elements. All text goes through :func:`text`, so that no name is taken for markup."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from vaekit.plots.png import png

# Pictures are data: in the page itself. Nothing else may be loaded, whatever the page says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2024; --soft: #5b6570; --line: #dfe3e8; --card: #f5f7f9;
  --mark: #b7791f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #141414; --ink: #e6e9ec; --soft: #9aa5b1; --line: #30363d; --card: #1f2022; --mark: #e3b341; }
  img.plot { filter: invert(0.92) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 0.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.5rem; padding-top: 0.75rem; border-top: 1px solid var(--line); }
p { margin: 0.5rem 0; max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: 0.9rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.6rem 0.8rem;
  font-size: 0.85rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.75rem 0; }
.flag { white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.93rem; margin: 0.75rem 0; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.9rem 0.35rem 0;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 36rem) {
  .told thead { display: none; }
  .told tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--line); }
  .told th, .told td { border: 0; padding-right: 0; }
  .results thead { display: none; }
  .results tr { display: block; border-bottom: 1px solid var(--line); padding: 0.5rem 0; }
  .results th, .results td { display: block; border: 0; padding: 0.05rem 0; text-align: left; white-space: normal; }
  .results td::before { content: attr(data-is) ": "; color: var(--soft); }
  .told td:last-child { grid-column: 1 / -1; padding-top: 0; color: var(--soft); }
}
figure { margin: 0.75rem 0; }
img { display: block; max-width: 100%; height: auto; }
img.picture { image-rendering: pixelated; width: min(100%, 40rem); }
img.small { width: min(100%, 20rem); }
.results td:last-child { color: var(--soft); font-size: 0.85rem; min-width: 12rem; }
.results th[scope="row"] { white-space: normal; min-width: 12rem; }
.results .number { white-space: normal; }
img.sheet { background: #fff; border-radius: 6px; }
.pair { display: flex; flex-wrap: wrap; gap: 0 1rem; }
.pair > figure { flex: 1 1 20rem; min-width: 0; }
.finding { border-left: 3px solid var(--mark); padding: 0.1rem 0 0.1rem 0.8rem; margin: 0.75rem 0; }
ul { padding-left: 1.2rem; }
"""


def text(value: object) -> str:
    """Any text, safe in the page."""
    return html.escape(str(value))


def paragraph(words: str, style: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{style}">{text(words)}</p>' if style else f"<p>{text(words)}</p>"


def command(line: str) -> str:
    """A line to be typed."""
    # A line is broken between words, not within the dashes of an option.
    safe = re.sub(r"--[a-z-]+", r'<span class="flag">\g<0></span>', text(line))
    return f"<pre>{safe}</pre>"


def figure(picture: Figure | Image.Image, description: str, caption: str = "", style: str = "plot") -> str:
    """A picture with a description for those who do not see it.

    Args:
        picture: a plot or an image.
        description: what is on it.
        caption: what is said below it.
        style: ``plot`` (lines on white, turned dark with the page), ``sheet`` (images with labels), ``picture`` or
            ``picture small``.
    """
    size = f' width="{round(picture.get_figwidth() * 110)}"' if isinstance(picture, Figure) else ""
    content = base64.b64encode(png(picture, dpi=165)).decode()
    image = f'<img class="{style}"{size} alt="{text(description)}" src="data:image/png;base64,{content}">'
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return f'<figure><div class="wide">{image}</div>{below}</figure>'


def pair(*figures: str) -> str:
    """Figures side by side, or one below another where there is no room."""
    return f'<div class="pair">{"".join(figures)}</div>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], caption: str = "", style: str = ""
) -> str:
    """A table of plain text.

    Args:
        head: names of the columns.
        rows: the cells; the first of each row names it.
        numbers: which columns hold numbers.
        caption: what is said above it.
        style: ``told`` for figures with a sentence each, which stands below on a narrow page; ``results`` for rows
            whose cells stand one below another there, each with the name of its column.
    """

    def cells(row: Sequence[str], tag: str) -> str:
        out = []
        for place, cell in enumerate(row):
            kind = ' class="number"' if place in numbers else ""
            named = f' data-is="{text(head[place])}"' if style else ""
            scope = ' scope="row"' if tag == "td" and place == 0 else ' scope="col"' if tag == "th" else ""
            name = "th" if scope else tag
            out.append(f"<{name}{kind}{scope}{named}>{text(cell)}</{name}>")
        return f"<tr>{''.join(out)}</tr>"

    above = paragraph(caption, "soft") if caption else ""
    body = "".join(cells(row, "td") for row in rows)
    kind = f' class="{style}"' if style else ""
    rows_in_groups = f"<thead>{cells(head, 'th')}</thead><tbody>{body}</tbody>"
    return f'{above}<div class="wide"><table{kind}>{rows_in_groups}</table></div>'


def section(title: str, body: str) -> str:
    """A part of the page under its own heading."""
    return f"<section><h2>{text(title)}</h2>\n{body}\n</section>"


def document(title: str, body: str) -> str:
    """The whole page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n"
        "</html>\n"
    )
