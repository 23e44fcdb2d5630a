"""Scores of PyOD's VAE with its defaults, for an interpreter that has PyOD: pyod_vae.py FEATURES.npy SEED SCORES.npy"""

from __future__ import annotations

import sys

import numpy as np
from pyod.models.vae import VAE

if __name__ == "__main__":
    features, seed, scores = sys.argv[1:]
    np.save(scores, VAE(random_state=int(seed), verbose=0).fit(np.load(features)).decision_scores_)
