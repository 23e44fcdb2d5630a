"""The parts of the page. Each is a function of the material and gives HTML, or says why there is nothing to show."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vaekit.data.kinds import Categories
from vaekit.plots.curves import curves
from vaekit.plots.grid import grid
from vaekit.plots.latents import kl_bars, latent_map
from vaekit.plots.traversals import effects, traversals
from vaekit.report.material import RANGE, UNITS_SHOWN, Material
from vaekit.report.page import command, figure, paragraph, section, table, text

COLUMNS_SHOWN = 20


class Skipped(NamedTuple):
    """A part that is left out, and why."""

    why: str


def title(material: Material) -> str:
    """What was trained on what."""
    request = material.run.config.get("request", {})
    part = str(material.run.config["model"].get("part", "model")).removeprefix("model/")
    return f"{request.get('recipe', part)} on {material.run.config['data']['name']}"


def head(material: Material) -> str:
    """Title, the command to repeat it, the data and the model in a line each."""
    return "\n".join(
        [
            f"<h1>{text(title(material))}</h1>",
            paragraph(_data(material)),
            paragraph(_model(material), "soft"),
            _repeat(material),
        ]
    )


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
    parts = [f"{name} {part.part_name.partition('/')[2]}" for name, part in model.named_children() if _is_part(part)]
    weights = sum(parameter.numel() for parameter in model.parameters())
    goals = " then ".join(
        f"{phase['objective']['part'].partition('/')[2]} for {phase['epochs']} epoch{'s' * (phase['epochs'] > 1)}"
        for phase in run.config["phases"]
    )
    best = run.best
    took = f"; {best['epochs']} epochs took {best['seconds']:,.0f} s, the weights of epoch {best['epoch']} are kept"
    version = f"; vaekit {run.config['vaekit']}" if "vaekit" in run.config else ""
    return f"{', '.join(parts)}; {weights:,} weights; {goals}{took}{version}."


def _is_part(module: object) -> bool:
    return str(getattr(module, "part_name", "")).split("/")[0] in ("prior", "posterior", "likelihood")


def _repeat(material: Material) -> str:
    request = dict(material.run.config.get("request", {}))
    if not request:
        return paragraph("It was trained from Python; its folder's config.json holds all that is needed to repeat it.")
    words = ["vaekit", "train", str(request.pop("data", material.run.config["data"]["name"]))]
    for name, value in request.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return command(shlex.join([*words, "--out", "AGAIN"]))


def doctor(material: Material) -> str:
    """What was found wrong, with cures."""
    if not material.findings:
        return paragraph("Nothing was found to be wrong.")
    return "\n".join(
        f'<div class="finding"><p><strong>{text(found.name)}</strong>: {text(found.what)}.</p>'
        f'<p class="soft">Usual cure: {text(found.cure)}.</p></div>'
        for found in material.findings
    )


def numbers(material: Material) -> str:
    """The figures of ``vaekit evaluate`` with their protocol in words."""
    figures = material.figures
    rows: list[tuple[str, str, str]] = []

    def row(name: str, value: float | None, what: str, form: str = ".3f", after: str = "") -> None:
        if value is not None:
            rows.append((name, minus(f"{value:{form}}{after}"), what))

    error = figures["nll_standard_error"]
    spread = f" ± {error:.3f}" if error is not None else ""
    draws = figures["samples"]
    row("ELBO", figures["elbo"], "evidence lower bound: log p(x|z) − KL; higher is better")
    # As in the estimate: all draws of a posterior without chance are one and the same.
    certain = getattr(getattr(material.run.model, "posterior", None), "deterministic", False)
    how = (
        "the ELBO with its sign turned, as the posterior has no chance"
        if certain
        else (f"importance-weighted estimate with {draws:,} draws for each example")
    )
    what = f"{how}, ± its standard error over the examples; in expectation an upper bound, lower is better"
    row("−log p(x)", figures["nll"], what, after=spread)
    if figures["nll"] is not None and figures["p_of_x"] == "probability":
        size = math.prod(material.rows.x.shape[1:])
        row("bits per dimension", figures["nll"] / size / math.log(2), f"−log₂ p(x) over {size:,} values")
    row("log p(x|z)", figures["log_px"], "reconstruction term, at draws from q(z|x)")
    row("KL", figures["kl"], "from the prior to the posterior")
    row(
        "effective draws",
        None if certain else figures["effective_samples"],
        f"of {draws:,}; near 1 means that more draws would lower −log p(x)",
        ".1f",
    )
    row("active units", figures["active_units"], "whose posterior mean varies over the data by more than 0.01", "d")
    row("accuracy", figures["accuracy"], "of the model's own classifier", ".4f")
    return table(("figure", "value", "what it is"), rows, numbers=(1,), caption=protocol(material), style="told")


def minus(number: str) -> str:
    """A number with the sign of a minus in place of a hyphen."""
    return number.replace("-", "−")


def protocol(material: Material) -> str:
    """How the numbers were measured, as a sentence or two."""
    figures = material.figures
    binarization = figures["binarization"]
    seen = "values as they are" if binarization == "none" else f"{binarization} binarisation"
    which = "all rows" if figures["split"] == "all" else f"{figures['split']} split"
    whole = len(material.data.split(figures["split"]).x)
    share = "" if figures["examples"] == whole else f"the first {figures['examples']:,} of "
    words = (
        f"{figures['data']}, {which}, {share}{whole:,} examples, {seen}, seed {figures['seed']}. "
        f"In nats per example: summed over the values of an example, averaged over the examples. "
        f"p(x) is a {figures['p_of_x']}."
    )
    if figures["log_scale"]:
        shift = minus(f"{figures['log_scale']:.3f}")
        words += f" It is that of the standardised data: in the data's own units log p(x) is that less {shift}."
    return words


def curve(material: Material) -> str | Skipped:
    """How training went."""
    metrics = material.run.metrics
    if len(metrics) < 2:
        return Skipped("there is only one epoch")
    return figure(curves(metrics), "validation bound and its terms over the epochs")


def samples(material: Material) -> str | Skipped:
    """New data from the model."""
    if material.images:
        picture = grid([_shown(material, material.samples)])
        return figure(picture, "samples", "The mean of p(x|z), z drawn from the prior.", "picture")
    if isinstance(material.data.kind, Categories):
        return Skipped("categories have no mean and no standard deviation that could be compared")
    data, drawn = (_columns(material, each) for each in (material.batch.x, material.samples))
    rows = [
        (name, *(minus(f"{each.mean():.3g} ± {each.std():.3g}") for each in (a, b)))
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
    data, rebuilt = (_columns(material, each) for each in (material.batch.x, material.reconstruction))
    variance = data.var(0)
    explained = 1 - ((data - rebuilt) ** 2).mean(0) / np.where(variance > 0, variance, np.nan)
    rows = [
        (name, f"{error:.4g}", "constant" if np.isnan(share) else minus(f"{share:.1%}"))
        for name, error, share in zip(
            _names(material), np.sqrt(((data - rebuilt) ** 2).mean(0)), explained, strict=False
        )
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
    spread = _columns(material, material.batch.x).std(0)
    change = (ends[:, 1] - ends[:, 0]) / np.where(spread > 0, spread, 1.0)
    plot = effects(change[:, :COLUMNS_SHOWN], names, _names(material))
    return figure(
        plot,
        "what each unit does",
        f"{caption} The colour is the change of the column from one end to the other{_of_all(material)}.",
    )


def maps(material: Material) -> str | Skipped:
    """Where the data lies in latent space."""
    label = material.rows.label
    drawn = [
        figure(latent_map(encoding.mean.flatten(1).numpy(), label, name), f"posterior means of {name}")
        for name, encoding in material.latents.items()
        if not encoding.discrete
    ]
    if not drawn:
        return Skipped("the model has no continuous latent")
    colour = "coloured by label" if label is not None else "there are no labels to colour them by"
    return paragraph(f"The mean of q(z|x) of {len(material.rows.x):,} examples, {colour}.") + "\n".join(drawn)


def used(material: Material) -> str | Skipped:
    """How much each unit carries."""
    kl = material.figures.get("kl_by_unit")
    if kl is None:
        return Skipped("the model has no density, so there is no KL")
    if not kl:
        return Skipped("the KL of this prior and posterior does not split into units")
    return figure(kl_bars(kl), "KL of each unit", "Grey: below 0.01 nats, the unit carries nothing.")


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


def body(material: Material) -> str:
    """The page: all parts, and at its end what was left out and why."""
    pieces = [head(material)]
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


def _names(material: Material) -> list[str]:
    count = math.prod(material.rows.x.shape[1:])
    names = material.data.columns if len(material.data.columns) == count else map(str, range(count))
    return list(names)[:COLUMNS_SHOWN]


def _of_all(material: Material) -> str:
    count = math.prod(material.rows.x.shape[1:])
    return f"; the first {COLUMNS_SHOWN} of {count:,} columns" if count > COLUMNS_SHOWN else ""
