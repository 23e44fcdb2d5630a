"""vaekit: variational autoencoders whose parts combine and whose numbers can be trusted.

Modules load when they are first used, so that ``import vaekit`` and ``vaekit --help`` stay quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vaekit._version import __version__

if TYPE_CHECKING:
    from vaekit import (
        classical,
        config,
        data,
        distributions,
        evaluation,
        likelihoods,
        models,
        networks,
        objectives,
        plots,
        posteriors,
        priors,
        recipes,
        report,
        schedules,
        sklearn,
        testing,
        training,
    )
    from vaekit.errors import UserError
    from vaekit.models import M2, VAE, Batch
    from vaekit.parts.record import part
    from vaekit.recipes.fit_prior import fit_prior
    from vaekit.training import Run, fit, load

_MODULES = [
    "classical",
    "config",
    "data",
    "distributions",
    "evaluation",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "plots",
    "posteriors",
    "priors",
    "recipes",
    "report",
    "schedules",
    "sklearn",
    "testing",
    "training",
]
_NAMES = {
    "part": "vaekit.parts.record",
    "UserError": "vaekit.errors",
    "Batch": "vaekit.models",
    "M2": "vaekit.models",
    "VAE": "vaekit.models",
    "Run": "vaekit.training",
    "fit": "vaekit.training",
    "fit_prior": "vaekit.recipes.fit_prior",
    "load": "vaekit.training",
}

__all__ = [
    "M2",
    "VAE",
    "Batch",
    "Run",
    "UserError",
    "__version__",
    "classical",
    "config",
    "data",
    "distributions",
    "evaluation",
    "fit",
    "fit_prior",
    "likelihoods",
    "load",
    "models",
    "networks",
    "objectives",
    "part",
    "plots",
    "posteriors",
    "priors",
    "recipes",
    "report",
    "schedules",
    "sklearn",
    "testing",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"vaekit.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'vaekit' has no attribute '{name}'")
