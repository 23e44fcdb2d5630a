"""Posteriors with priors, likelihoods and objectives that can be named on the command line.

Every two parts of different slots are together in at least one model. All of the products would be thousands of models,
and what goes wrong between parts goes wrong between two of them.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import part_cases
import pytest
import torch
from torch import nn

import vaekit as vk
from vaekit.parts.build import build
from vaekit.parts.record import parts
from vaekit.parts.specification import parse
from vaekit.recipes.compose import make_part
from vaekit.schedules import Step
from vaekit.testing import assert_mean_at_most, check_rebuilds, seeded

LATENT_DIM, SHAPE, ROWS = 2, (2, 3), 16
# Parts that ask for what a recipe knows; a new one is selection up from the registry.
POSTERIORS, PRIORS = part_cases.VECTOR_POSTERIORS, part_cases.VECTOR_PRIORS
LIKELIHOODS = [*part_cases.LIKELIHOODS, "gaussian:scale=0.5", "gaussian:scale=per-dimension", "gaussian:scale=network"]
# Those with networks of their own have a test of their own below.
OBJECTIVES = [
    name for name in part_cases.from_context("objective") if not issubclass(parts("objective")[name], nn.Module)
]
OBJECTIVES += ["elbo:beta=linear(0,1,epochs=10)"]


# What a part is over, if not real vectors; only parts over the same go together.
SPACES = {
    "von-mises-fisher": "directions",
    "hyperspherical-uniform": "directions",
    "categorical": "categories",
    "uniform-categorical": "categories",
}


# Priors that are made of posteriors are over what these are over, and need a density of them.
MADE_OF_POSTERIORS = [name for name in PRIORS if getattr(parts("prior")[name], "needs_density", False)]


def refused(posterior: str, prior: str) -> bool:
    """Whether the prior cannot even be made."""
    return prior in MADE_OF_POSTERIORS and not parts("posterior")[posterior].has_density


def fits(posterior: str, prior: str) -> bool:
    """Whether they make a model. A point has no density that would have to be over the same as the prior's."""
    if prior in MADE_OF_POSTERIORS:
        return not refused(posterior, prior)
    return posterior == "point" or SPACES.get(posterior) == SPACES.get(prior)


def covering(*slots: list[str], allowed: Callable[[tuple[str, ...]], bool]) -> list[tuple[str, ...]]:
    """Few rows with one part of each slot in which every two parts of different slots meet that may, found greedily."""
    rows = [row for row in itertools.product(*slots) if allowed(row)]
    bits: dict[tuple[tuple[int, str], ...], int] = {}  # of every pair, so that a row is a number

    def pairs(row: tuple[str, ...]) -> int:
        return sum(1 << bits.setdefault(pair, len(bits)) for pair in itertools.combinations(enumerate(row), 2))

    masks = [*map(pairs, rows)]
    left, taken = (1 << len(bits)) - 1, []
    # What a row adds only falls: a row whose number is still the largest once it is counted anew is the best one.
    queue = [(-mask.bit_count(), place) for place, mask in enumerate(masks)]
    heapq.heapify(queue)
    while left:
        best = queue[0][1]
        now = -(masks[best] & left).bit_count(), best
        if now > queue[0]:
            heapq.heapreplace(queue, now)
            continue
        left &= ~masks[best]
        taken.append(rows[best])
    return taken


MODELS = covering(POSTERIORS, PRIORS, LIKELIHOODS, OBJECTIVES, allowed=lambda row: fits(row[0], row[1]))
PAIRS = [*itertools.product(POSTERIORS, PRIORS)]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def compose(posterior: str, prior: str, likelihood: str) -> vk.VAE:
    encoder = make_part("network", "mlp:hidden=6", in_shape=SHAPE)
    decoder = make_part("network", "mlp:hidden=6", in_shape=LATENT_DIM)
    q = make_part("posterior", posterior, network=encoder, latent_dim=LATENT_DIM)
    small = part_cases.SMALL_OPTIONS.get(f"prior/{prior}", {})
    return vk.VAE(
        prior=build("prior", prior, {"latent_dim": LATENT_DIM, "posterior": q, "shape": SHAPE}, None, small),
        posterior=q,
        likelihood=make_part("likelihood", likelihood, network=decoder, shape=SHAPE),
    )


def data_for(model: vk.VAE) -> torch.Tensor:
    """Rows that the likelihood could have made."""
    with torch.no_grad():
        x = model.eval().likelihood(torch.randn(ROWS, LATENT_DIM)).sample()
    model.train()
    assert x.shape == (ROWS, *SHAPE)
    return x


def check(model: vk.VAE, batch: vk.Batch, objective: object, step: Step, moving: list[tuple[str, torch.nn.Parameter]]):
    value = objective(model, batch, step)  # type: ignore[operator]
    assert value.objective.shape == (ROWS,)
    assert value.objective.dtype == torch.float32
    assert value.objective.isfinite().all()
    assert all(term.isfinite().all() for term in value.terms.values())
    gradients = torch.autograd.grad(value.objective.mean(), [parameter for _, parameter in moving], allow_unused=True)
    for (name, _), gradient in zip(moving, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert gradient.isfinite().all(), f"the gradient of {name} is not finite"
    if model.likelihood.discrete:
        assert_mean_at_most(value.objective, 0.0, "the bound on discrete data")


@pytest.mark.parametrize("posterior, prior, likelihood, objective", MODELS)
def test_combination(posterior: str, prior: str, likelihood: str, objective: str) -> None:
    with seeded():
        model = compose(posterior, prior, likelihood)
        batch = vk.Batch(data_for(model))
        goal = make_part("objective", objective, latent_dim=LATENT_DIM, shape=SHAPE)
        step = Step(index=10, epoch=5.0, epochs=20)
        has_density = "density" in model.abilities
        if goal.needs_density and not has_density:
            with pytest.raises(vk.UserError, match="needs the density of the posterior") as caught:
                goal(model, batch, step)
            assert "hint: use a posterior with a density (diagonal, cholesky)" in str(caught.value)
            return
        # Without a KL nothing moves the prior; what the loop lets rest is not asked for.
        matching = parse(objective)[0] in ("wae", "sliced-wasserstein")
        moving = [
            (name, parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and ((has_density and not matching) or not name.startswith("prior."))
        ]
        check(model, batch, goal, step, moving)
        rebuilt = check_rebuilds(goal, lambda part: part(model.eval(), batch, step).objective)
        assert type(rebuilt) is type(goal)
    check_rebuilds(model, lambda part: part.draw(batch, 2).log_px)


@pytest.mark.parametrize("posterior, prior", [pair for pair in PAIRS if fits(*pair)])
def test_combination_with_a_critic(posterior: str, prior: str) -> None:
    with seeded():
        model = compose(posterior, prior, "bernoulli")
        batch = vk.Batch(data_for(model))
        goal = make_part("objective", "adversarial:hidden=6", latent_dim=LATENT_DIM)
        moving = [(name, parameter) for name, parameter in model.named_parameters() if not name.startswith("prior.")]
        check(model, batch, goal, Step(), [*moving, *goal.named_parameters()])
        told = goal.discriminate(model, batch, Step())
        assert told.objective.shape == (ROWS,)
        assert told.objective.max() <= 0


@pytest.mark.parametrize("posterior, prior", [pair for pair in PAIRS if not fits(*pair) and not refused(*pair)])
def test_parts_over_different_spaces_are_refused(posterior: str, prior: str) -> None:
    with seeded():
        model = compose(posterior, prior, "bernoulli")
        with pytest.raises(vk.UserError, match="both must be over the same latents") as caught:
            model.draw(vk.Batch(data_for(model)))
    assert str(caught.value).count("hint: ") == 1


@pytest.mark.parametrize("posterior, prior", [pair for pair in PAIRS if refused(*pair)])
def test_a_prior_made_of_posteriors_needs_their_density(posterior: str, prior: str) -> None:
    with pytest.raises(vk.UserError, match="a posterior without a density"):
        compose(posterior, prior, "bernoulli")


def test_every_two_parts_meet() -> None:
    slots = [POSTERIORS, PRIORS, LIKELIHOODS, OBJECTIVES]
    for (i, first), (j, second) in itertools.combinations(enumerate(slots), 2):
        met = {(row[i], row[j]) for row in MODELS}
        wanted = {pair for pair in itertools.product(first, second) if (i, j) != (0, 1) or fits(*pair)}
        assert met == wanted
    assert {"diagonal", "cholesky", "point"} <= set(POSTERIORS)
    assert {"standard-normal", "mixture"} <= set(PRIORS)
    assert {"elbo", "free-bits", "iwae"} <= set(OBJECTIVES)
