"""Sections of the page: each gives HTML, or says why there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vaekit.data.kinds import Categories
from vaekit.plots.curves import bound_curve, terms_curve
from vaekit.plots.grid import grid
from vaekit.plots.latents import kl_bars, latent_map
from vaekit.plots.traversals import effects, traversals
from vaekit.report.head import Cover, head
from vaekit.report.material import RANGE, UNITS_SHOWN, Material
from vaekit.report.numbers import minus, numbers
from vaekit.report.page import figure, pair, paragraph, section, table, text

COLUMNS_SHOWN = 20


class Skipped(NamedTuple):
    """A part that is left out, and why."""

    why: str


def doctor(material: Material) -> str:
    """What was found wrong, with cures."""
    if not material.findings:
        return paragraph("Nothing was found to be wrong.")
    return "\n".join(
        f'<div class="finding"><p><strong>{text(found.name)}</strong>: {text(found.what)}.</p>'
        f'<p class="soft">Usual cure: {text(found.cure)}.</p></div>'
        for found in material.findings
    )


def curve(material: Material) -> str | Skipped:
    """How training went."""
    metrics = material.run.metrics
    if len(metrics) < 2:
        return Skipped("there is only one epoch")
    return pair(
        figure(bound_curve(metrics), "the training objective and the validation bound over the epochs"),
        figure(terms_curve(metrics), "the two terms of the validation bound over the epochs"),
    )


def samples(material: Material) -> str | Skipped:
    """New data from the model."""
    if material.images:
        picture = grid([_shown(material, material.samples)])
        return figure(picture, "samples", "The mean of p(x|z), z drawn from the prior.", "picture")
    if isinstance(material.data.kind, Categories):
        return Skipped("categories have no mean and no standard deviation that could be compared")
    data, drawn = _observed(material), _columns(material, material.samples)
    rows = [
        (name, *(minus(f"{np.nanmean(each):.3g} ± {np.nanstd(each):.3g}") for each in (a, b)))
        for name, a, b in zip(_names(material), data.T, drawn.T, strict=False)
    ]
    return table(
        ("column", "data", "samples"),
        rows,
        numbers=(1, 2),
        caption=f"Mean ± standard deviation of {len(data):,} rows of data and of {len(drawn):,} new rows drawn "
        f"from the model, in the data's own units{_of_all(material)}.",
    )


def reconstructions(material: Material) -> str | Skipped:
    """Data and what the model makes of it."""
    if material.images:
        picture = grid([_shown(material, material.batch.x), _shown(material, material.reconstruction)])
        caption = "Each example with its reconstruction at its right: the mean of p(x|z) at the mean of q(z|x)."
        return figure(picture, "examples beside their reconstructions", caption, "picture")
    if isinstance(material.data.kind, Categories):
        hits = (material.reconstruction.argmax(-1) == material.batch.x.argmax(-1)).double().mean().item()
        return paragraph(f"The most probable category is the right one for {hits:.1%} of the values.")
    data, rebuilt = _observed(material), _columns(material, material.reconstruction)
    variance, error = np.nanvar(data, 0), np.nanmean((data - rebuilt) ** 2, 0)
    explained = 1 - error / np.where(variance > 0, variance, np.nan)
    rows = [
        (name, f"{error:.4g}", "constant" if np.isnan(share) else minus(f"{share:.1%}"))
        for name, error, share in zip(_names(material), np.sqrt(error), explained, strict=False)
    ]
    return table(
        ("column", "error", "variance explained"),
        rows,
        numbers=(1, 2),
        caption="Root mean square error of the mean of p(x|z) at the mean of q(z|x), in the data's own units, and "
        f"the share of the column's variance that it explains{_of_all(material)}.",
    )


def traversal(material: Material) -> str | Skipped:
    """What each unit does."""
    if material.paths is None:
        return Skipped("the model has no latent that is a vector of numbers, and one number of a grid means little")
    ranking = material.ranking
    units = ranking.units[:UNITS_SHOWN]
    names = [ranking.name(unit) for unit in units]
    count = "" if len(units) == len(ranking.units) else f" The first {len(units)} of {len(ranking.units)} units."
    caption = (
        f"Example 0; one unit at a time is moved from −{RANGE:g} to {RANGE:g}, all others stay at the mean of "
        f"q(z|x). Beside each unit its {ranking.by}, the largest first.{count}"
    )
    if material.images:
        pictures = _shown(material, material.paths.flatten(0, 1))
        sheet = traversals(
            pictures.reshape(len(units), -1, *pictures.shape[1:]),
            names,
            material.values.tolist(),
        )
        return figure(sheet, "what each unit does", caption, "sheet")
    if isinstance(material.data.kind, Categories):
        return Skipped("categories have no distance by which a change could be measured")
    ends = _columns(material, material.paths[:, [0, -1]].flatten(0, 1)).reshape(len(units), 2, -1)
    spread = np.nanstd(_observed(material), 0)
    change = (ends[:, 1] - ends[:, 0]) / np.where(spread > 0, spread, 1.0)
    plot = effects(change[:, :COLUMNS_SHOWN], names, _names(material))
    return figure(
        plot,
        "what each unit does",
        f"{caption} The colour is the change of the column from one end to the other{_of_all(material)}.",
        "sheet",
    )


def maps(material: Material) -> str | Skipped:
    """Where the data lies in latent space."""
    label, names = material.rows.label, material.data.classes
    drawn = [
        figure(latent_map(encoding.mean.flatten(1).numpy(), label, name, names), f"posterior means of {name}")
        for name, encoding in material.latents.items()
        if not encoding.discrete
    ]
    if not drawn:
        return Skipped("the model has no continuous latent")
    colour = "coloured by label" if label is not None else "there are no labels to colour them by"
    return paragraph(f"The mean of q(z|x) of {len(material.rows.x):,} examples, {colour}.") + pair(*drawn)


def used(material: Material) -> str | Skipped:
    """How much each unit carries."""
    kl = material.figures.get("kl_by_unit")
    if kl is None:
        return Skipped("the model has no density, so there is no KL")
    if not kl:
        return Skipped("the KL of this prior and posterior does not split into units")
    drawn = [figure(kl_bars(values, name), f"KL of each unit of {name}") for name, values in kl.items()]
    return pair(*drawn) + paragraph("Grey: below 0.01 nats, the unit carries nothing.", "soft")


SECTIONS: tuple[tuple[str, Callable[[Material], str | Skipped]], ...] = (
    ("The doctor's findings", doctor),
    ("Numbers", numbers),
    ("Training curve", curve),
    ("Samples", samples),
    ("Reconstructions", reconstructions),
    ("Traversals", traversal),
    ("Latent map", maps),
    ("KL of each unit", used),
)


def body(material: Material, cover: Cover) -> str:
    """The page: all parts, and at its end what was left out and why."""
    pieces = [head(material, cover), *(section(*each) for each in cover.sections)]
    left_out = []
    for name, make in SECTIONS:
        made = make(material)
        if isinstance(made, Skipped):
            left_out.append((name, made.why))
        else:
            pieces.append(section(name, made))
    left_out += [(f"Numbers of {name}", why) for name, why in material.figures["skipped"].items()]
    if left_out:
        items = "\n".join(f"<li>{text(name)}: {text(why)}.</li>" for name, why in left_out)
        pieces.append(section("Left out", f"<ul>{items}</ul>"))
    return "\n".join(pieces)


def _shown(material: Material, x: Tensor) -> np.ndarray:
    """Images with values in [0, 1]; real numbers and counts are stretched over the range of the originals."""
    originals = material.batch.x
    low, high = originals.min().item(), originals.max().item()
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return ((x - low) / max(high - low, 1e-12)).clamp(0, 1).cpu().numpy()


def _columns(material: Material, x: Tensor) -> np.ndarray:
    """Rows in the data's own units, ``(rows, columns)``, in double precision."""
    return material.data.kind.restore(x).flatten(1).double().cpu().numpy()


def _observed(material: Material) -> np.ndarray:
    """The rows of the data as :func:`_columns`, not a number where nothing was observed."""
    x, mask = _columns(material, material.batch.x), material.batch.mask
    return x if mask is None else np.where(mask.flatten(1).cpu().numpy(), x, np.nan)


def _names(material: Material) -> list[str]:
    count = math.prod(material.rows.x.shape[1:])
    names = material.data.columns if len(material.data.columns) == count else map(str, range(count))
    return list(names)[:COLUMNS_SHOWN]


def _of_all(material: Material) -> str:
    count = math.prod(material.rows.x.shape[1:])
    return f"; the first {COLUMNS_SHOWN} of {count:,} columns" if count > COLUMNS_SHOWN else ""
