"""Train a variational autoencoder on real images, evaluate it and draw its pictures.

MNIST if it can be had, else Fashion-MNIST, else the 8 × 8 digits that are always there."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vaekit.cli.options import check_numbers, given
from vaekit.errors import UserError

CHOICES = {"mnist": 12, "fashion-mnist:binarization=dynamic": 12, "digits": 150}


@dataclass
class Options:
    out: Path = Path("runs/demo")
    """The run folder; what is there from an earlier demo is replaced."""
    data: Annotated[str | None, given("DATA")] = None
    """Use this data set and no other."""
    epochs: Annotated[int | None, given("N")] = None
    """Passes over the training data (default: what fits into about a minute)."""


def run(options: Options) -> int:
    check_numbers(epochs=options.epochs)
    from vaekit.atomic import replacing
    from vaekit.cli import evaluate, reconstruct, sample, train
    from vaekit.cli.report import after_training
    from vaekit.data import load
    from vaekit.plots.curves import curves
    from vaekit.plots.grid import is_image
    from vaekit.progress import Bar

    if options.data and not is_image(shape := load(options.data).shape):
        raise UserError(f"the demo draws pictures, and {options.data} holds examples of shape {shape}.")
    name = _first_that_can_be_had((options.data,) if options.data else tuple(CHOICES))
    epochs = options.epochs or CHOICES.get(name)
    run = train.train(train.Options(name, epochs=epochs, out=options.out, overwrite=True))
    limit = 1000
    with Bar("evaluating", min(limit, len(run.data.test.x)), "examples") as bar:
        figures = run.evaluate(samples=500, limit=limit, progress=bar.advance)
    pictures = {
        "samples": options.out / "samples.png",
        "reconstructions": options.out / "reconstructions.png",
        "curves": options.out / "curves.png",
    }
    sample.run(sample.Options(options.out, pictures["samples"], number=100))
    reconstruct.run(reconstruct.Options(options.out, out=pictures["reconstructions"], number=60))
    with replacing(pictures["curves"]) as temporary:
        curves(run.metrics).savefig(temporary, dpi=110, format="png")
    print(evaluate.text(figures))
    print(f"pictures: {', '.join(str(path) for path in pictures.values())}")
    print(f"report: {after_training(run)[0]}")
    print("next:")
    folder = shlex.quote(f"{options.out}")
    print(f"  vaekit evaluate {folder} --samples 5000      the likelihood with more samples, on all of the test set")
    print(f"  vaekit train {shlex.quote(name)} --prior mixture --out runs/mixture      another prior")
    print(f"  vaekit encode {folder} -o latents.npz      embeddings with their uncertainty")
    return 0


def _first_that_can_be_had(names: tuple[str, ...]) -> str:
    from vaekit.data import load

    for name in names[:-1]:
        try:
            print(f"demo: {name}, from {load(name).source}", file=sys.stderr)
            return name
        except UserError as error:
            print(f"demo: {name} cannot be had here: {error.message}", file=sys.stderr)
    print(f"demo: {names[-1]}", file=sys.stderr)
    return names[-1]
