"""The laws of a posterior."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaekit.distributions.chain import levels
from vaekit.distributions.divergence import divergence
from vaekit.distributions.supports import space_of
from vaekit.distributions.trail import Trail
from vaekit.testing.copies import flat, own_parameters, precise, unflat
from vaekit.testing.density import check_law
from vaekit.testing.gradients import check_arrives
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, assert_mean, assert_same, reproducible, seeded

DRAWS = 20_000
ROWS = 2  # whose densities are integrated


@reproducible
def check_posterior(posterior: nn.Module, x: Tensor, condition: Tensor | None = None) -> None:
    """Everything a posterior must be, on a copy in float64.

    - ``posterior(x, condition)`` is a distribution with batch shape ``(batch,)``; ``rsample((K,))`` puts
      K in front, ``log_prob`` has shape ``(K, batch)``, ``mean`` is one latent for each row.
    - ``has_density`` says whether there is a ``log_prob``; without one it must not be answered.
    - its density integrates to one (over real vectors or a sphere; masses sum to one) and samples follow it;
      ``log_prob`` of a value just drawn is that of an equal value; a mass on one point has log q = 0.
    - KL(q‖q) = 0, and each registered KL to a Gaussian is what its Monte Carlo estimate says.
    - a row's distribution depends on no other row.
    - the gradient of ``rsample`` reaches every trainable parameter (a code book or ladder apart), and in
      ``penalty``, where there is one, those too.
    - it is rebuilt bit for bit.

    Args:
        posterior: a registered part.
        x: at least two rows.
        condition: ``(batch, condition_dim)``, if the posterior takes one.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    posterior = precise(posterior)
    x, condition = precise(x), precise(condition)
    name = f"the posterior {type(posterior).__name__}"
    q = posterior(x, condition)
    assert isinstance(q, Distribution), f"{name} returned a {type(q).__name__}, not a distribution"
    assert q.batch_shape == (len(x),), f"{name}: the batch shape is {tuple(q.batch_shape)}, expected {(len(x),)}"
    has_density = getattr(posterior, "has_density", None)
    assert isinstance(has_density, bool), f"{name} must say whether it has_density"
    with seeded():
        drawn = q.rsample(torch.Size([3]))
    for level in drawn.values() if isinstance(drawn, dict) else [drawn]:
        assert level.shape[:2] == (3, len(x)), f"{name}: rsample((3,)) has the shape {tuple(level.shape)}"
    mean = q.mean
    for level in mean.values() if isinstance(mean, dict) else [mean]:
        assert level.shape[0] == len(x), f"{name}: the mean has the shape {tuple(level.shape)}"
    event_dims = len(q.event_shape) or 1
    if has_density:
        _check_density(posterior, x, condition, event_dims, name)
        if not isinstance(drawn, dict):
            _check_divergences(posterior(x, condition), event_dims, name)
    else:
        try:
            answered: Any = q.log_prob(drawn)
        except NotImplementedError:
            answered = None
        assert answered is None, f"{name} has no density by its own account, and yet answers log_prob"
    _check_rows(posterior, x, condition, name)
    _check_gradient(posterior, x, condition, name)

    def draw(part: nn.Module) -> Any:
        q = part(x, condition)
        z = q.rsample(torch.Size([3]))
        return (z, q.log_prob(z)) if has_density else z

    check_rebuilds(posterior, draw)


@torch.no_grad()
def _check_density(posterior: nn.Module, x: Tensor, condition: Tensor | None, event_dims: int, name: str) -> None:
    for row in range(min(ROWS, len(x))):
        one = slice(row, row + 1)
        q = posterior(x[one], None if condition is None else condition[one])
        with seeded():
            drawn = q.rsample(torch.Size([DRAWS]))
        log_q = q.log_prob(drawn)
        assert log_q.shape == (DRAWS, 1), f"{name}: log_prob has the shape {tuple(log_q.shape)}, not (samples, batch)"
        copied = {key: value.clone() for key, value in drawn.items()} if isinstance(drawn, dict) else drawn.clone()
        assert_equal(log_q, q.log_prob(copied), f"{name}: log_prob of a value just drawn, and of an equal one")
        z = flat(drawn, event_dims)[:, 0]
        if torch.equal(z[1:], z[:-1]):
            assert_equal(log_q, torch.zeros_like(log_q), f"{name}: log q of a mass on one point")
            continue
        event = q.event_shape

        def density(points: Tensor, q: Distribution = q, drawn: Any = drawn, event: torch.Size = event) -> Tensor:
            return q.log_prob(unflat(points.unsqueeze(-2), drawn, event)).reshape(-1)

        check_law(q, density, z, f"{name}, row {row}")


@torch.no_grad()
def _check_divergences(q: Distribution, event_dims: int, name: str) -> None:
    """Against itself, and over real vectors against the standard Gaussian and one of other means and scales."""
    itself = divergence(q, q)
    if itself is not None:
        assert_equal(itself[0], torch.zeros_like(itself[0]), f"{name}: KL(q‖q)")
    zero = torch.zeros(q.event_shape, dtype=q.mean.dtype)
    if space_of(q) != space_of(Independent(Normal(zero, 1.0), event_dims)):
        return
    ramp = torch.linspace(0.5, 1.5, max(1, zero.numel()), dtype=zero.dtype).reshape(q.event_shape)
    for loc, scale in ((zero, zero + 1), (ramp - 1, 2 * ramp)):
        p = Independent(Normal(loc, scale), event_dims)
        formula = divergence(q, p)
        if formula is None:
            continue
        with seeded():
            z = q.rsample(torch.Size([DRAWS]))
        assert_mean(q.log_prob(z) - p.log_prob(z), formula[0], f"{name}: KL(q‖p) by Monte Carlo against its formula")
        if formula[1] is not None:
            assert_equal(formula[1].sum(-1), formula[0], f"{name}: the KL's split over dimensions, summed")


@torch.no_grad()
def _check_rows(posterior: nn.Module, x: Tensor, condition: Tensor | None, name: str) -> None:
    order = torch.arange(len(x) - 1, -1, -1)
    mean = flat_mean(posterior(x, condition))
    permuted = flat_mean(posterior(x[order], None if condition is None else condition[order]))
    assert_equal(permuted, mean[order], f"{name}: means of a permuted batch")
    alone = flat_mean(posterior(x[:1], None if condition is None else condition[:1]))
    assert_equal(alone, mean[:1], f"{name}: mean of the first row alone, and among others")


def flat_mean(q: Distribution) -> Tensor:
    """The mean of each row as one vector, ``(batch, units)``."""
    before = Trail()
    for name, conditional in levels(q).items():
        before[name] = conditional(before).mean
    return torch.cat([value.flatten(1) for value in before.values()], dim=1)


def _check_gradient(posterior: nn.Module, x: Tensor, condition: Tensor | None, name: str) -> None:
    own = own_parameters(posterior)
    q = posterior(x, condition)
    with seeded():
        drawn = q.rsample(torch.Size([2]))
    size = sum(value.square().sum() for value in (drawn.values() if isinstance(drawn, dict) else [drawn]))
    assert isinstance(size, Tensor)
    check_arrives(size, own, f"{name}: rsample")
    penalty = getattr(q, "penalty", None)
    if penalty is not None:
        assert penalty.shape == (len(x),), f"{name}: the penalty has the shape {tuple(penalty.shape)}, not (batch,)"
        check_arrives(penalty, posterior.named_parameters(), f"{name}: penalty")
    with seeded():
        first = q.rsample(torch.Size([2]))
    for one, other in zip(_values(first), _values(drawn), strict=True):
        assert_same(one, other, f"{name}: two draws with the same random numbers")


def _values(value: Tensor | dict[str, Tensor]) -> list[Tensor]:
    return list(value.values()) if isinstance(value, dict) else [value]
