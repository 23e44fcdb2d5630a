"""One page about a run, RUN/report.html: curve, numbers, pictures, findings. It opens without the network."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass
class Options:
    run: RunFolder
    data: OptionalData = None
    samples: int = 500
    """Draws for each example of the importance-weighted likelihood."""
    limit: int = 1000
    """Use only so many examples, from the first."""
    split: SplitName = None
    seed: int = 0
    """Of the draws."""
    device: str = "auto"
    """cpu, cuda, mps or auto."""
    parts: Parts = ()


def run(options: Options) -> int:
    check_numbers(samples=options.samples, limit=options.limit, seed=options.seed)
    import_parts(options.parts)
    from vaekit.report import write_report
    from vaekit.training.progress import Bar

    opened = open_run(options.run, options.device)
    data_set, split = data_for(opened, options.data, options.split)
    with Bar("evaluating", min(len(data_set.split(split).x), options.limit), "examples") as bar:
        path = write_report(
            opened,
            data_set,
            split=split,
            samples=options.samples,
            limit=options.limit,
            seed=options.seed,
            progress=bar.advance,
        )
    print(path)
    return 0
