"""The conformance suite of scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from vaekit.sklearn import VAE

SMALL: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "importance_samples": 5, "device": "cpu"}


@parametrize_with_checks([VAE(**SMALL), VAE(**SMALL, contamination=0.1)])
def test_check(estimator: VAE, check: Any) -> None:
    check(estimator)
