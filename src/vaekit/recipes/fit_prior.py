"""Another prior for a trained model, fitted to its encodings."""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit import __version__
from vaekit.atomic import module_tensors, write_tensors
from vaekit.data.dataset import Dataset, Split
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.evaluation.likelihood import bound, evaluating
from vaekit.objectives import LogPrior
from vaekit.parts.record import from_document, to_document
from vaekit.parts.specification import parse
from vaekit.recipes.compose import make_part, surroundings
from vaekit.run.brought import brought_along
from vaekit.run.config import read_config
from vaekit.run.folder import fresh_folder, open_folder, take_place
from vaekit.run.metrics import rewrite_metrics
from vaekit.run.run import Run, load
from vaekit.run.store import FolderStore
from vaekit.schedules import Schedule
from vaekit.training.fit import fit
from vaekit.training.settings import Phase

DEFAULTS: dict[str, Any] = {"prior": "mixture:num_components=50", "epochs": 20, "learning_rate": 1e-3, "seed": 0}
BATCH = 500
MOST_ROWS = 50_000  # encodings that a prior is fitted to where it is not trained on all of them


def fit_prior(
    run: Run | str | Path,
    prior: str | None = None,
    *,
    out: str | Path | None = None,
    epochs: int | None = None,
    learning_rate: float | Schedule | None = None,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    note: dict[str, Any] | None = None,
) -> Run:
    """A copy of a run with another prior, which is fitted to the encodings of its training rows.

    Encoder and decoder stay what they are, so that reconstructions do too, and samples come from where the encodings
    are. A prior that knows how to fit itself (``mixture`` by EM, ``kernel-density``) does so; any other one (``flow``,
    ``autoregressive``, ``vamp``, ``two-stage``, a second VAE) is trained by :class:`~vaekit.objectives.LogPrior`. Of
    several latents it is the first one's prior that is replaced, and where there is training, those below learn on.

    Args:
        run: a trained run, or its folder; it is not changed.
        prior: the prior in the part specification; ``mixture:num_components=50`` by default.
        out: the new run folder; ``RUN-PRIOR-N`` beside the old one without it.
        epochs, learning_rate: of the training, where there is one; 20 and 0.001 by default.
        seed: of all random numbers; 0 by default.
        resume: go on with the training in ``out`` that was stopped; what is not given is as it was.
        overwrite: as of :func:`vaekit.fit`.
        quiet: show no progress.
        note: more to be written into ``config.json``.

    Raises:
        UserError: if the model sums over a label, its latents are no vectors, the prior does not fit or the folder is
            in use; with ``resume``, if there is no such training in it.
    """
    given = {"prior": prior, "epochs": epochs, "learning_rate": learning_rate, "seed": seed}
    asked = _asked(given, out, resume)
    old = run.again() if isinstance(run, Run) else load(run)
    model, data = old.model, old.data
    if data.condition_dim == 0 and (classes := old.config["data"].get("condition_dim", 0)):
        data = data.conditioned(classes)
    if getattr(model, "num_branches", 1) > 1:
        raise UserError(
            f"the model of {old.folder} sums over a label and has no encodings that a prior could be fitted to."
        )
    torch.manual_seed(asked["seed"])
    made = _replace_prior(model, asked["prior"], data, old.folder)
    name = parse(asked["prior"])[0]
    folder = Path(out) if out is not None else fresh_folder(old.folder.parent, f"{old.folder.name}-{name}")
    if folder.resolve() == old.folder.resolve():
        raise UserError(f"{folder} is the run itself, which is not changed.", hint="name another folder with --out.")
    kept = {key: old.config[key] for key in ("request",) if key in old.config}
    fitted = {"from": old.folder.name, "prior": asked["prior"], "seed": asked["seed"]}
    settings = replace(from_document(old.config["settings"]), seed=asked["seed"], accumulate=0)
    if not hasattr(made, "fit"):
        others = tuple(part for part, _ in model.named_children() if part != "prior")
        try:
            phase = Phase(LogPrior(), asked["epochs"], asked["learning_rate"], train=("prior",), rest=others)
        except ValueError as error:
            raise UserError(f"the prior cannot be trained: {error}.") from error
        fitted |= {"epochs": phase.epochs, "learning_rate": to_document(phase.learning_rate)}
        options: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "quiet": quiet}
        note = {**kept, "fitted_prior": fitted, **(note or {})}
        return fit(model, data, phases=(phase,), settings=settings, out=folder, note=note, **options)
    note = {**kept, "fitted_prior": fitted, **(note or {})}
    config = {**old.config, "vaekit": __version__, "model": to_document(model), **note}
    return _fitted_by_itself(model, made, data, config, asked["seed"], folder, resume, overwrite)


def _asked(given: dict[str, Any], folder: str | Path | None, resume: bool) -> dict[str, Any]:
    """What is given; for the rest what the run that is gone on with was given, or the defaults.

    Raises:
        UserError: if there is no training in the folder to go on with.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not resume:
        return DEFAULTS | given
    if folder is None:
        raise UserError("a training that goes on needs its run folder.", hint="name it with --out.")
    before = read_config(Path(folder)).get("fitted_prior")
    if before is None:
        raise UserError(
            f"{folder} was not made by fit-prior.", hint=f"vaekit train --resume {folder} goes on with a training."
        )
    if not before.keys() >= DEFAULTS.keys():
        raise UserError(
            f"{folder} records no training of a prior to go on with: its prior fitted itself.",
            hint="--overwrite starts again, --out names another folder.",
        )
    before = {name: from_document(before[name]) for name in DEFAULTS}
    return before | given


def _replace_prior(model: Any, text: str, data: Dataset, folder: Path) -> Any:
    """Make the prior and put it in the place of the model's, or of its first level.

    Raises:
        UserError: if the latents are no vectors, the first one has no prior of its own or the new one cannot be made.
    """
    shapes = _latent_shapes(model, data)
    first, shape = next(iter(shapes.items()))
    if len(shape) != 1:
        raise UserError(f"the latents of {folder} have the shape {tuple(shape)}; a prior is fitted to vectors.")
    before = model.prior
    in_levels = hasattr(before, "with_top")
    if not in_levels and shapes.keys() != {"z"}:
        raise UserError(
            f"the prior of {folder} gives {', '.join(shapes)} by one network, in which none can be replaced.",
            hint="fit-prior takes runs of one latent, and of several with a prior each (--recipe hvae, dlgm).",
        )
    posterior = model.posterior.levels[first] if hasattr(model.posterior, "levels") else model.posterior
    made = make_part("prior", text, **surroundings(data, shape[0], posterior=posterior))
    model.prior = before.with_top(made) if in_levels else made
    return made


def _latent_shapes(model: Any, data: Dataset) -> dict[str, torch.Size]:
    """The shape of every latent by name, from the top."""
    with evaluating(model, 0):
        draw = model.draw(Loader(data.train.first(2), data.kind, "cpu", 2).rows(torch.arange(1)))
    return {name: latent.value.shape[2:] for name, latent in draw.latents.items()}


def _encodings(model: Any, rows: Split, data: Dataset, seed: int) -> Tensor:
    """A draw of the first latent from q for each of up to ``MOST_ROWS`` rows in random order, ``(rows, latent)``."""
    column = Column()
    with evaluating(model, seed), closing(Loader(rows, data.kind, "cpu", BATCH).epoch(seed, 0)) as batches:
        for picked in itertools.islice(batches, MOST_ROWS // BATCH):
            first, *_ = model.draw(picked.batch._replace(label=None)).latents.values()
            column.add(first.value[0])
    return column.value


def _fitted_by_itself(
    model: Any,
    prior: Any,
    data: Dataset,
    config: dict[str, Any],
    seed: int,
    folder: Path,
    resume: bool,
    overwrite: bool,
) -> Run:
    """Let the prior fit itself, and write a run of one record: no steps were taken, and none can be resumed."""
    started = time.monotonic()
    prior.fit(_encodings(model, data.train, data, seed), _encodings(model, data.validation, data, seed))
    figures = bound(model, Loader(data.validation, data.kind, "cpu", BATCH), seed=seed)
    record = {
        "epoch": 1,
        "phase": 0,
        **{f"validation_{name}": value for name, value in figures.items()},
        "kept": True,
        "skipped": 0,
        "seconds": round(time.monotonic() - started, 3),
    }
    folder = open_folder(folder, config, resume=resume, overwrite=overwrite)
    rewrite_metrics(folder / "metrics.jsonl", [record])
    write_tensors(folder / "model.safetensors", module_tensors(model))
    return Run(FolderStore(take_place(folder), *brought_along(config, model, None)), data)
