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
from vaekit.config import from_document, parse, replace_argument, to_document
from vaekit.data.dataset import Dataset, Split
from vaekit.data.loader import Loader
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.evaluation.likelihood import bound, evaluating
from vaekit.objectives import LogPrior
from vaekit.recipes.compose import make_part, surroundings
from vaekit.schedules import Schedule
from vaekit.training.files import module_tensors, write_tensors
from vaekit.training.fit import fit
from vaekit.training.folder import fresh_folder, open_folder, take_place
from vaekit.training.run import Run, load, rewrite_metrics
from vaekit.training.settings import Phase

BATCH = 500
MOST_ROWS = 50_000  # encodings that a prior is fitted to where it is not trained on all of them


def fit_prior(
    run: Run | str | Path,
    prior: str = "mixture:num_components=50",
    *,
    out: str | Path | None = None,
    epochs: int = 20,
    learning_rate: float | Schedule = 1e-3,
    seed: int = 0,
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
        prior: the prior in the small form.
        out: the new run folder; ``RUN-PRIOR-N`` beside the old one without it.
        epochs, learning_rate: of the training, where there is one.
        seed: of all random numbers.
        resume, overwrite: as of :func:`vaekit.fit`.
        quiet: show no progress.
        note: more to be written into ``config.json``.

    Raises:
        UserError: if the model sums over a label, its latents are no vectors, the prior does not fit or the folder is
            in use.
    """
    old = load(run.folder, run.data) if isinstance(run, Run) else load(run)
    model, data = old.model, old.data
    if data.condition_dim == 0 and (classes := old.config["data"].get("condition_dim", 0)):
        data = data.conditioned(classes)
    if getattr(model, "num_branches", 1) > 1:
        raise UserError(
            f"the model of {old.folder} sums over a label and has no encodings that a prior could be fitted to."
        )
    torch.manual_seed(seed)
    made = _replace_prior(model, prior, data, old.folder)
    name = parse(prior)[0]
    folder = Path(out) if out is not None else fresh_folder(old.folder.parent, f"{old.folder.name}-{name}")
    if folder.resolve() == old.folder.resolve():
        raise UserError(f"{folder} is the run itself, which is not changed.", hint="name another folder with --out.")
    kept = {key: old.config[key] for key in ("request",) if key in old.config}
    note = {**kept, "fitted_prior": {"prior": prior, "from": old.folder.name, "seed": seed}, **(note or {})}
    settings = replace(from_document(old.config["settings"]), seed=seed, accumulate=0)
    if not hasattr(made, "fit"):
        others = tuple(part for part, _ in model.named_children() if part != "prior")
        phase = Phase(LogPrior(), epochs, learning_rate, train=("prior",), rest=others)
        asked = {"resume": resume, "overwrite": overwrite, "quiet": quiet, "note": note}
        return fit(model, data, phases=(phase,), settings=settings, out=folder, **asked)
    config = {**old.config, "vaekit": __version__, "model": to_document(model), **note}
    return _fitted_by_itself(model, made, data, config, seed, folder, overwrite)


def _replace_prior(model: Any, text: str, data: Dataset, folder: Path) -> Any:
    """Make the prior and put it in the place of the model's, or of its first level.

    Raises:
        UserError: if the latents are no vectors or the prior cannot be made.
    """
    first, shape = _first_latent(model, data)
    if len(shape) != 1:
        raise UserError(f"the latents of {folder} have the shape {tuple(shape)}; a prior is fitted to vectors.")
    posterior = model.posterior.levels[first] if hasattr(model.posterior, "levels") else model.posterior
    made = make_part("prior", text, **surroundings(data, shape[0], posterior=posterior))
    before = model.prior
    replace_argument(model, "prior", before.with_top(made) if hasattr(before, "with_top") else made)
    return made


def _first_latent(model: Any, data: Dataset) -> tuple[str, torch.Size]:
    with evaluating(model, 0):
        draw = model.draw(Loader(data.train.first(2), data.kind, "cpu", 2).rows(torch.arange(1)))
    name, latent = next(iter(draw.latents.items()))
    return name, latent.value.shape[2:]


def _encodings(model: Any, rows: Split, data: Dataset, seed: int) -> Tensor:
    """A draw of the first latent from q for each of up to ``MOST_ROWS`` rows in random order, ``(rows, latent)``."""
    column = Column()
    with evaluating(model, seed), closing(Loader(rows, data.kind, "cpu", BATCH).epoch(seed, 0)) as batches:
        for picked in itertools.islice(batches, MOST_ROWS // BATCH):
            first, *_ = model.draw(picked.batch._replace(label=None)).latents.values()
            column.add(first.value[0])
    return column.value


def _fitted_by_itself(
    model: Any, prior: Any, data: Dataset, config: dict[str, Any], seed: int, folder: Path, overwrite: bool
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
    folder = open_folder(folder, config, resume=False, overwrite=overwrite)
    rewrite_metrics(folder / "metrics.jsonl", [record])
    write_tensors(folder / "model.safetensors", module_tensors(model))
    return Run(take_place(folder), data)
