"""Numbers section: the figures of ``vaekit evaluate`` with their protocol."""

from __future__ import annotations

import math

from vaekit.evaluation.evaluate import GIVEN_LABEL
from vaekit.evaluation.likelihood import without_chance
from vaekit.report.material import Material
from vaekit.report.page import table


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
    certain = without_chance(material.run.model)
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
    share = "" if figures["examples"] == whole else f"{figures['examples']:,} at even distances of "
    words = (
        f"{figures['data']}, {which}, {share}{whole:,} examples, {seen}, seed {figures['seed']}. "
        f"In nats per example: summed over the values of an example, averaged over the examples. "
        f"p(x) is a {figures['p_of_x']}."
    )
    if figures["prior_is_bound"]:
        words += (
            " log p(z) of this prior is itself a bound, estimated from draws: the KL given is an upper bound on the "
            "KL, and the ELBO lower than that of the prior itself."
        )
    mask = material.rows.mask
    if mask is not None:
        words += f" Only the {mask.mean():.1%} of the cells that are observed count."
    if figures["log_scale"]:
        shift = minus(f"{figures['log_scale']:.3f}")
        words += f" It is that of the standardised data: in the data's own units log p(x) is that less {shift}."
    if figures["condition"]:
        words += f" The model is conditioned: {GIVEN_LABEL}."
    return words
