"""Laws of a prior."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaekit.distributions.codes import Codes
from vaekit.distributions.comparison import divergence
from vaekit.testing.copies import another, flat, own_parameters, precise, unflat
from vaekit.testing.density import check_law, check_mass
from vaekit.testing.divergences import check_divergences_to
from vaekit.testing.finite import code_vectors, every_grid, grid_number
from vaekit.testing.gradients import check_arrives, check_gradient
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, assert_mean, mean_and_error, reproducible, seeded

DRAWS = 20_000


@reproducible
def check_prior(prior: nn.Module, latent_dim: int | tuple[int, ...], condition: Tensor | None = None) -> None:
    """Everything a prior must be, on a copy in float64.

    - ``prior(condition)`` is a distribution over events of the stated shape; without a condition its
      batch shape is empty.
    - ``log_prob`` takes any leading axes and judges every row by itself.
    - its density integrates to one, and samples follow it (a grid in one and two dimensions,
      importance sampling above, all grids of codes one by one). Where ``log_prob`` is only a bound (``is_bound``), exp
      of it is an unbiased estimate of a density that integrates to one and that samples follow.
    - KL(p‖p) = 0 where a formula is registered, and KL(q‖p) of two Gaussians q is what its Monte Carlo estimate says.
    - a condition matters, and each row of conditions has its own density.
    - the gradient of ``log_prob`` reaches every trainable parameter (a shared code book or ladder apart) and is what
      finite differences say.
    - a part in float64 answers in float64.
    - it is rebuilt bit for bit.

    Args:
        prior: a registered part.
        latent_dim: length of z (of all levels together for a chain), or the shape of a grid of codes.
        condition: one row ``(1, condition_dim)``, if the prior takes one.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    prior = precise(prior)
    condition = precise(condition)
    name = f"the prior {type(prior).__name__}"
    p = prior(condition)
    assert isinstance(p, Distribution), f"{name} returned a {type(p).__name__}, not a distribution"
    with seeded():
        drawn = p.sample(torch.Size([DRAWS]))
    event: tuple[int, ...] = (latent_dim,) if isinstance(latent_dim, int) else tuple(latent_dim)
    leading = (DRAWS,) if condition is None else (DRAWS, 1)
    z = flat(drawn, len(event))
    length = int(torch.tensor(event).prod())
    assert z.shape == (*leading, length), (
        f"{name}: {DRAWS} samples have the shape {tuple(z.shape)} once flattened, expected {(*leading, length)}"
    )
    log_p = p.log_prob(drawn)
    assert z.dtype == log_p.dtype == torch.float64, f"{name} in float64 draws {z.dtype} and answers {log_p.dtype}"
    assert log_p.shape == leading, f"{name}: log_prob has the shape {tuple(log_p.shape)}, expected {leading}"
    bound = bool(getattr(p, "is_bound", False))
    assert bound == any(getattr(module, "is_bound", False) for module in prior.modules()), (
        f"{name} and its distribution do not agree on whether log_prob is only a bound (is_bound)"
    )
    _check_leading_axes(p, drawn, log_p, leading, name, exact=not bound)
    with torch.no_grad():
        if bound:
            _check_estimates_density(p, z.reshape(DRAWS, length), name)
        elif isinstance(p, Codes):
            grids = every_grid(len(p.embedding), p.grid)
            numbers = grid_number(_indices(p, drawn), len(p.embedding))
            check_mass(p.log_prob(code_vectors(p, grids)), numbers, name)
        else:

            def density(points: Tensor) -> Tensor:
                points = points if condition is None else points.unsqueeze(-2)
                return p.log_prob(unflat(points, drawn, torch.Size(event))).reshape(-1)

            check_law(p, density, z.reshape(DRAWS, length), name)
    if not isinstance(drawn, dict) and not bound:
        check_divergences_to(p, len(event), name)
    if condition is not None:
        _check_conditions(prior, condition, name, exact=not bound)
    itself = divergence(p, prior(condition))
    if itself is not None:
        assert_equal(itself[0], torch.zeros_like(itself[0]), f"{name}: KL(p‖p)")
    check_arrives(p.log_prob(drawn), own_parameters(prior), f"{name}: log_prob")
    some = {key: value[:8] for key, value in drawn.items()} if isinstance(drawn, dict) else drawn[:8]

    def value() -> Tensor:
        with seeded():
            return prior(condition).log_prob(some).mean()

    check_gradient(value, [own for _, own in own_parameters(prior) if own.requires_grad], f"{name}: log_prob")
    check_rebuilds(prior, lambda part: part(condition).log_prob(drawn))
    check_rebuilds(prior, lambda part: part(condition).sample(torch.Size([3])))


@torch.no_grad()
def _check_conditions(prior: nn.Module, condition: Tensor, name: str, exact: bool) -> None:
    """Of two conditions, each row is judged by its own."""
    other = another(condition)
    with seeded():
        both = prior(torch.cat([condition, other]))
        drawn = both.sample(torch.Size([6]))
    together = both.log_prob(drawn)
    assert together.shape == (6, 2), f"{name}: log_prob under two conditions has the shape {tuple(together.shape)}"

    def of(row: int) -> Any:
        return (
            {key: value[:, row : row + 1] for key, value in drawn.items()}
            if isinstance(drawn, dict)
            else (drawn[:, row : row + 1])
        )

    alone = [prior(one).log_prob(of(row)) for row, one in enumerate((condition, other))]
    swapped = prior(other).log_prob(of(0))
    assert (swapped - alone[0]).abs().max() > 0, f"{name} is given a condition, and it does not matter"
    if exact:
        assert_equal(together, torch.cat(alone, 1), f"{name}: log_prob under one condition alone, and beside another")


def _indices(p: Codes, drawn: Tensor) -> Tensor:
    distance = (drawn.unsqueeze(1) - p.embedding[:, :, None, None]).square().sum(2)
    return distance.argmin(1)


def _check_estimates_density(p: Distribution, z: Tensor, name: str) -> None:
    """E p̂(z)/r(z) = 1 and E t(z) p̂(z)/r(z) = E_p t(z) for z from a wider Gaussian r: p̂ is a density in the mean."""
    mean, spread = z.mean(0), 1.3 * z.std(0)
    r = Independent(Normal(mean, spread), 1)
    points = r.sample(torch.Size([DRAWS]))
    weight = (p.log_prob(points) - r.log_prob(points)).exp()
    assert_mean(weight, 1.0, f"the integral of exp of the bound of {name}")

    def statistics(points: Tensor) -> Tensor:
        standard = (points - mean) / spread
        return torch.cat([standard, standard.square(), standard.cos()], -1)

    expected, error = mean_and_error(statistics(z))
    assert_mean(weight[:, None] * statistics(points), expected, f"{name}: means under exp of the bound", error)


def _check_leading_axes(
    p: Distribution, drawn: Any, log_p: Tensor, leading: tuple[int, ...], name: str, exact: bool
) -> None:
    def first(value: Tensor) -> Tensor:
        return value[:6].reshape(2, 3, *value.shape[1:])

    some: Any = {key: first(value) for key, value in drawn.items()} if isinstance(drawn, dict) else first(drawn)
    again = p.log_prob(some)
    assert again.shape == (2, 3, *leading[1:]), f"{name}: log_prob does not take further leading axes"
    if exact:
        assert_equal(again, first(log_p), f"{name}: log_prob of the same z with other leading axes")
