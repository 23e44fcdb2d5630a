"""How unlikely each row is: −log p(x) in nats, and whether it is beyond what the model has seen.

A row is called an anomaly if its score exceeds that of all but a share of the validation rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

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
from vaekit.errors import UserError


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    out: OutFile = field(default=tyro.MISSING)
    """Where to write: .csv, .parquet, .npz, or .npy (the scores alone)."""
    samples: int = 100
    """Draws for each row."""
    share: Annotated[float, tyro.conf.arg(metavar="X")] = 0.01
    """Share of ordinary rows that may be called anomalies."""
    split: SplitName = None
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()
    json: Json = False


def run(options: Options) -> int:
    check_numbers(samples=options.samples, seed=options.seed)
    if not 0 < options.share < 1:
        raise UserError(f"--share must be between 0 and 1, got {options.share}.")
    from vaekit.cli.outputs import check_ending, write

    check_ending(options.out, (".csv", ".parquet", ".npz", ".npy"))
    import_parts(options.parts)
    from vaekit.progress import Bar, say

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    rows = data_set.split(split)
    try:
        ordinary = opened.data
    except UserError as error:
        say(f"warning: no threshold and no anomalies, for want of the run's validation rows: {error.message}")
        ordinary = None
    work = len(rows.x) + (len(ordinary.validation.x) if ordinary else 0)
    chosen: dict[str, Any] = {"samples": options.samples, "seed": options.seed}
    with Bar("scoring", work, "rows", quiet=options.json) as bar:
        score_of_rows = opened.score(data_set, split=split, progress=bar.advance, **chosen)
        limit = opened.threshold(options.share, progress=bar.advance, **chosen) if ordinary else None
    columns: dict[str, Any] = {"score": score_of_rows}
    if limit is not None:
        columns["anomaly"] = ~(score_of_rows <= limit)  # also where the score is not a number
    if rows.label is not None:
        columns["label"] = data_set.written(rows.label)
    write(options.out, columns)
    of = "x" if rows.mask is None else "observed x"
    conditioned, dense = rows.condition is not None, "density" in opened.model.abilities
    given = ", ".join(["y"] * conditioned + ["z"] * (not dense))
    summary = {
        "run": str(options.run),
        "rows": len(score_of_rows),
        "anomalies": int(columns["anomaly"].sum()) if limit is not None else None,
        "threshold": limit,
        "share": options.share,
        "score": f"-log p({of}|{given})" if given else f"-log p({of})",
        "condition": "label" if conditioned else None,
        "samples": options.samples,
        "unit": "nats",
        "file": str(options.out),
    }
    if options.json:
        print_json(summary)
    elif limit is None:
        print(f"{summary['rows']} rows scored by {summary['score']} in nats, without a threshold")
    else:
        print(
            f"{summary['anomalies']} of {summary['rows']} rows score above {limit:.3f} nats, "
            f"the {1 - options.share:.0%} quantile of {summary['score']} on the validation rows"
        )
    return 0
