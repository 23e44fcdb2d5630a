"""Writing the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vaekit.atomic import replacing
from vaekit.data.dataset import Dataset
from vaekit.errors import UserError
from vaekit.evaluation.doctor import Finding
from vaekit.report.head import Cover, cover_of
from vaekit.report.material import gather
from vaekit.report.page import document
from vaekit.report.sections import body


def write_report(
    run: Any,
    data_set: Dataset | None = None,
    *,
    split: str = "test",
    samples: int = 500,
    limit: int = 1000,
    seed: int = 0,
    findings: Sequence[Finding] | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    cover: Cover | None = None,
    out: Path | None = None,
) -> Path:
    """Write ``report.html`` into the run folder: curve, numbers, pictures and findings on one page.

    Args:
        run: a run with weights (:class:`vaekit.Run`).
        data_set: other data of the same shape; the run's own without it.
        split: which rows the page is about: ``train``, ``validation``, ``test`` or ``all``.
        samples: draws for each row of the importance-weighted estimate.
        limit: use only so many rows of the split, at even distances.
        seed: of all random numbers.
        findings: of the doctor; without them it is asked.
        progress: told the rows finished.
        cover: of a page about more than the run, and where it goes.
        out: where it goes; ``report.html`` in the run folder without it.

    Returns:
        Where the page is.

    Raises:
        UserError: if the data does not fit the model, or the page cannot be written.
    """
    data = run.data if data_set is None else data_set.read_as(run.kind)
    classes = run.config["data"].get("condition_dim", 0)
    if classes and not data.condition_dim:
        data = data.conditioned(classes)
    material = gather(
        run, data, split=split, samples=samples, limit=limit, seed=seed, findings=findings, progress=progress
    )
    cover = cover or cover_of(material, out or run.folder / "report.html")
    page = document(cover.title, body(material, cover))
    try:
        with replacing(cover.path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{cover.path} cannot be written: {error.strerror or error}.") from None
    return cover.path
