"""Laws of a model."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints
from torch.nn.functional import one_hot

from vaekit.data.batch import Batch
from vaekit.distributions.comparison import log_prob, support_of_one
from vaekit.errors import UserError
from vaekit.models.draw import Draw, bare, classified, encoded
from vaekit.networks.network import asks
from vaekit.testing.copies import precise
from vaekit.testing.finite import every_binary, grid_number
from vaekit.testing.posterior import flat_mean
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import (
    STANDARD_ERRORS,
    assert_equal,
    assert_mean,
    assert_mean_at_most,
    assert_same,
    mean_and_error,
    reproducible,
    seeded,
)

DRAWS = 4_000
MOST_ELEMENTS = 6  # of x, where everything that can be is tried
HEAVIEST_TAIL = 0.7
ABILITIES = {"density", "encode", "decode", "sample", "classify"}


@reproducible
def check_model(model: nn.Module, batch: Batch) -> None:
    """Everything a model must be, on a copy in float64.

    - ``abilities`` are known words, and each is kept.
    - ``draw(batch, K)``: densities of shape ``(K, batch)`` once branches are summed; ``log_w`` and ``elbo``
      where there is a density, and a :class:`~vaekit.errors.UserError` for either where there is none.
    - without branches log_w = log p(x|z) + Σ log p(z) − Σ log q(z|x), and the bound with analytic KL
      has the same mean as the one without; with branches log_w is not below it in the mean.
    - log p(x|z) of a draw is that of ``decode`` for its latents, of the observed elements where there is a mask; and
      that of its ``px``, made once, where the draw holds it.
    - where x is a few binary numbers, the mean importance weights of every x add up to one, and ``generate`` gives
      each x as often as they say (to a tenth, and not where the weights have tails too heavy for it).
    - ``draw(…, frozen_q=True)`` gives the same numbers, or refuses with a ``UserError``.
    - log (1/K) Σ w does not fall in the mean as K grows.
    - a discrete likelihood keeps the bound and the importance-weighted estimate at or below 0.
    - what is not observed, padding of sequences for one, changes neither log p(x|z), nor q(z|x) where networks ask for
      mask or length.
    - latents and reconstructions of a permuted batch, its conditions with it, are permuted; a row alone is as among
      others.
    - ``generate(n)`` gives n rows that look like x.
    - it is rebuilt bit for bit.

    Args:
        model: a registered part.
        batch: at least two rows.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    model, batch = precise(model), precise(batch)
    asked: Any = model
    name = f"the model {type(model).__name__}"
    abilities: frozenset[str] = asked.abilities
    assert abilities <= ABILITIES, f"{name} claims the unknown abilities {sorted(abilities - ABILITIES)}"
    rows = len(batch.x)
    with torch.no_grad():
        with seeded():
            draw: Draw = asked.draw(batch, 3)
        _check_shapes(draw, rows, name)
        assert draw.has_density == ("density" in abilities), (
            f"{name} claims {'a' if 'density' in abilities else 'no'} density, but its draw says otherwise"
        )
        if draw.has_density:
            _check_bounds(model, batch, name)
            _check_frozen(model, batch, draw, name)
        else:
            _check_refusal(draw, name)
        if {"encode", "decode"} <= abilities:
            _check_rows(model, batch, name)
            _check_unobserved(model, batch, name)
        if "decode" in abilities:
            _check_decoded(model, batch, name)
            if {"density", "sample"} <= abilities:
                _check_every_x(model, batch, name)
        if "sample" in abilities:
            count = 3 if batch.condition is None else rows
            with seeded():
                p = asked.generate(count, batch.condition)
            what = f"{name}: generate({count})"
            assert p.mean.shape == (count, *batch.x.shape[1:]), f"{what} has the shape {tuple(p.mean.shape)}"
            assert p.sample().shape == p.mean.shape, f"{what}: samples have another shape than the mean"
        if "classify" in abilities:
            q = classified(asked, batch)
            assert_equal(q.probs.sum(-1), torch.ones(rows).double(), f"{name}: the sum of q(y|x)")

    def ask(part: Any) -> Any:
        draw = part.draw(batch, 2)
        return (draw.log_px, draw.kl, {key: latent.value for key, latent in draw.latents.items()})

    check_rebuilds(model, ask)


def _check_shapes(draw: Draw, rows: int, name: str) -> None:
    figures = {"log_px": draw.expect(draw.log_px), "kl": draw.kl}
    if draw.has_density:
        figures |= {"log_w": draw.log_w, "elbo": draw.elbo}
    for key, value in figures.items():
        assert value.shape == (3, rows), f"{name}: {key} has the shape {tuple(value.shape)}, expected (samples, batch)"
        assert value.isfinite().all(), f"{name}: {key} is not finite"


def _check_refusal(draw: Draw, name: str) -> None:
    for figure in ("log_w", "elbo"):
        try:
            getattr(draw, figure)
        except UserError:
            continue
        raise AssertionError(f"{name} has no density by its own account, and yet its draw answers {figure}")


def _check_frozen(model: Any, batch: Batch, plain: Draw, name: str) -> None:
    try:
        with seeded():
            frozen: Draw = model.draw(batch, 3, frozen_q=True)
    except UserError:
        return
    assert_equal(frozen.log_px, plain.log_px, f"{name}: log p(x|z) with the parameters of q held still")
    for key, latent in frozen.latents.items():
        assert_equal(latent.value, plain.latents[key].value, f"{name}: {key} with the parameters of q held still")
        held, expected = latent.log_qz, plain.latents[key].log_qz
        assert held is not None
        assert expected is not None
        assert_equal(held, expected, f"{name}: log q of {key} with its parameters held still")


def _check_bounds(model: Any, batch: Batch, name: str) -> None:
    with seeded():
        draw = model.draw(batch, DRAWS)
    log_w, elbo = draw.log_w, draw.elbo.expand(DRAWS, -1)
    if draw.log_branch is None:
        total = draw.log_px
        for latent in draw.latents.values():
            total = total + latent.log_pz - latent.log_qz
        assert_equal(log_w, total, f"{name}: log_w against log p(x|z) + Σ log p(z) − Σ log q(z|x)")
        assert_mean(log_w - elbo, torch.zeros(len(batch.x)), f"{name}: mean of log_w minus that of the bound")
    else:
        assert_mean_at_most(elbo - log_w, 0.0, f"{name}: the bound minus the log of the summed branches")
    few = log_w.reshape(-1, 10, len(batch.x))
    estimate = few.logsumexp(1) - math.log(10)
    assert_mean_at_most(few.mean(1) - estimate, 0.0, f"{name}: the bound of one draw minus that of ten")
    if getattr(getattr(model, "likelihood", None), "discrete", False):
        assert_mean_at_most(elbo, 0.0, f"{name}: the bound on discrete data")
        assert_mean_at_most(estimate, 0.0, f"{name}: the importance-weighted bound on discrete data")


def _check_decoded(model: Any, batch: Batch, name: str) -> None:
    def compare(batch: Batch, what: str) -> Distribution:
        with seeded():
            draw: Draw = model.draw(batch, 3)
        p = model.decode(bare({key: latent.value for key, latent in draw.latents.items()}), batch.condition)
        assert_equal(
            draw.log_px, log_prob(p, batch.x, batch.mask), f"{name}: log p(x|z) of a draw against decode{what}"
        )
        _check_px(draw, batch, f"{name}{what}")
        return p

    p = compare(batch, "")
    if batch.mask is None and isinstance(p, Independent):
        elements = p.base_dist.batch_shape[-p.reinterpreted_batch_ndims :]
        with seeded():
            mask = torch.rand(len(batch.x), *elements) < 0.5
        compare(batch._replace(mask=mask), " under a mask")


def _check_px(draw: Draw, batch: Batch, name: str) -> None:
    """p(x|z) of a draw is one distribution, and log p(x|z) is its log-probability."""
    try:
        p = draw.px
    except UserError:
        return  # a model may give log p(x|z) alone
    assert draw.px is p, f"{name}: px of a draw is made anew each time it is asked for"
    assert_equal(draw.log_px, log_prob(p, batch.x, batch.mask), f"{name}: log p(x|z) of a draw against its px")


def _check_every_x(model: Any, batch: Batch, name: str) -> None:
    """Importance weights add up to one over everything that can be, and what is generated is as likely as they say."""
    with seeded():
        z = model.sample_latents(1, None if batch.condition is None else batch.condition[:1])
    p = model.decode(bare(z), None if batch.condition is None else batch.condition[:1])
    shape = batch.x.shape[1:]
    if support_of_one(p) is not constraints.boolean or shape.numel() > MOST_ELEMENTS:
        return
    every = every_binary(shape.numel())

    def condition(rows: int) -> Tensor | None:
        return None if batch.condition is None else batch.condition[:1].expand(rows, -1)

    with seeded():
        weight = model.draw(Batch(every.reshape(-1, *shape), condition=condition(len(every))), DRAWS).log_w.exp()
        drawn = model.generate(DRAWS, condition(DRAWS)).sample().flatten(1)
    if (_tail_index(weight) > HEAVIEST_TAIL).any():
        return  # a mean of so few weights says nothing
    share, error = mean_and_error(weight)
    total, error_of_total = mean_and_error(weight.sum(1))
    # A tenth for what heavy tails hide.
    assert (total - 1).abs() < 0.1 + 4 * error_of_total, (
        f"{name}: the sum over every x of the importance weights is {total:.3g}, not 1"
    )
    seen = one_hot(grid_number(drawn.long().unsqueeze(-2), 2), len(every)).double()
    what = f"{name}: the share of each x in generate(), against its importance weights"
    assert_mean(seen, share, what, torch.hypot(error, 0.1 * share / STANDARD_ERRORS))


def _check_unobserved(model: Any, batch: Batch, name: str) -> None:
    """Other values where nothing is observed change nothing that is to leave them out."""
    if batch.mask is None:
        return
    mask = batch.mask.reshape(*batch.mask.shape, *[1] * (batch.x.dim() - batch.mask.dim()))
    other = batch._replace(x=torch.where(mask, batch.x, batch.x.flip(0).roll(1, -1)))
    q = encoded(model, batch)
    p = model.decode(q.mean, batch.condition)
    expected, found = (log_prob(p, rows.x, batch.mask) for rows in (batch, other))
    assert_equal(found, expected, f"{name}: log p(x|z) with other values where nothing is observed")
    if any(asks(part) for part in getattr(model, "recognition", ())):
        found = flat_mean(encoded(model, other))
        assert_equal(found, flat_mean(q), f"{name}: mean of q(z|x) with other values where nothing is observed")


def _tail_index(weight: Tensor) -> Tensor:
    """Hill's estimate from the largest fiftieth of ``(draws, values)``: ½ and more where the variance is infinite."""
    top = weight.topk(len(weight) // 50, dim=0).values
    return (top / top[-1]).log().mean(0)


def _check_rows(model: Any, batch: Batch, name: str) -> None:
    order = torch.arange(len(batch.x) - 1, -1, -1)

    def take(rows: Tensor | slice) -> Batch:
        return Batch(batch.x[rows], *(None if item is None else item[rows] for item in batch[1:]))

    def answers(batch: Batch) -> dict[str, Tensor]:
        q = encoded(model, batch)
        p = model.decode(q.mean, batch.condition)
        return {
            "mean of q(z|x)": flat_mean(q),
            "mean of p(x|z)": p.mean,
            "log p(x|mean)": log_prob(p, batch.x, batch.mask),
        }

    all_rows, permuted, alone = answers(batch), answers(take(order)), answers(take(slice(0, 1)))
    for key, value in all_rows.items():
        assert_equal(permuted[key], value[order], f"{name}: {key} of a permuted batch")
        assert_equal(alone[key], value[:1], f"{name}: {key} of the first row alone, and among others")
    with seeded():
        first = model.draw(batch, 2).log_px
    with seeded():
        assert_same(model.draw(batch, 2).log_px, first, f"{name}: two draws with the same random numbers")
