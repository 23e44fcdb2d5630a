"""Training: fit, loop, step, optimisers, settings."""

from vaekit.run.run import Run, load
from vaekit.training.fit import fit
from vaekit.training.settings import Phase, Settings

__all__ = ["Phase", "Run", "Settings", "fit", "load"]
