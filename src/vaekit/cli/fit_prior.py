"""A copy of a run with a better prior: encoder and decoder as they are, the prior fitted to the encodings.

Samples then come from where the encodings are; for a plain autoencoder it is what makes samples possible."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vaekit.cli.options import Json, Parts, RunFolder, check_numbers, given, import_parts, print_json


@dataclass
class Options:
    run: RunFolder
    prior: Annotated[str, tyro.conf.arg(metavar="PART")] = "mixture:num_components=50"
    """mixture (by EM) and kernel-density fit themselves; flow, autoregressive, vamp, two-stage … are trained."""
    out: Annotated[Path | None, given("RUN")] = None
    """The new run folder (default: RUN-PRIOR-N beside the old one)."""
    epochs: int = 20
    """Passes over the training data, for a prior that is trained."""
    learning_rate: Annotated[str, tyro.conf.arg(metavar="RATE")] = "0.001"
    """A number, or a schedule: cosine(0.001) …"""
    seed: int = 0
    """Of all random numbers."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with a training that was stopped."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Start again in a run folder that is in use."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(epochs=options.epochs, seed=options.seed)
    import_parts(options.parts)
    from vaekit.config import literal
    from vaekit.errors import UserError
    from vaekit.recipes.fit_prior import fit_prior
    from vaekit.training import load

    rate = literal(options.learning_rate)
    if isinstance(rate, str):
        raise UserError(f"--learning-rate must be a number or a schedule, got '{rate}'.")
    new = fit_prior(
        options.run,
        options.prior,
        out=options.out,
        epochs=options.epochs,
        learning_rate=rate,
        seed=options.seed,
        resume=options.resume,
        overwrite=options.overwrite,
        quiet=options.json,
    )
    before, after = (each.best.get("validation_elbo") for each in (load(options.run), new))
    if options.json:
        print_json({"run": str(new.folder), "elbo": after, "elbo_before": before})
        return 0
    figures = f"  validation elbo {after:.3f}, before {before:.3f} nats per example" if after and before else ""
    print(f"{new.folder}{figures}")
    print(f"next: vaekit sample {new.folder} -n 64 -o FILE", file=sys.stderr)
    return 0
