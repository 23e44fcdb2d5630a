"""A copy of a run with a better prior: encoder and decoder as they are, the prior fitted to the encodings.

Samples then come from where the encodings are; for a plain autoencoder it is what makes samples possible."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vaekit.cli.options import Json, Parts, RunFolder, check_numbers, given, import_parts, print_json
from vaekit.errors import Interrupted, UserError


@dataclass
class Options:
    run: RunFolder
    prior: Annotated[str | None, given("PART")] = None
    """mixture (by EM) and kernel-density fit themselves; flow, vamp, two-stage … are trained (default:
    mixture:num_components=50)."""
    out: Annotated[Path | None, given("RUN")] = None
    """The new run folder (default: RUN-PRIOR-N beside the old one)."""
    epochs: Annotated[int | None, given("N")] = None
    """Passes over the training data, for a prior that is trained (default: 20)."""
    learning_rate: Annotated[str | None, given("RATE")] = None
    """A number, or a schedule: cosine(0.001) … (default: 0.001)."""
    seed: Annotated[int | None, given("N")] = None
    """Of all random numbers (default: 0)."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with the training in --out that was stopped; what is not given is as it was."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Start again in a run folder that is in use."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(epochs=options.epochs, seed=options.seed)
    if options.resume and options.overwrite:
        raise UserError("--resume goes on and --overwrite starts again: give one of them.")
    import_parts(options.parts)
    from vaekit.parts.specification import literal
    from vaekit.recipes.fit_prior import fit_prior
    from vaekit.training import load

    rate = None if options.learning_rate is None else literal(options.learning_rate)
    if isinstance(rate, str):
        raise UserError(f"--learning-rate must be a number or a schedule, got '{rate}'.")
    try:
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
    except Interrupted as error:
        command = shlex.join(["vaekit", "fit-prior", f"{options.run}", "--resume", "--out", f"{error.folder}"])
        raise Interrupted(error.message, error.folder, command) from None
    before, after = (each.best.get("validation_elbo") for each in (load(options.run), new))
    if options.json:
        print_json({"run": str(new.folder), "elbo": after, "elbo_before": before})
        return 0
    figures = f"  validation elbo {after:.3f}, before {before:.3f} nats per example" if after and before else ""
    print(f"{new.folder}{figures}")
    print(f"next: vaekit sample {shlex.quote(f'{new.folder}')} -n 64 -o FILE", file=sys.stderr)
    return 0
