"""The one loop, and what surrounds it: the run folder, exact resume, progress."""

from vaekit.training.fit import Phase, Settings, fit
from vaekit.training.run import Run, load

__all__ = ["Phase", "Run", "Settings", "fit", "load"]
