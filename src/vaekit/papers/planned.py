"""Variants that the loop trains: from a recipe with its options, or from any function that makes a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from vaekit.data.dataset import Dataset
from vaekit.papers.experiment import Job, Trained
from vaekit.parts.specification import literal
from vaekit.progress import say
from vaekit.recipes import Plan, make
from vaekit.schedules import Schedule
from vaekit.training import Run, Settings, fit


def by_recipe(name: str, settings: dict[str, Any] | None = None, **options: Any) -> Callable[[Job], Trained]:
    """Train what a recipe makes of the data, as ``vaekit train DATA --recipe NAME`` would.

    Args:
        name: of the recipe.
        settings: of the training.
        options: of the recipe, as on the command line.
    """

    def train(job: Job) -> Trained:
        asked = {**options, **job.budget.options, "epochs": job.budget.epochs}
        chosen = {**(settings or {}), **job.budget.settings, "seed": job.seed}
        request = {"data": job.data.name, "recipe": name, **asked, **chosen} if job.data.by_name else {}
        ready = {
            key: literal(value) if key == "learning_rate" and isinstance(value, str) else value
            for key, value in asked.items()
        }
        torch.manual_seed(job.seed)
        return _train(make(name, job.data, ready), job, chosen, request)

    return train


def planned(plan: Callable[[Dataset, int], Plan], **settings: Any) -> Callable[[Job], Trained]:
    """Train what a function makes of the data and the number of epochs; its options of the budget come as keywords.

    Args:
        plan: ``plan(data, epochs, **options)``.
        settings: of the training.
    """

    def train(job: Job) -> Trained:
        torch.manual_seed(job.seed)
        made = plan(job.data, job.budget.epochs, **job.budget.options)
        return _train(made, job, {**settings, **job.budget.settings, "seed": job.seed}, {})

    return train


def _train(plan: Plan, job: Job, settings: dict[str, Any], request: dict[str, Any]) -> Trained:
    say(f"training {job.folder.name}")
    settings = {**plan.settings, **settings}
    note = {"request": request} if request else {}
    run = fit(plan.model, plan.data, phases=plan.phases, out=job.folder, resume=True, note=note, **settings)
    run.to(next(plan.model.parameters()).device)
    return Trained(run.model, plan.data, job.seed, run.best["seconds"], words(plan, Settings(**settings), run), run)


def words(plan: Plan, settings: Settings, run: Run) -> str:
    """How something was trained, in a line."""
    rows = " + ".join(f"{len(split.x):,}" for split in (plan.data.train, plan.data.validation, plan.data.test))
    goals = " then ".join(
        f"{phase.objective.part_name.partition('/')[2]} for {phase.epochs} epoch{'s' * (phase.epochs > 1)} "  # type: ignore[attr-defined]
        f"at {_rate(phase.learning_rate)}"
        for phase in plan.phases
    )
    best = run.best
    kept = f"weights of epoch {best['epoch']}, the best on validation" if settings.keep_best else "last weights"
    if best["epoch"] == best["epochs"]:
        kept = "last weights"
    averaged = f", weights averaged ({settings.ema_decay:g})" if settings.ema_decay else ""
    rounded = "" if settings.precision == "float32" else f", products in {settings.precision}"
    return (
        f"{rows} rows (training + validation + test), {plan.data.kind.describe()}; {goals}, {settings.optimizer}, "
        f"batch {settings.batch_size}{rounded}{averaged}; {kept}"
    )


def _rate(rate: float | Schedule) -> str:
    """A learning rate as on the command line: ``0.001``, ``cosine(0.001)``."""
    if isinstance(rate, (int, float)):
        return f"{rate:g}"
    name = rate.part_name.partition("/")[2]  # type: ignore[attr-defined]
    named = {field.name: field for field in dataclasses.fields(rate)}  # type: ignore[arg-type]
    values = {key: getattr(rate, key) for key, field in named.items() if getattr(rate, key) != field.default}
    given = [f"{value:g}" if place == 0 else f"{key}={value:g}" for place, (key, value) in enumerate(values.items())]
    return f"{name}({','.join(given)})"
