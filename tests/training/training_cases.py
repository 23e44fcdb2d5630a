"""What the tests of training share: a small data set, small models of every recipe, and what makes two runs equal."""

from __future__ import annotations

import functools
import json
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from safetensors.torch import load_file

from vaekit import data, recipes, training
from vaekit.data import Dataset, Split
from vaekit.data.batch import Batch
from vaekit.data.loader import RowSelection
from vaekit.objectives import ELBO
from vaekit.objectives.objective import Objective, Value
from vaekit.parts import record as config
from vaekit.recipes import Plan
from vaekit.schedules import Schedule, Step
from vaekit.training.loop import Training

T = TypeVar("T")

SMALL: dict[str, dict[str, Any]] = {
    # A fixed rate and no warm-up, so that the first epochs do not depend on how many there are.
    "vae": {"network": "mlp:hidden=16", "latent_dim": 2, "learning_rate": 1e-3, "objective": "elbo"},
    "aae": {"network": "mlp:hidden=16", "latent_dim": 2},
    "hvae": {"network": "mlp:hidden=16", "latent_dim": 2, "learning_rate": 1e-3, "objective": "elbo"},
    "ladder": {"blocks": "2x1/4x1", "width": 8, "latent_channels": 1, "learning_rate": 1e-3, "objective": "elbo"},
    "dlgm": {"network": "mlp:hidden=16", "latent_dim": 2, "learning_rate": 1e-3, "objective": "elbo"},
    "hamiltonian": {"network": "mlp:hidden=16", "latent_dim": 2, "learning_rate": 1e-3, "objective": "elbo"},
    "m2": {"network": "mlp:hidden=16", "latent_dim": 2, "num_labelled": 20},
    "vq-vae": {"num_codes": 8, "code_dim": 4, "channels": (4, 8)},
}


def local_part(name: str) -> Callable[[type], type]:
    """A part that can be written down, and that no other test sees in the list of parts."""

    def mark(cls: type) -> type:
        marked = config.part(name)(cls)
        del config._REGISTRY[name]
        return marked

    return mark


@functools.cache
def small_digits(rows: int = 70, kind: str = "dynamic") -> Dataset:
    """The first digits: 70 training rows are four batches of 16 and one of 6."""
    whole = data.load(f"digits:binarization={kind}")

    def first(split: Split, count: int) -> Split:
        assert split.label is not None
        return Split(split.x[:count].copy(), split.label[:count].copy())

    return replace(
        whole, train=first(whole.train, rows), validation=first(whole.validation, 40), test=first(whole.test, 40)
    )


def together(size: int, one: Callable[[int], T]) -> list[T]:
    """What ``one`` gives for each rank, all at once in threads; one that fails or waits for ever ends the test."""
    left: queue.SimpleQueue[tuple[int, Any, Exception | None]] = queue.SimpleQueue()
    found: dict[int, T] = {}

    def run(rank: int) -> None:
        try:
            left.put((rank, one(rank), None))
        except Exception as error:
            left.put((rank, None, error))

    for rank in range(size):
        threading.Thread(target=run, args=(rank,), daemon=True).start()
    for _ in range(size):
        rank, result, error = left.get(timeout=60)
        if error is not None:
            raise error
        found[rank] = result
    return [found[rank] for rank in range(size)]


def small_plan(recipe: str = "vae", dataset: Dataset | None = None, **options: Any) -> Plan:
    """A small model of a recipe, the same at every call."""
    torch.manual_seed(0)
    return recipes.make(recipe, dataset or small_digits(), SMALL[recipe] | {"epochs": 2} | options)


def plan_of(objective: Objective, epochs: int = 2, learning_rate: float | Schedule = 1e-3) -> Plan:
    """A small model that climbs an objective."""
    return small_plan()._replace(phases=(training.Phase(objective, epochs, learning_rate),))


def log_px(plan: Plan, x: torch.Tensor) -> torch.Tensor:
    """log p(x|z) at the posterior's mean, ``(batch,)``."""
    model: Any = plan.model
    return model.decode(model.encode(x).mean).log_prob(x)


def train(plan: Plan, out: Path, **settings: Any) -> training.Run:
    """Train a plan quietly with batches of 16."""
    return training.fit(
        plan.model, plan.data, phases=plan.phases, out=out, **{"quiet": True, "batch_size": 16} | settings
    )


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` without the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same_run(one: Path, other: Path) -> None:
    """Weights bit for bit, every figure, every tensor of the state; nothing temporary is left."""
    assert metrics(one) == metrics(other)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    networks = [folder / "objective.safetensors" for folder in (one, other)]
    assert networks[0].exists() == networks[1].exists()
    if networks[0].exists():
        assert networks[0].read_bytes() == networks[1].read_bytes()
    states = [load_file(folder / "state" / "training.safetensors") for folder in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert tensor.numpy().tobytes() == states[1][name].numpy().tobytes(), name
    for folder in (one, other):
        names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        # The command line draws a page, training itself does not; only some objectives have networks.
        names -= {"report.html", "objective.safetensors"}
        whole = {"config.json", "metrics.jsonl", "model.safetensors", "state/training.safetensors"}
        assert names == whole


def assert_nearly_the_same(one: Path, other: Path) -> None:
    """Every figure and every weight to the rounding of a sum."""
    for a, b in zip(metrics(one), metrics(other), strict=True):
        about = {key: pytest.approx(x, rel=1e-4, abs=1e-4) if isinstance(x, float) else x for key, x in b.items()}
        assert a == about
    weights = load_file(other / "model.safetensors")
    for name, weight in load_file(one / "model.safetensors").items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-5)


@local_part("objective/breaks-at")
class Breaks(ELBO):
    """Not a number from some row of the data on, by its ink."""

    ink = 0.0

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value, terms = super().__call__(model, batch, step)
        bad = batch.x.flatten(1).sum(-1) > self.ink
        return Value(torch.where(bad, torch.nan, value), terms)


def spoiled_digits() -> tuple[Dataset, Objective]:
    """Rows and an objective that the one with the most ink spoils."""
    rows, objective = small_digits(kind="none"), Breaks()
    objective.ink = float(rows.train.x.reshape(70, -1).sum(-1).max() / 16 - 1e-3)
    return rows, objective


def stop_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Have trainings asked to stop, as by Ctrl-C, once they have taken so many steps."""
    take, count = Training.take, 0

    def stopping(self: Training, selection: RowSelection) -> Any:
        nonlocal count
        agreed = take(self, selection)
        count += 1
        if count == steps:
            self.stop_asked = True
        return agreed

    patch.setattr(Training, "take", stopping)
