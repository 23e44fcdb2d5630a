"""All figures of a run on a data set, with their protocol.

Nats per example: summed over dimensions, averaged over the examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vaekit.cli.options import (
    Json,
    OptionalData,
    Parts,
    RunFolder,
    SplitName,
    check_numbers,
    data_for,
    given,
    import_parts,
    open_run,
    print_json,
)

if TYPE_CHECKING:
    from vaekit.evaluation.context import Estimator


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    samples: int = 5000
    """Draws for each example of the importance-weighted likelihood."""
    estimators: Annotated[
        tuple[str, ...], tyro.conf.arg(name="with", metavar="ESTIMATOR …", help_behavior_hint="")
    ] = ()
    """What else to estimate, by name and with options: split ais:chains=32 … (vaekit list parts has them all)."""
    split: SplitName = None
    limit: Annotated[int | None, given("INT")] = None
    """Use only so many examples, at even distances (default: all)."""
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: the likelihood's products are of rounded factors; faster, and off by some thousandths of a nat."""
    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Compile the estimate of the likelihood: some seconds once, and a fifth less for every draw."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(samples=options.samples, limit=options.limit, seed=options.seed)
    import_parts(options.parts)
    estimators = made(options.estimators)
    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    from vaekit.progress import Bar, say

    rows = len(data_set.split(split).x)
    rows = min(rows, options.limit or rows)
    work = rows + sum(estimator.work(rows) for estimator in estimators)
    with Bar("evaluating", work, "examples", quiet=options.json) as bar:
        figures = opened.evaluate(
            data_set,
            samples=options.samples,
            split=split,
            limit=options.limit,
            seed=options.seed,
            precision=options.precision,
            compiled=options.compile,
            say=say,
            estimators=estimators,
            progress=bar.advance,
        )
    if options.json:
        print_json({"run": str(options.run)} | figures)
    else:
        print(text(figures, estimators))
    return 0


def made(texts: Sequence[str]) -> list[Estimator]:
    """The estimators of ``--with``, each once.

    Raises:
        UserError: for an unknown name or option.
    """
    import vaekit.parts.registry  # noqa: F401
    from vaekit.parts.build import build
    from vaekit.parts.specification import parse

    named = dict(map(parse, texts))
    return [build("estimator", name, {}, None, options) for name, options in named.items()]


def text(figures: dict[str, Any], estimators: Sequence[Estimator] = ()) -> str:
    """The figures as lines for a person."""
    from vaekit.evaluation.evaluate import GIVEN_LABEL

    which = "all rows" if figures["split"] == "all" else f"{figures['split']} split"
    head = (
        f"{figures['data']}, {which}, {figures['examples']:,} example{'s' * (figures['examples'] != 1)}, "
        f"binarisation {figures['binarization']}; nats per example"
    )
    lines = [head + (f", products in {figures['precision']}" if figures["precision"] != "float32" else "")]
    if (observed := figures.get("observed", 1.0)) < 1:
        lines[0] += f"; p(x) is that of the observed cells of each example, {observed:.1%} of all"

    if figures["condition"]:
        lines[0] += f"; {GIVEN_LABEL}"

    def line(name: str, value: str, what: str) -> None:
        lines.append(f"  {name:<14}{value:>20}   {what}")

    if figures["elbo"] is not None:
        line("elbo", f"{figures['elbo']:.3f}", "evidence lower bound: log p(x|z) − KL")
        error = figures["nll_standard_error"]
        spread = f" ± {error:.3f}" if error is not None else ""
        draws = f"{figures['samples']:,} importance sample{'s' * (figures['samples'] != 1)}"
        line("nll", f"{figures['nll']:.3f}{spread}", f"−log p(x), {draws}")
    if figures["bits_per_dim"] is not None and figures["p_of_x"] == "probability":
        line(
            "bits per dim", f"{figures['bits_per_dim']:.4f}", "nll / (values · log 2); no dequantisation: a probability"
        )
    line("log p(x|z)", f"{figures['log_px']:.3f}", "reconstruction term")
    if figures["kl"] is not None:
        line("KL", f"{figures['kl']:.3f}", "from the prior to the posterior")
    if figures["active_units"] is not None:
        line("active units", str(figures["active_units"]), "latents whose mean varies over the data by more than 0.01")
    if figures["accuracy"] is not None:
        line("accuracy", f"{figures['accuracy']:.4f}", "of the model's own classifier")
    for estimator in estimators:
        for name, value, what in estimator.lines(figures):
            line(name, value, what)
    if figures["prior_is_bound"]:
        lines.append(
            "  log p(z) of this prior is a bound, estimated from draws: the KL is an upper bound on the KL, and the\n"
            "  elbo is lower than that of the prior itself; the nll is an upper bound as ever"
        )
    if figures["log_scale"]:
        shift = figures["log_scale"]
        lines.append(
            f"  of the standardised data; in its own units subtract {shift:.3f} from the bound, add it to the nll"
        )
    lines += [f"  skipped {name}: {why}" for name, why in figures["skipped"].items()]
    return "\n".join(lines)
