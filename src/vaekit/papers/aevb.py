"""Auto-encoding variational Bayes: latents of several lengths against wake–sleep, Monte-Carlo EM, and Frey faces."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus
from torch.quasirandom import SobolEngine

from vaekit.data import load
from vaekit.data.dataset import Dataset
from vaekit.evaluation.likelihood import evaluating
from vaekit.models import VAE
from vaekit.papers.experiment import Budget, Difference, Experiment, Figure, Measure, Trained, Variant, elbo_of_test
from vaekit.papers.mcem import mcem
from vaekit.papers.paper import UNVERIFIED
from vaekit.papers.perform import register
from vaekit.papers.planned import by_recipe
from vaekit.recipes import make

ELBO = "test ELBO"
LOG_P = "test log p(x)"
UNIT = "nats per image"
NETWORK = "mlp:hidden={},activation=tanh"
REPORT = (
    "a student's report of the same experiment (Adagrad, 300 epochs, another static binarisation); the paper has curves"
)
CURVE = f"{UNVERIFIED}: read off a curve, from memory"
POINTS = 2**17
AT_ONCE = 4096  # points that are decoded

# Latents: AEVB and wake–sleep as in the report, and what is expected of the quick budget.
SIZES = {
    3: (-141.30, -146.83, "≥ -144.0"),
    5: (-124.41, -127.97, "≥ -128.5"),
    10: (-107.57, -112.97, "≥ -112.5"),
    20: (-100.61, -106.35, "≥ -107.0"),
    200: (-99.23, -108.02, "≥ -110.0"),
}
# Of Frey faces: the paper's curve, and what is expected.
FACES = {2: (1150.0, "≥ 850.0"), 5: (None, "≥ 1000.0"), 10: (None, "≥ 1100.0"), 20: (1375.0, "≥ 1100.0")}

ADAM = {"batch_size": 100}
BUDGETS = {
    "quick": Budget(epochs=10),
    "paper": Budget(300, {"learning_rate": 0.02}, {"optimizer": "adagrad"}, seeds=3),
}


def digits(latent_dim: int, objective: str, published: float, certainty: str, expected: str) -> Variant:
    """A model of static MNIST with 500 tanh units on either side."""
    aevb = objective == "elbo"
    return Variant(
        f"{'aevb' if aevb else objective}-{latent_dim}",
        f"{'AEVB' if aevb else 'wake–sleep'}, {latent_dim} latents",
        "mnist:binarization=static",
        by_recipe(
            "vae",
            ADAM,
            latent_dim=latent_dim,
            objective=objective,
            network=NETWORK.format(500),
            learning_rate=1e-3,
        ),
        (Figure(ELBO, UNIT, elbo_of_test(), published, certainty, {"quick": expected} if expected else {}),),
    )


def thousand() -> Dataset:
    """The first 1,000 training images of static MNIST."""
    whole = load("mnist:binarization=static")
    return replace(whole, name=f"{whole.name}, first 1,000", train=whole.train.first(1000), by_name=False)


def small(data: Dataset) -> VAE:
    """100 tanh units on either side of 3 latents."""
    options = {"latent_dim": 3, "network": NETWORK.format(100), "objective": "elbo", "epochs": 1}
    model = make("vae", data, options).model
    assert isinstance(model, VAE)
    return model


def prior_integral(model: Any, x: Tensor, latent_dim: int, points: int, seed: int = 0) -> Tensor:
    """log p(x) = log ∫ p(z) p(x|z) dz as log (1/S) Σ_s p(x|z_s), ``(rows,)``; no q(z|x) is needed.

    z_s is a scrambled Sobol sequence through the quantiles of N(0, 1). All rows share the points, so that each is
    decoded once, and log p(x|z) = x · l(z) − Σ softplus l(z) is one matrix product. Enough for 3 latents, of which the
    posterior is not much narrower than 1/S of the prior.

    Args:
        model: with a standard normal prior and a Bernoulli likelihood.
        x: ``(rows, *event)`` in {0, 1}.
        latent_dim: length of z.
        points: S.
        seed: of the scrambling.
    """
    device = next(model.parameters()).device
    flat = x.flatten(1).to(device)
    uniform = SobolEngine(latent_dim, scramble=True, seed=seed).draw(points, dtype=torch.float64)
    z = torch.distributions.Normal(0.0, 1.0).icdf(uniform.clamp(1e-12, 1 - 1e-12)).to(device, flat.dtype)
    total = torch.full((len(flat),), -math.inf, device=device)
    with evaluating(model, seed):
        for some in z.split(AT_ONCE):
            logits = model.decode(some).base_dist.logits.flatten(1)
            log_px = flat @ logits.T - softplus(logits).sum(1)
            total = torch.logaddexp(total, log_px.logsumexp(1))
    return total - math.log(points)


def integral(split: str, rows: int = 1000) -> Measure:
    """log p(x) of the first rows of a split."""

    def of(trained: Trained) -> float:
        x = trained.data.kind.prepare(torch.from_numpy(trained.data.split(split).x[:rows]))
        return prior_integral(trained.model, x, 3, POINTS, trained.seed).mean().item()

    which = "training" if split == "train" else split
    return Measure(
        f"integral over the prior by {POINTS:,} Sobol points where the paper has an estimator by HMC, first {rows:,} "
        f"{which} rows",
        of,
    )


def thousands(name: str, system: str, train, published: float, expected: str) -> Variant:
    """One of three ways to train the same small model on the same 1,000 images."""
    return Variant(
        name,
        system,
        thousand,
        train,
        (
            Figure(LOG_P, UNIT, integral("test"), published, REPORT, {"quick": expected} if expected else {}),
            Figure("training log p(x)", UNIT, integral("train")),
        ),
        {"quick": Budget(50), "paper": Budget(50, seeds=3)},
    )


def on_thousand(objective: str):
    """The small model, trained by the loop."""
    return by_recipe(
        "vae",
        {**ADAM, "keep_best": False},
        latent_dim=3,
        objective=objective,
        network=NETWORK.format(100),
        learning_rate=1e-3,
    )


def faces(latent_dim: int, published: float | None, expected: str) -> Variant:
    """A Gaussian model of Frey faces with 200 tanh units on either side."""
    return Variant(
        f"frey-{latent_dim}",
        f"AEVB, Frey faces, {latent_dim} latents",
        "frey-faces",
        by_recipe(
            "vae",
            ADAM,
            latent_dim=latent_dim,
            objective="elbo",
            network=NETWORK.format(200),
            likelihood="unit-gaussian:scale=network,minimum_scale=0.0302",
            learning_rate=1e-3,
        ),
        (
            Figure(
                ELBO,
                f"{UNIT}, density of grey / 255",
                Measure("σ ≥ 0.0302 (on which the figure depends), 10 samples a row, all test rows", faces_elbo),
                published,
                f"{CURVE}; ± 100" if published is not None else "nothing published",
                {"quick": expected},
            ),
        ),
        {"quick": Budget(400), "paper": Budget(2000, seeds=3)},
    )


def faces_elbo(trained: Trained) -> float:
    """The evidence lower bound of test faces."""
    return trained.evaluate(10)["elbo"]


def more(first: str, second: str, metric: str, published: float, bound: str, certainty: str = REPORT) -> Difference:
    """A difference that is expected with either budget."""
    expected: Mapping[str, str] = {"quick": bound, "paper": bound}
    return Difference(first, second, metric, published, certainty, expected)


AEVB = register(
    Experiment(
        name="aevb",
        title="AEVB against wake–sleep for 3 to 200 latents, against Monte-Carlo EM on 1,000 images, and Frey faces",
        citation="Kingma & Welling 2013, Auto-Encoding Variational Bayes, section 5",
        budgets=BUDGETS,
        variants=[
            *(digits(size, "elbo", published, REPORT, bound) for size, (published, _, bound) in SIZES.items()),
            *(digits(size, "wake-sleep", published, REPORT, "") for size, (_, published, _) in SIZES.items()),
            thousands("aevb-1000", "AEVB, 1,000 images", on_thousand("elbo"), -194.7, ""),
            thousands("wake-sleep-1000", "wake–sleep, 1,000 images", on_thousand("wake-sleep"), -193.7, ""),
            thousands("mcem-1000", "Monte-Carlo EM, 1,000 images", mcem(small), -180.2, "≥ -195.0"),
            *(faces(size, *known) for size, known in FACES.items()),
        ],
        differences=[
            *(
                more(f"aevb-{size}", f"wake-sleep-{size}", ELBO, round(one - other, 2), "> 0.0")
                for size, (one, other, _) in SIZES.items()
            ),
            more("aevb-200", "aevb-20", ELBO, 1.38, "> -3.0"),
            more("mcem-1000", "aevb-1000", LOG_P, 14.5, "> 0.0"),
        ],
    )
)
