"""One page about a run, RUN/report.html: curve, numbers, pictures, findings. It opens without the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaekit.cli.options import (
    OptionalData,
    Parts,
    RunFolder,
    SplitName,
    check_numbers,
    data_for,
    import_parts,
    open_run,
)

if TYPE_CHECKING:
    from vaekit.evaluation.doctor import Finding
    from vaekit.training import Run

# Of the page that every training ends with: a second or two.
QUICK_SAMPLES, QUICK_LIMIT = 50, 500


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    samples: int = 500
    """Draws for each example of the importance-weighted likelihood."""
    limit: int = 1000
    """Use only so many examples, at even distances."""
    split: SplitName = None
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    check_numbers(samples=options.samples, limit=options.limit, seed=options.seed)
    import_parts(options.parts)
    from vaekit.progress import Bar

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    with Bar("evaluating", min(len(data_set.split(split).x), options.limit), "examples") as bar:
        path = opened.report(
            data_set,
            split=split,
            samples=options.samples,
            limit=options.limit,
            seed=options.seed,
            progress=bar.advance,
        )
    print(path)
    return 0


def after_training(run: Run) -> tuple[Path, list[Finding]]:
    """The page of a run that has just ended, from few draws and rows, and the doctor's findings on it."""
    from vaekit.distributed.device import choose_device
    from vaekit.evaluation.doctor import examine, patient_of

    run.to(choose_device(run.config["settings"]["device"]))
    findings = examine(patient_of(run.model, run.data, run.metrics, limit=QUICK_LIMIT))
    return run.report(samples=QUICK_SAMPLES, limit=QUICK_LIMIT, findings=findings), findings
