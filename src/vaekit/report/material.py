"""Material of the page, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset, Split
from vaekit.data.loader import Loader
from vaekit.distributions.moments import centre
from vaekit.evaluation.doctor import Finding, examine, patient_of
from vaekit.evaluation.latents import Encoding, encodings
from vaekit.evaluation.likelihood import evaluating
from vaekit.evaluation.traversal import Ranking, rank_units, traverse
from vaekit.models.draw import encoded
from vaekit.plots.grid import is_image

SAMPLES_SHOWN, ROWS_SHOWN, UNITS_SHOWN, STEPS, RANGE = 64, 32, 10, 11, 3.0


@dataclass(frozen=True)
class Material:
    """What is known of a run.

    Attributes:
        run: the run.
        data: the data it is shown on.
        rows: the rows of the split that were looked at.
        figures: as of :func:`vaekit.evaluation.evaluate`.
        findings: of the doctor.
        latents: q(z|x) of the rows, by latent.
        ranking: units, the one used most first.
        batch: the first rows as the model sees them.
        reconstruction: what the model makes of them.
        samples: new data; for images the mean of p(x|z), else draws.
        values: where a unit is put.
        paths: the mean of p(x|z) along each of the first units, ``(units, steps, *event)``.
    """

    run: Any
    data: Dataset
    rows: Split
    figures: dict[str, Any]
    findings: Sequence[Finding]
    latents: dict[str, Encoding]
    ranking: Ranking
    batch: Batch
    reconstruction: Tensor
    samples: Tensor
    values: Tensor
    paths: Tensor | None

    @property
    def images(self) -> bool:
        """Whether an example is a picture."""
        return is_image(self.data.shape)


def gather(
    run: Any,
    data: Dataset,
    *,
    split: str,
    samples: int,
    limit: int,
    seed: int,
    findings: Sequence[Finding] | None,
    progress: Callable[[int], None],
) -> Material:
    """Ask the model everything that the page shows; the arguments are those of :func:`vaekit.report.write_report`."""
    model = run.model
    device = next(model.parameters()).device
    options = {"split": split, "samples": samples, "limit": limit, "seed": seed}
    figures = run.evaluate(data, **options, progress=progress)
    rows = data.split(split).spread(limit)
    loader = Loader(rows, data.kind, device, 100)
    latents = encodings(model, loader, seed)
    if findings is None:
        findings = examine(patient_of(model, data, run.metrics, limit=limit, seed=seed))
    pictures = is_image(data.shape)
    ranking = rank_units(latents, figures.get("kl_by_unit", {}))
    shown = ROWS_SHOWN if pictures else len(rows.x)
    with evaluating(model, seed):
        batch = loader.rows(torch.arange(min(shown, len(rows.x))))
        reconstruction = model.decode(centre(encoded(model, batch)), batch.condition).mean
        count = SAMPLES_SHOWN if pictures else max(SAMPLES_SHOWN, len(rows.x))
        p = model.generate(count, _new_condition(run, rows, count, device))
        drawn = p.mean if pictures else p.sample()
        first = loader.rows(torch.arange(1))
    values = torch.linspace(-RANGE, RANGE, STEPS, device=device)
    units = ranking.units[:UNITS_SHOWN]
    paths = traverse(model, first, units, values, seed=seed) if units else None
    return Material(
        run, data, rows, figures, findings, latents, ranking, batch, reconstruction, drawn, values.cpu(), paths
    )


def _new_condition(run: Any, rows: Split, count: int, device: torch.device) -> Tensor | None:
    """The condition of new rows: all classes in turn, arrays as of the rows in turn, or none."""
    if "condition_shape" in run.config["data"]:
        assert rows.condition is not None
        turn = torch.arange(count) % len(rows.condition)
        return torch.from_numpy(rows.condition).index_select(0, turn).to(device)
    classes = run.config["data"].get("condition_dim", 0)
    if not classes:
        return None
    chosen = torch.arange(count, device=device) % classes
    return torch.nn.functional.one_hot(chosen, classes).to(torch.get_default_dtype())
