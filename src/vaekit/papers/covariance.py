"""Full covariance and learned noise variance: statements that can be checked exactly, without a published figure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from vaekit.data.batch import Batch
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Real
from vaekit.data.loader import Loader
from vaekit.distributions import CholeskyNormal
from vaekit.evaluation.likelihood import evaluating
from vaekit.likelihoods import Gaussian
from vaekit.models import VAE
from vaekit.networks import Affine
from vaekit.objectives import ELBO
from vaekit.papers.experiment import Budget, Difference, Experiment, Figure, Job, Measure, Trained, Variant
from vaekit.papers.paper import BUDGETS
from vaekit.papers.perform import register
from vaekit.papers.planned import by_recipe, planned
from vaekit.posteriors import Cholesky, Diagonal
from vaekit.priors import StandardNormal
from vaekit.recipes import Plan
from vaekit.schedules import Cosine
from vaekit.testing.linear_gaussian import LinearGaussian, exact
from vaekit.training.settings import Phase

LATENTS, COLUMNS, ROWS = 5, 8, (10_000, 1_000, 1_000)
SCALES = (0.1, 0.2, 0.3)
GAP = "KL(q(z|x)‖p(z|x)) beyond the least that q can have"
BOUND = "test ELBO"


def both(bound: str) -> dict[str, str]:
    """The same bound with either budget."""
    return dict.fromkeys(BUDGETS, bound)


def oracle() -> LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(Wz + b, σ²I) with its exact posterior, in float64."""
    return exact(LATENTS, COLUMNS)


def rows() -> Dataset:
    """Rows drawn from it."""
    x = oracle().sample(sum(ROWS), seed=1).float().numpy()
    train, validation, test = (Split(part) for part in np.split(x, np.cumsum(ROWS)[:-1]))
    return Dataset("linear-Gaussian rows", Real(), train, validation, test, by_name=False)


def posterior_of(cls: Callable[[nn.Module, int], nn.Module]) -> Callable[..., Plan]:
    """The oracle's prior and likelihood, which rest, and a posterior of a class that is trained."""

    def plan(data: Dataset, epochs: int) -> Plan:
        known = oracle()
        likelihood = Gaussian(Affine(LATENTS), (COLUMNS,), scale=known.scale)
        likelihood.load_state_dict(known.model.likelihood.state_dict())
        model = VAE(StandardNormal(LATENTS), cls(Affine(COLUMNS), LATENTS), likelihood.float())
        return Plan(model, (Phase(ELBO(), epochs, Cosine(0.02), train=("posterior",)),), data)

    return plan


def as_set(job: Job) -> Trained:
    """The oracle itself: its posterior is set and not trained."""
    return Trained(oracle().model, job.data, job.seed, 0.0, "posterior set to the exact one, float64")


def furthest(trained: Trained) -> float:
    """The largest |log p(x, z) − log q(z|x) − log p(x)| over rows and draws."""
    x = torch.from_numpy(trained.data.test.x).double()
    with evaluating(trained.model, trained.seed):
        return (trained.model.draw(Batch(x), 10).log_w - oracle().log_p(x)).abs().max().item()


def covariance_of(q: object) -> Tensor:
    """The covariance of a Gaussian with full or with diagonal covariance."""
    if isinstance(q, CholeskyNormal):
        return q.scale_tril @ q.scale_tril.mT
    return torch.diag_embed(q.variance)  # type: ignore[attr-defined]


def excess(least: Callable[[LinearGaussian], float]) -> Callable[[Trained], float]:
    """The mean over test rows of KL(q(z|x)‖p(z|x)), by its formula, less the least that there is."""

    def of(trained: Trained) -> float:
        x = torch.from_numpy(trained.data.test.x)
        with evaluating(trained.model, trained.seed):
            q = trained.model.encode(x.to(next(trained.model.parameters()).device))
            gaussian = MultivariateNormal(q.mean.double().cpu(), covariance_of(q).double().cpu())
        known = oracle()
        return kl_divergence(gaussian, known.exact_posterior(x.double())).mean().item() - least(known)

    return of


def disagreement(trained: Trained) -> float:
    """|log p(x) − ELBO − KL(q‖p(z|x))|, means over the test rows: what the estimate of the ELBO is off by."""
    elbo = trained.evaluate(2000)["elbo"]
    log_p = oracle().log_p(torch.from_numpy(trained.data.test.x).double()).mean().item()
    return abs(log_p - elbo - excess(lambda known: 0.0)(trained))


def trained_posterior(name: str, system: str, cls: type, least: Measure) -> Variant:
    """A posterior trained on the oracle's likelihood."""
    return Variant(
        name,
        system,
        rows,
        planned(posterior_of(cls), batch_size=200, keep_best=False),
        (
            Figure(GAP, "nats", least, expected=both("≤ 0.01")),
            Figure(
                "|log p(x) − ELBO − KL(q(z|x)‖p(z|x))|",
                "nats",
                Measure(
                    "log p(x) and KL by their formulas, ELBO from 2,000 samples a row, all test rows", disagreement
                ),
                expected=both("≤ 0.01"),
            ),
        ),
    )


def errors(trained: Trained) -> tuple[Tensor, float]:
    """Squared errors x − μ(z) of the training rows, a draw each, ``(rows, D)``, and σ."""
    device = next(trained.model.parameters()).device
    loader = Loader(trained.data.train, trained.data.kind, device, 500)
    squared = []
    scale = 0.0
    with evaluating(trained.model, trained.seed):
        for batch in loader:
            p = trained.model.decode(trained.model.encode(batch.x).sample())
            squared.append((batch.x - p.mean).square().flatten(1).double().cpu())
            scale = p.stddev.flatten()[0].item()
    return torch.cat(squared), scale


def off(trained: Trained) -> float:
    """|σ / RMSE − 1|."""
    squared, scale = errors(trained)
    return abs(scale / squared.mean().sqrt().item() - 1)


def loss(trained: Trained) -> float:
    """E log p(x|z) with the best σ there is for these reconstructions, less that with the σ that was learned."""
    squared, scale = errors(trained)
    mean, best = squared.mean().item(), squared.mean().sqrt().item()
    each = [-0.5 * mean / s**2 - np.log(s) for s in (best, scale)]
    return squared.shape[1] * float(each[0] - each[1])


def noise(name: str, system: str, likelihood: str, *more: Figure) -> Variant:
    """A VAE on grey digits as real numbers between 0 and 1."""
    return Variant(
        name,
        system,
        "digits:binarization=none",
        by_recipe(
            "vae",
            {"batch_size": 100, "keep_best": False},
            likelihood=likelihood,
            objective="elbo",
            latent_dim=8,
            network="mlp:hidden=128",
            learning_rate="cosine(0.002,end=0.0002)",
        ),
        (
            *more,
            Figure(
                BOUND,
                "nats per image, density of grey / 16",
                Measure("100 samples a row, all test rows", lambda trained: trained.evaluate(100)["elbo"]),
            ),
        ),
        dict.fromkeys(BUDGETS, Budget(epochs=300)),
    )


LEARNED = (
    Figure(
        "|σ / RMSE − 1|",
        "share",
        Measure("root mean squared error of all training rows, a draw of q(z|x) each", off),
        expected=both("≤ 0.01"),
    ),
    Figure(
        "what another σ would gain",
        "nats per image",
        Measure("E log p(x|z) of the training rows with the best σ of all, by its formula, less that with σ", loss),
        expected=both("≤ 0.01"),
    ),
)
NEVER_BELOW = both("≥ 0.0")

COVARIANCE = register(
    Experiment(
        name="covariance",
        title="full covariance closes the gap that a diagonal one must leave; the learned noise variance is the "
        "squared error",
        citation="Kingma & Welling 2019, algorithm 2; Rybkin et al. 2021, section 4; the statements are exact",
        budgets={"quick": Budget(epochs=60), "paper": Budget(epochs=300, seeds=3)},
        variants=[
            Variant(
                "exact",
                "full covariance, exact",
                rows,
                as_set,
                (
                    Figure(
                        "largest |log p(x, z) − log q(z|x) − log p(x)|",
                        "nats",
                        Measure("10 draws a row, all test rows", furthest),
                        expected=both("≤ 0.000001"),
                    ),
                ),
            ),
            trained_posterior(
                "full",
                "full covariance, trained",
                Cholesky,
                Measure(
                    "least: 0; both in closed form, all test rows, linear-Gaussian model",
                    excess(lambda known: 0.0),
                ),
            ),
            trained_posterior(
                "diagonal",
                "diagonal covariance, trained",
                Diagonal,
                Measure(
                    "least: ½ (Σ log Λ_ii − log|Λ|), Λ = (posterior covariance)⁻¹; both in closed form, all test rows",
                    excess(lambda known: known.mean_field_gap),
                ),
            ),
            noise("learned", "σ learned", "gaussian:scale=learned", *LEARNED),
            noise("optimal", "σ of each batch by its formula", "optimal-gaussian", *LEARNED),
            *(noise(f"fixed-{scale}", f"σ = {scale}", f"gaussian:scale={scale}") for scale in SCALES),
        ],
        differences=[
            *(Difference("learned", f"fixed-{scale}", BOUND, expected=NEVER_BELOW) for scale in SCALES),
            *(Difference("optimal", f"fixed-{scale}", BOUND, expected=NEVER_BELOW) for scale in SCALES),
        ],
    )
)
