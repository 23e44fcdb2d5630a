"""Estimators that follow the conventions of scikit-learn: ``vk.sklearn.VAE(latent_dim=8).fit(X).transform(X)``."""

from vaekit.sklearn.estimator import VAE

__all__ = ["VAE"]
