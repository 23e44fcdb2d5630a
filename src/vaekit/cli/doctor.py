"""What is wrong with a run, in plain words; without a run, whether this machine is ready."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from vaekit.cli.options import Json, Parts, check_numbers, import_parts, open_run, print_json


@dataclass
class Options:
    run: Annotated[
        Path | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[RUN]", help="a run folder (default: look at the machine)", help_behavior_hint=""),
    ] = None
    limit: int = 1000
    """Rows of each split that are looked at."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(limit=options.limit)
    if options.run is None:
        return _machine(options)
    import_parts(options.parts)
    from vaekit.evaluation.doctor import examine, patient_of

    opened = open_run(options.run, options.device)
    findings = examine(patient_of(opened.model, opened.data, opened.metrics, limit=options.limit))
    if options.json:
        print_json({"run": str(options.run), "findings": [finding._asdict() for finding in findings]})
    elif not findings:
        print(f"{options.run}: nothing found.")
    else:
        for finding in findings:
            print(f"{finding.name}: {finding.what}\n  cure: {finding.cure}")
    return 0


def _machine(options: Options) -> int:
    """Versions, threads, devices and where data is kept."""
    import os
    import platform

    import torch

    from vaekit import __version__
    from vaekit.data.download import cache_folder

    facts: dict[str, Any] = {
        "vaekit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "waiting threads": os.environ.get("OMP_WAIT_POLICY") or f"{os.environ.get('GOMP_SPINCOUNT', 'many')} spins",
        "data folder": os.environ.get("VAEKIT_DATA"),
        "cache": str(cache_folder()),
    }
    if options.json:
        print_json(facts)
    else:
        for name, value in facts.items():
            print(f"{name:<16}{value if value not in (None, []) else '–'}")
    return 0
