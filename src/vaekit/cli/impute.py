"""Data with its missing cells filled by what the model expects there, given the observed ones.

Say how missing cells are marked: table.csv:missing=nan. What was observed comes back as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import tyro

from vaekit.cli.options import (
    Json,
    OptionalData,
    OutFile,
    Parts,
    RunFolder,
    SplitName,
    check_numbers,
    data_for,
    import_parts,
    open_run,
    print_json,
)

if TYPE_CHECKING:
    import numpy as np

    from vaekit.data import Dataset, Split

TEXTS = {".csv": ",", ".tsv": "\t"}


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .csv, .tsv, .parquet, .npy, or .npz (x and mask)."""
    samples: int = 1000
    """Draws for each row, weighted by importance."""
    values: Literal["mean", "sample"] = "mean"
    """The mean of p(missing|observed), or a draw from it."""
    split: SplitName = None
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(samples=options.samples, seed=options.seed)
    from vaekit.cli.outputs import check_ending

    check_ending(options.out, (*TEXTS, ".parquet", ".npy", ".npz"))
    import_parts(options.parts)
    from vaekit.progress import Bar

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    rows = data_set.split(split)
    gaps = 0 if rows.mask is None else int((~rows.mask).sum())
    gap_rows = 0 if rows.mask is None else int((~rows.mask).reshape(len(rows.x), -1).any(1).sum())
    with Bar("imputing", gap_rows, "rows", quiet=options.json) as bar:
        filled = opened.impute(
            data_set,
            samples=options.samples,
            values=options.values,
            split=split,
            seed=options.seed,
            progress=bar.advance,
        )
    x, effective = filled.x, filled.effective_samples
    _write(options, data_set, rows, x, split)
    weighted = "density" in opened.model.abilities
    summary = {
        "run": str(options.run),
        "rows": len(x),
        "rows_with_gaps": gap_rows,
        "filled": gaps,
        "values": options.values,
        "given": "observed x" if weighted else "code of observed x",
        "samples": options.samples if weighted else 1,
        "effective_samples": effective.mean().item() if gaps and weighted else None,
        "seed": options.seed,
        "file": str(options.out),
    }
    if options.json:
        print_json(summary)
    elif not gaps:
        print("nothing is missing: the data is written as it is")
    else:
        many = f", {summary['effective_samples']:.1f} of {options.samples} draws count" if weighted else ""
        print(f"{gaps:,} missing cells in {gap_rows:,} of {len(x):,} rows filled{many}")
    return 0


def _write(options: Options, data_set: Dataset, rows: Split, x: np.ndarray, split: str) -> None:
    from vaekit.cli.outputs import TABLES, as_text, named, write, writing
    from vaekit.data import path_and_options
    from vaekit.data.formats.refill import refill

    ending = options.out.suffix.lower()
    found = path_and_options(options.data) if options.data is not None else None
    if found is not None and split == "all" and ending in TEXTS and found[0].suffix.lower() in TEXTS:
        with writing(options.out) as file, as_text(file) as text:
            refill(found[0], text, data_set.columns, x, found[1], TEXTS[ending])
        return
    columns: dict[str, Any] = named("x", x, data_set.columns if ending in TABLES else ())
    if ending == ".npz" and rows.mask is not None:
        columns["mask"] = rows.mask
    if rows.label is not None:
        # The name of the run's own data says so as well.
        named_by = path_and_options(data_set.name)
        label = named_by[1].get("label", "label") if named_by is not None else "label"
        columns[f"{label}"] = data_set.written(rows.label)
    write(options.out, columns)
