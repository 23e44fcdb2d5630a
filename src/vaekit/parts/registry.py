"""Importing this module registers every part of vaekit, so that documents and command lines may name them."""

from vaekit import evaluation, likelihoods, models, networks, objectives, posteriors, priors, schedules
from vaekit.data import kinds

__all__ = [
    "evaluation",
    "kinds",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "posteriors",
    "priors",
    "schedules",
]
