"""What the anomaly benchmark compares: each takes all rows without labels and gives each row a score."""

from __future__ import annotations

import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from environment import python_with, version_of
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from vaekit.errors import UserError

COMPONENTS = (1, 2, 4, 8, 16)
VARIANCE = 1e-3  # added to every variance: with less, components shrink onto columns of few values
PYOD = ("torch", "pyod", "tqdm")  # PyOD's deep models import tqdm and do not ask for it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """A system of the comparison.

    Attributes:
        scores: of features ``(rows, columns)``, a seed and an empty folder to work in, one score for each row: the
            higher the odder.
        protocol: what its figures depend on.
    """

    scores: Callable[[Array, int, Path], Array]
    protocol: Callable[[], str]


def vaekit_with(options: str = "") -> Detector:
    """The command line, called as a person would call it.

    Args:
        options: of ``vaekit train``, the same for all sets; none for the defaults.
    """

    def scores(features: Array, seed: int, folder: Path) -> Array:
        table = folder / "features.csv"
        names = ",".join(f"c{column}" for column in range(features.shape[1]))
        np.savetxt(table, features, fmt="%.17g", delimiter=",", header=names, comments="")
        words = shlex.split(options)
        _vaekit("train", f"{table}:kind=real", *words, "--seed", f"{seed}", "--out", f"{folder / 'run'}", "--quiet")
        files = [folder / "scores.csv", folder / "again.csv"]
        for file in files:
            _vaekit("score", f"{folder / 'run'}", f"{table}", "-o", f"{file}")
        if files[0].read_bytes() != files[1].read_bytes():
            raise UserError(f"vaekit score gave other scores the second time: {files[0]} and {files[1]} differ.")
        column = np.genfromtxt(files[0], delimiter=",", names=True)["score"]
        if len(column) != len(features):
            raise UserError(f"vaekit score gave {len(column)} scores for {len(features)} rows.")
        return column

    def protocol() -> str:
        train = " ".join(["vaekit train features.csv:kind=real", *shlex.split(options)])
        return (
            f"`{train}` and `vaekit score`, no other options, the same for all sets: 80 % of the rows train, 10 % "
            "choose the epoch, 10 % are only scored; score −log p(x) with 100 importance samples; scores of a second "
            "call equal to the byte"
        )

    return Detector(scores, protocol)


def _vaekit(*words: str) -> None:
    command = [sys.executable, "-m", "vaekit", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        reason = next((line for line in said if line.startswith("error: ")), said[-1]).removeprefix("error: ")
        print(done.stderr, end="", file=sys.stderr)
        raise UserError(f"`{shlex.join(['vaekit', *words])}` failed: {reason.rstrip('.')}.")


def pyod_vae() -> Detector:
    """PyOD's VAE with its defaults, in an environment of its own."""
    python = cache(lambda: python_with("pyod", PYOD))

    def scores(features: Array, seed: int, folder: Path) -> Array:
        np.save(folder / "features.npy", features)
        script = Path(__file__).with_name("pyod_vae.py")
        words = [f"{script}", f"{folder / 'features.npy'}", f"{seed}", f"{folder / 'scores.npy'}"]
        done = subprocess.run([f"{python()}", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise UserError(f"PyOD's VAE failed: {done.stderr.strip().splitlines()[-1].rstrip('.')}.")
        return np.load(folder / "scores.npy")

    def protocol() -> str:
        return (
            f"PyOD {version_of(python(), 'pyod')}, `VAE()` with its defaults (standardised features, 30 epochs of all "
            "rows, 2 latents); score: distance to one random reconstruction"
        )

    return Detector(scores, protocol)


def gaussian_mixture(components: tuple[int, ...] = COMPONENTS) -> Detector:
    """Full covariances on standardised features; the number of components by BIC.

    Args:
        components: the numbers that are tried; with one of them there is nothing to choose.
    """

    def scores(features: Array, seed: int, folder: Path) -> Array:
        x = StandardScaler().fit_transform(features)
        fitted = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for number in components:
                mixture = GaussianMixture(number, reg_covar=VARIANCE, random_state=seed).fit(x)
                fitted.append((mixture.bic(x), mixture))
        return -min(fitted, key=lambda each: each[0])[1].score_samples(x)

    def protocol() -> str:
        tried = ", ".join(map(str, components))
        chosen = f"{tried} components, chosen by BIC" if len(components) > 1 else f"components: {tried}"
        return (
            f"scikit-learn's `GaussianMixture` on standardised features, all rows: {chosen}; full covariances, "
            f"{VARIANCE:g} added to every variance; score −log p(x)"
        )

    return Detector(scores, protocol)
