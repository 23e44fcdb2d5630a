"""Train a model on data and keep it in a run folder.

Parts are named in one form, the part specification: --prior mixture:num_components=50 (vaekit list parts)."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vaekit.cli.options import Json, Parts, compiling, given, import_parts, print_json
from vaekit.errors import Interrupted, TrainingFailed, UserError

if TYPE_CHECKING:
    from vaekit.evaluation.doctor import Finding
    from vaekit.training import Run

SPEAKING_SECONDS = 5

RECIPE_OPTIONS = (
    "prior",
    "posterior",
    "likelihood",
    "objective",
    "network",
    "latent_dim",
    "size",
    "epochs",
    "learning_rate",
)
SETTINGS = (
    "batch_size",
    "seed",
    "optimizer",
    "weight_decay",
    "clip_norm",
    "ema_decay",
    "patience",
    "device",
    "precision",
    "accumulate",
    "compile",
)


@dataclass
class Options:
    data: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="DATA",
            help="a data set: its name or path (may be left out with --resume)",
            help_behavior_hint="",
        ),
    ] = None
    recipe: Annotated[str | None, given("NAME")] = None
    """A system and its options: vae, aae, hvae, m2:num_labelled=100, vq-vae … (default: vae)."""
    prior: Annotated[str | None, given("PART")] = None
    """p(z): standard-normal, mixture:num_components=10, vamp, flow … (default: standard-normal)."""
    posterior: Annotated[str | None, given("PART")] = None
    """q(z|x): diagonal, cholesky, point (default: diagonal)."""
    likelihood: Annotated[str | None, given("PART")] = None
    """p(x|z): bernoulli, gaussian:scale=learned … (default: what fits the data)."""
    objective: Annotated[str | None, given("PART")] = None
    """elbo, elbo:beta=linear(0,1,epochs=10), iwae:samples=5, free-bits:nats=0.1 … (default: elbo, warmed up)."""
    network: Annotated[str | None, given("PART")] = None
    """mlp:hidden=300/300, gated-mlp, convolutional:channels=32/64, linear (default: by the shape of the data)."""
    latent_dim: Annotated[int | None, given("N")] = None
    """Length of the latent (default: the square root of the number of values, 2 to 64)."""
    size: Annotated[str | None, given("SIZE")] = None
    """small, medium or large: half, once or twice the default latent and network (default: medium)."""
    epochs: Annotated[int | None, given("N")] = None
    """Passes over the training data (default: the recipe's)."""
    learning_rate: Annotated[str | None, given("RATE")] = None
    """A number, or a schedule: cosine(0.001), linear(0,0.001,epochs=1) … (default: the recipe's)."""
    batch_size: Annotated[int | None, given("N")] = None
    """Rows in a batch (default: 128, fewer for small data)."""
    seed: Annotated[int | None, given("N")] = None
    """Of weights, data order and noise (default: 0)."""
    optimizer: Annotated[str | None, given("NAME")] = None
    """adam, adamax, adagrad, rmsprop or sgd (default: adam)."""
    weight_decay: Annotated[float | None, given("X")] = None
    """Weight decay of the optimiser (default: 0)."""
    clip_norm: Annotated[float | None, given("X")] = None
    """Largest norm of a gradient; 0 for no limit (default: 0)."""
    ema_decay: Annotated[float | None, given("X")] = None
    """Decay of a running average of the weights, which is then what is kept; 0 for none (default: 0)."""
    patience: Annotated[int | None, given("N")] = None
    """Stop after so many epochs without a better validation bound; 0 for never (default: 0)."""
    device: Annotated[str | None, given("NAME")] = None
    """cpu, cuda, mps or auto (default: auto)."""
    precision: Annotated[str | None, given("NAME")] = None
    """float32, or bfloat16 for the factors of matrix products: faster where the machine has units for it; float16 on
    GPUs without bfloat16 (default: float32)."""
    accumulate: Annotated[int | None, given("N")] = None
    """Microbatches of a batch, to save memory or for the processes of torchrun (default: 1 a process)."""
    compile: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Compile the steps, ten seconds or more once: a third less time in each for small layers. Needs a C++ compiler
    (default: on a processor where it would save a minute or more)."""
    no_compile: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Take the steps uncompiled, however many they are."""
    out: Annotated[Path | None, given("FOLDER")] = None
    """The run folder (default: runs/DATA-N)."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Start again in a run folder that is in use."""
    resume: Annotated[Path | None, given("FOLDER")] = None
    """Go on with this run folder, exactly as if it had not stopped; what is not given is as it was."""
    parts: Parts = ()
    json: Json = False
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show no progress."""


def run(options: Options) -> int:
    if int(os.environ.get("RANK", "0")):
        return _follow(options)
    _finish(options, train(options))
    return 0


def _follow(options: Options) -> int:
    """Train as one of several processes that is not the first. What goes wrong in all of them the first one says."""
    try:
        train(replace(options, quiet=True))
        return 0
    except (UserError, TrainingFailed, Interrupted) as error:
        if os.environ.get("LOCAL_RANK") == "0":
            raise  # the only one that sees what this machine lacks
        # torchrun ends all as soon as one has ended: the first must have spoken by then.
        time.sleep(SPEAKING_SECONDS)
        return {UserError: 2, TrainingFailed: 1, Interrupted: 130}.get(type(error), 2)


def train(options: Options) -> Run:
    """Do what the options ask for.

    Raises:
        UserError: if they, the data or the run folder do not allow it.
    """
    if options.resume is not None and (options.out is not None or options.overwrite):
        raise UserError("--resume names the run folder itself; leave --out and --overwrite out.")
    request = _request(options)
    if not request.get("data"):
        if options.resume is not None:
            from vaekit.run.config import read_config
            from vaekit.run.folder import NEW

            if (options.resume / NEW).is_dir():
                read_config(options.resume)  # which says how to go on
            raise UserError(
                f"{options.resume} is not a run folder: it has no config.json.",
                "if it was stopped before it began, name the data as well: vaekit train DATA --resume FOLDER.",
            )
        raise UserError("train needs data: vaekit train DATA.", "vaekit list data shows the names; a path will do too.")
    from vaekit.kernels import flushing_denormals

    with flushing_denormals():
        return _train(options, request)


def _train(options: Options, request: dict[str, Any]) -> Run:
    """Train as requested."""
    import torch

    from vaekit.data import load
    from vaekit.parts.specification import literal, parse
    from vaekit.recipes import make
    from vaekit.run.folder import fresh_folder
    from vaekit.training import Settings, fit

    settings = {key: request[key] for key in SETTINGS if key in request}
    try:
        Settings(**settings)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise UserError(f"--{name.replace('_', '-')} {rest}.") from None
    import_parts(options.parts)
    data_set = load(request["data"])
    # The name is the same from every folder; a path as it was given is not.
    request["data"] = data_set.name
    name, recipe_options = parse(request.get("recipe", "vae"))
    asked = {key: request[key] for key in RECIPE_OPTIONS if key in request}
    given = {key for key in asked if getattr(options, key) is not None}
    if options.recipe is not None and (twice := sorted(given & recipe_options.keys())):
        raise UserError(f"{twice[0]} is given twice: in --recipe and by --{twice[0].replace('_', '-')}.")
    recipe_options |= asked
    if isinstance(recipe_options.get("learning_rate"), str):
        recipe_options["learning_rate"] = literal(recipe_options["learning_rate"])
    torch.manual_seed(settings.get("seed", 0))
    try:
        plan = make(name, data_set, recipe_options)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        # What an option may be is known to the parts, and they say it each in their way.
        raise UserError(f"the recipe '{name}' cannot be made with these options: {error}.") from error
    by_default = f"{parse(data_set.kind.default_likelihood)[0]}; say --likelihood to change"
    likelihood = request.get("likelihood", by_default)
    _say(options, f"{data_set.name}: {_rows(plan.data)}, {data_set.describe()} → {likelihood}")
    _say(options, f"{name}: {_describe(plan)}")
    return fit(
        plan.model,
        plan.data,
        phases=plan.phases,
        out=options.resume or options.out or fresh_folder(Path("runs"), data_set.name),
        resume=options.resume is not None,
        overwrite=options.overwrite,
        quiet=options.quiet,
        note={"request": request},
        **{**plan.settings, **settings},
    )


def _request(options: Options) -> dict[str, Any]:
    """What was asked for; with --resume, on top of what the run was started with."""
    left_out = {"no_compile", "out", "overwrite", "resume", "parts", "json", "quiet"}
    given = asdict(options) | {"compile": compiling(options.compile, options.no_compile)}
    asked = {key: value for key, value in given.items() if value is not None and key not in left_out}
    if options.resume is None or not (options.resume / "config.json").exists():
        return asked
    from vaekit.run.config import read_config

    return read_config(options.resume).get("request", {}) | asked


def _rows(data_set: Any) -> str:
    return f"{len(data_set.train.x):,} + {len(data_set.validation.x):,} + {len(data_set.test.x):,} examples"


def _describe(plan: Any) -> str:
    weights = sum(parameter.numel() for parameter in plan.model.parameters())
    parts = ", ".join(part.part_name for part in plan.model.children() if hasattr(part, "part_name"))
    names = [getattr(phase.objective, "part_name", type(phase.objective).__name__) for phase in plan.phases]
    phases = zip(names, plan.phases, strict=True)
    goals = " then ".join(f"{name} for {phase.epochs} epoch{'s' * (phase.epochs > 1)}" for name, phase in phases)
    return f"{parts}; {weights:,} weights; {goals}"


def _finish(options: Options, finished: Run) -> None:
    from vaekit.plots.grid import is_image

    best = finished.best
    summary = {
        "run": str(finished.folder),
        "epochs": best["epochs"],
        "elbo": best.get("validation_elbo"),
        "log_px": best["validation_log_px"],
        "best_epoch": best["epoch"],
        "skipped_steps": best["skipped"],
        "seconds": best["seconds"],
    }
    page, findings = _report(options, finished)
    summary |= {"report": page and str(page), "findings": [found._asdict() for found in findings]}
    for found in findings:
        _say(options, f"found: {found.what} ({found.name}).")
    if options.json:
        print_json(summary)
        return
    figure = "elbo" if "validation_elbo" in best else "log_px"
    value = "not finite" if summary[figure] is None else f"{summary[figure]:.3f} nats per example"
    print(f"{summary['run']}  validation {figure} {value} (epoch {best['epoch']})")
    folder = shlex.quote(summary["run"])
    ending = "png" if is_image(finished.data.shape) else "npz"
    _say(options, f"next: vaekit evaluate {folder}")
    _say(options, f"      vaekit sample {folder} -n 64 -o samples.{ending}")
    _say(options, f"      vaekit reconstruct {folder} -o reconstructions.{ending}")
    if page:
        _say(options, f"report: {page}{' (with the cures of what was found)' * bool(findings)}")


def _report(options: Options, finished: Run) -> tuple[Path | None, list[Finding]]:
    """The page and the findings. The run is there and good, whatever goes wrong with its picture."""
    from vaekit.cli.report import after_training

    try:
        return after_training(finished)
    except (Exception, KeyboardInterrupt) as error:
        why, folder = f"{error}" or "interrupted", shlex.quote(f"{finished.folder}")
        _say(options, f"warning: the report was not drawn ({why}); vaekit report {folder} tries again.")
        return None, []


def _say(options: Options, line: str) -> None:
    if not options.quiet:
        print(line, file=sys.stderr)
