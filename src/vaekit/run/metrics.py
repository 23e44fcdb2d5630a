"""Metrics of a run: ``metrics.jsonl``, a record of each epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vaekit.atomic import replacing

RECORD = {"epoch", "phase", "kept", "skipped", "seconds", "validation_log_px"}  # what every line of metrics.jsonl has


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a ``metrics.jsonl``, up to the first line that is none: it was cut off, or is damaged."""
    records = []
    if path.exists():
        for line in path.read_text(errors="replace").splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not isinstance(record, dict) or not record.keys() >= RECORD or not isinstance(record["epoch"], int):
                break
            records.append(record)
    return records


def rewrite_metrics(path: Path, records: list[dict[str, Any]]) -> None:
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(record) + "\n" for record in records))
