"""Classical relatives: probabilistic PCA beside EM and a linear VAE, factor analysis, the bars, ridge regression."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.atomic import write_json
from vaekit.classical import (
    Binary,
    FactorAnalysis,
    Factors,
    ProbabilisticPCA,
    Ridge,
    Slab,
    SparseCoding,
    moments_of,
)
from vaekit.data import load
from vaekit.data.dataset import Dataset
from vaekit.data.kinds import Real
from vaekit.likelihoods import Gaussian
from vaekit.models import VAE
from vaekit.networks import Affine
from vaekit.papers.page import cover_of
from vaekit.papers.paper import Reproduction, Request, Row, commit, find, paper
from vaekit.posteriors import Diagonal
from vaekit.priors import StandardNormal
from vaekit.progress import say
from vaekit.report import write_report
from vaekit.run.config import read_config
from vaekit.schedules import Cosine
from vaekit.training import Run, Settings, fit

EPOCHS = 40
LINEAR_DIM = 10
# Mean log-likelihood of the 50,000 training images, grey levels from 0 to 1, computed once with other code.
CALIBRATION = {2: 11.64, 10: 181.80, 20: 299.38, 50: 507.56}
RUNS = 10
RESTARTS = 5
ROWS = 500
FOUND = 0.9  # cosine above which a learned bar points the way of a true one
IMAGES = "MNIST, 50,000 training images, grey levels 0 to 1 as real numbers"
BARS = (
    f"{ROWS} images of 5 × 5, 10 bars of height 10, each with probability 0.2, noise σ = 2; "
    f"{RESTARTS} starts a run, the best likelihood of them; seeds 0 to {RUNS - 1}"
)


def images() -> Dataset:
    """Grey MNIST as real numbers, not standardised.

    Raises:
        UserError: if it cannot be had.
    """
    mnist = load("mnist:binarization=none")
    train, validation, test = (
        split._replace(x=split.x.reshape(len(split.x), -1).astype(np.float32) / 255)
        for split in (mnist.train, mnist.validation, mnist.test)
    )
    return Dataset("mnist, grey levels from 0 to 1", Real(), train, validation, test, by_name=False)


def linear_vae(request: Request, given: Dataset, epochs: int, start: Tensor) -> Run:
    """A VAE whose networks are single linear layers and whose noise has one learned σ.

    Args:
        request: folder, seed, whether to go on.
        given: the images.
        epochs: of the training.
        start: mean of the images, where the decoder's offset begins.
    """
    torch.manual_seed(request.seed)
    dims = given.shape[0]
    model = VAE(
        StandardNormal(LINEAR_DIM),
        Diagonal(Affine(dims), LINEAR_DIM),
        Gaussian(Affine(LINEAR_DIM), (dims,), scale="learned"),
    )
    with torch.no_grad():
        model.likelihood.head.linear.bias.copy_(start)  # type: ignore[union-attr]
    return fit(
        model,
        given,
        epochs=epochs,
        learning_rate=Cosine(1e-2),
        settings=Settings(batch_size=250, seed=request.seed, keep_best=False),
        out=request.folder / "linear-vae",
        resume=request.resume,
    )


def decoder_of(model: Any) -> Factors:
    """p(x) of a linear VAE, which is a Gaussian."""
    units = model.prior().event_shape[0]
    with torch.no_grad():
        corners = torch.cat([torch.zeros(1, units), torch.eye(units)]).to(next(model.parameters()))
        p = model.likelihood(corners)
        offset, *columns = p.mean.double()
        return Factors(offset, torch.stack(columns, 1) - offset.unsqueeze(1), p.variance[0].double())


def bars(size: int = 5) -> Tensor:
    """The bars of Földiák 1990, rows before columns, each as a column: ``(size², 2 size)``.

    >>> bars(2).T.tolist()
    [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    """
    lines = torch.eye(size, dtype=torch.float64)
    across = lines.unsqueeze(-1).expand(-1, -1, size)
    return torch.cat([across, across.transpose(1, 2)]).flatten(1).T.contiguous()


def found(weight: Tensor, truth: Tensor) -> int:
    """How many columns of the truth have a column of W of their own that points their way, up to sign.

    >>> found(torch.eye(3)[:, [2, 0]], torch.eye(3))
    2
    """
    one, other = (matrix.double() / matrix.norm(dim=0).clamp_min(1e-12) for matrix in (truth, weight))
    alike = (one.T @ other).abs()
    best = alike.argmax(1)
    good = alike.max(1).values > FOUND
    return len(set(best[good].tolist()))


def bars_found(causes: Any, **options: int) -> tuple[int, float]:
    """Runs of ten that find all bars, and the largest relative difference of their likelihood to that of the truth."""
    complete, off = 0, -math.inf
    for seed in range(RUNS):
        truth = SparseCoding(10, causes).given(10.0 * bars(), noise=2.0, active=0.2)
        x = truth.sample(ROWS, seed=100 + seed)
        fitted = SparseCoding(10, causes, **options).fit(x, steps=60, hottest=2.0, restarts=RESTARTS, seed=seed)
        complete += found(fitted.weight, bars()) == 10
        there = SparseCoding(10, causes, **options).given(10.0 * bars(), noise=2.0, active=0.2)
        right, mine = (model.score(x).mean().item() for model in (there, fitted))
        off = max(off, (right - mine) / abs(right))
    return complete, off


def regression() -> tuple[float, float]:
    """Largest differences of the mode to ridge by numpy, and of a mode without prior to least squares."""
    generator = np.random.RandomState(0)
    x = generator.randn(200, 20)
    y = x @ generator.randn(20) + generator.randn(200)
    mode = Ridge(noise=1.0, prior=0.5).fit(torch.from_numpy(x), torch.from_numpy(y)).weight.numpy()
    ridge = np.linalg.lstsq(
        np.concatenate([x, math.sqrt(4.0) * np.eye(20)]), np.concatenate([y, np.zeros(20)]), rcond=None
    )[0]
    free = Ridge(noise=1.0, prior=1e7).fit(torch.from_numpy(x), torch.from_numpy(y)).weight.numpy()
    least = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(np.abs(mode - ridge).max()), float(np.abs(free - least).max())


def planned_epochs(request: Request) -> int:
    """What is asked for; of a run that is resumed what it was started with; else forty."""
    if request.epochs is not None:
        return request.epochs
    started = request.folder / "linear-vae"
    if request.resume and (started / "config.json").exists():
        return int(read_config(started)["phases"][0]["epochs"])
    return EPOCHS


@paper(
    "classical",
    title="probabilistic PCA, factor analysis, sparse coding and ridge regression against their closed forms",
    citation="Tipping & Bishop 1999; Rubin & Thayer 1982; Lücke & Sheikh 2012; Lucas et al. 2019",
)
def reproduce(request: Request) -> Reproduction:
    """Fit all of them, train a linear VAE, compare.

    Raises:
        UserError: if the data cannot be had, or the folder is in use.
        Interrupted: on Ctrl-C, with the state saved.
    """
    epochs = planned_epochs(request)
    command = [f"vaekit reproduce classical --budget {request.budget}"]
    command += [] if epochs == EPOCHS else [f"--epochs {epochs}"]
    command += [f"--seed {request.seed}"] if request.seed else []
    of_plan = epochs == EPOCHS

    def row(system: str, metric: str, unit: str, measured: float, expected: str = "", **more: Any) -> Row:
        common: dict[str, Any] = {"dataset": "mnist", "protocol": IMAGES, "seconds": 0.0}
        return Row(
            paper="classical",
            system=system,
            metric=metric,
            unit=unit,
            published=None,
            certainty="nothing published",
            expected=expected,
            measured=measured,
            spread=None,
            seeds=(request.seed,),
            budget=request.budget if of_plan else f"{request.budget}, {epochs} epochs instead of {EPOCHS}",
            command=" ".join(command),
            commit=commit(),
            **(common | more),
        )

    given = images()
    x = torch.from_numpy(given.train.x)
    rows = []
    moments = moments_of(x)
    closed = {q: ProbabilisticPCA(q).fit(moments) for q in CALIBRATION}
    for q, pca in closed.items():
        log_p = pca.course[0]
        rows.append(row(f"pPCA, q = {q}", "train log p(x), closed form", "nats per image", log_p))
    off = max(abs(pca.course[0] - CALIBRATION[q]) for q, pca in closed.items())
    rows.append(row("pPCA", "largest difference to an independent computation", "nats per image", off, "≤ 0.01"))

    say("fitting by EM")
    em = {q: ProbabilisticPCA(q).fit_em(moments, tolerance=1e-9, seed=request.seed).course for q in CALIBRATION}
    off = max(1 - course[-1] / closed[q].course[0] for q, course in em.items())
    falls = [(a - b) / abs(a) for course in em.values() for a, b in itertools.pairwise(course)]
    steps = f"{IMAGES}; {', '.join(f'{len(course)} steps for q = {q}' for q, course in em.items())}"
    metric = "EM's end below the closed form, largest of q = 2, 10, 20, 50"
    rows.append(row("pPCA by EM", metric, "relative", off, "≤ 0.000001", protocol=steps))
    rows.append(row("pPCA by EM", "largest fall in a step", "relative", max(falls), "≤ 0.000000000001", protocol=steps))
    fa = FactorAnalysis(LINEAR_DIM, minimum_noise=1e-4).fit(moments, steps=200)
    gain = fa.course[-1] - closed[LINEAR_DIM].course[0]
    protocol = f"{IMAGES}; q = {LINEAR_DIM}, {len(fa.course)} steps from pPCA, variance of the noise at least 1e-4"
    rows.append(row("factor analysis", "train log p(x) above pPCA", "nats per image", gain, "≥ 0", protocol=protocol))

    say("training the linear VAE")
    run = linear_vae(request, given, epochs, x.mean(0))
    mean_log_p = torch.cat([decoder_of(run.model).log_prob(some.double()) for some in x.split(10_000)]).mean().item()
    gap = closed[LINEAR_DIM].course[0] - mean_log_p
    protocol = f"{IMAGES}; q = {LINEAR_DIM}, Adam, cosine from 0.01, batch 250, {epochs} epochs; p(x) in closed form"
    seconds = run.best["seconds"]
    expected = "≤ 0.1" if of_plan else ""
    rows.append(
        row(
            "linear VAE",
            "train log p(x) below pPCA",
            "nats per image",
            gap,
            expected,
            protocol=protocol,
            seconds=seconds,
        )
    )

    say("looking for bars")
    for name, causes, options in (
        ("binary sparse coding", Binary(), {}),
        ("binary sparse coding, truncated", Binary(), {"candidates": 6, "most_active": 4}),
        ("spike and slab, truncated", Slab(), {"candidates": 6, "most_active": 4}),
    ):
        complete, off = bars_found(causes, **options)
        there = {"dataset": "bars", "protocol": BARS + (f"; {options}" if options else "; all 1,024 sets of causes")}
        rows.append(row(name, f"runs of {RUNS} that find all bars", "runs", complete, "≥ 9", **there))
        rows.append(row(name, "log p(x) below that of the truth, largest", "relative", off, "≤ 0.01", **there))
    ridge, free = regression()
    there = {"dataset": "drawn", "protocol": "200 rows, 20 columns, against numpy's lstsq"}
    rows.append(row("MAP regression", "largest difference to ridge", "weight", ridge, "≤ 0.0000000001", **there))
    metric = "largest difference to least squares as λ falls to 1e-14"
    rows.append(row("MAP regression", metric, "weight", free, "≤ 0.0000000001", **there))

    write_json(request.folder / "rows.json", [each.document() for each in rows])
    cover = cover_of(find("classical"), request.folder, rows, [])
    page = write_report(run, given, samples=50, limit=500, seed=request.seed, cover=cover)
    return Reproduction(rows, {"measured": gap}, page)
