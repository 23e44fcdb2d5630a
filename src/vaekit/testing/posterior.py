"""Laws of a posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions.chain import LatentCache, levels
from vaekit.testing.copies import another, flat, own_parameters, precise, unflat
from vaekit.testing.density import check_law
from vaekit.testing.divergences import check_divergences_from
from vaekit.testing.gradients import check_arrives
from vaekit.testing.pathwise import check_pathwise
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, assert_mean, assert_same, reproducible, seeded

DRAWS = 20_000
ROWS = 2  # whose densities are integrated


@reproducible
def check_posterior(posterior: nn.Module, x: Tensor, condition: Tensor | None = None) -> None:
    """Everything a posterior must be, on a copy in float64.

    - ``posterior(x, condition)`` is a distribution with batch shape ``(batch,)``; ``rsample((K,))`` puts
      K in front, ``log_prob`` has shape ``(K, batch)``, ``mean`` is one latent for each row.
    - ``has_density`` says whether there is a ``log_prob`` (true if nothing is said); without one it must not be
      answered.
    - its density integrates to one (over real vectors or a sphere; masses sum to one) and samples follow it;
      ``log_prob`` of a value just drawn is that of an equal value; a mass on one point has log q = 0.
    - ``mean``, and ``stddev`` where it is answered, are those of the samples, to a tenth of their spread; rows are
      drawn independently.
    - KL(q‖q) = 0, and each registered KL to a Gaussian is what its Monte Carlo estimate says.
    - a row's distribution depends on no other row, and on the condition, if there is one.
    - the gradient of ``rsample`` reaches every trainable parameter (a code book or ladder apart), and in
      ``penalty``, where there is one, those too; of a density it is the derivative of means over the samples.
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
    has_density = getattr(posterior, "has_density", True)
    assert isinstance(has_density, bool), f"{name}: has_density is a {type(has_density).__name__}, not a bool"
    drawn = _answer(lambda: seeded_draw(q, 3), f"{name}: {type(q).__name__} has no rsample, so that nothing is learned")
    for level in _values(drawn):
        assert level.shape[:2] == (3, len(x)), f"{name}: rsample((3,)) has the shape {tuple(level.shape)}"
    mean = _answer(lambda: q.mean, f"{name}: {type(q).__name__} has no mean, by which rows are encoded")
    for level in _values(mean):
        assert level.shape[0] == len(x), f"{name}: the mean has the shape {tuple(level.shape)}"
    event_dims = len(q.event_shape) or 1
    if has_density:
        _check_density(posterior, x, condition, event_dims, name)
        if not isinstance(drawn, dict):
            check_divergences_from(posterior(x, condition), event_dims, name)
    else:
        try:
            answered: Any = q.log_prob(drawn)
        except NotImplementedError:
            answered = None
        assert answered is None, f"{name} has no density by its own account, and yet answers log_prob"
    _check_rows(posterior, x, condition, has_density, name)
    _check_gradient(posterior, x, condition, name)
    if has_density and not q.has_enumerate_support:
        _check_pathwise(posterior, x, condition, event_dims, name)

    def draw(part: nn.Module) -> Any:
        q = part(x, condition)
        z = q.rsample(torch.Size([3]))
        return (z, q.log_prob(z)) if has_density else z

    check_rebuilds(posterior, draw)


def seeded_draw(q: Distribution, count: int) -> Any:
    with seeded():
        return q.rsample(torch.Size([count]))


def _answer(ask: Callable[[], Any], otherwise: str) -> Any:
    try:
        return ask()
    except NotImplementedError as error:
        raise AssertionError(otherwise) from error


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
        if not isinstance(drawn, dict):
            _check_moments(q, z, f"{name}, row {row}")
        event = q.event_shape

        def density(points: Tensor, q: Distribution = q, drawn: Any = drawn, event: torch.Size = event) -> Tensor:
            return q.log_prob(unflat(points.unsqueeze(-2), drawn, event)).reshape(-1)

        check_law(q, density, z, f"{name}, row {row}")


def _check_moments(q: Distribution, z: Tensor, name: str) -> None:
    """To a tenth of the spread, because a mean without a formula is that of some quasi-random points."""
    spread = z.std(0)
    off = (q.mean.reshape(1, -1)[0] - z.mean(0)).abs() / spread
    assert (off < 0.1).all(), f"{name}: the mean is {off.max():.3g} standard deviations off that of its samples"
    try:
        stddev = q.stddev
    except NotImplementedError:
        return
    off = (stddev.reshape(1, -1)[0] / spread - 1).abs()
    assert (off < 0.1).all(), f"{name}: stddev is {off.max():.2%} off that of its samples"


def _check_pathwise(posterior: nn.Module, x: Tensor, condition: Tensor | None, event_dims: int, name: str) -> None:
    own = [parameter for _, parameter in own_parameters(posterior) if parameter.requires_grad]

    def first_row() -> Distribution:
        return posterior(x[:1], None if condition is None else condition[:1])

    with torch.no_grad():
        z = flat(seeded_draw(first_row(), 2), event_dims)
    if own and not torch.equal(z[0], z[1]):
        check_pathwise(first_row, own, event_dims, name)


@torch.no_grad()
def _check_rows(posterior: nn.Module, x: Tensor, condition: Tensor | None, has_density: bool, name: str) -> None:
    q = posterior(x, condition)
    drawn = seeded_draw(q, DRAWS // 10)
    some = _of_rows(drawn, slice(None), 3)
    order = torch.arange(len(x) - 1, -1, -1)
    for rows, what in ((order, "of a permuted batch"), (slice(0, 1), "of the first row alone, and among others")):
        part = posterior(x[rows], None if condition is None else condition[rows])
        assert_equal(flat_mean(part), flat_mean(q)[rows], f"{name}: mean {what}")
        if has_density:
            expected = q.log_prob(some)[:, rows]
            assert_equal(part.log_prob(_of_rows(some, rows, 3)), expected, f"{name}: log_prob {what}")
    if condition is not None:
        other = flat_mean(posterior(x, another(condition)))
        assert not torch.equal(other, flat_mean(q)), f"{name} is given a condition, and it does not matter"
    first, second = (torch.cat([v[:, row].flatten(1) for v in _values(drawn)], 1) for row in (0, 1))
    products = (first - first.mean(0)) * (second - second.mean(0))
    assert_mean(products, 0.0, f"{name}: the covariance of the draws of two rows")


def _of_rows(drawn: Any, rows: Any, count: int) -> Any:
    if isinstance(drawn, dict):
        return {key: value[:count, rows] for key, value in drawn.items()}
    return drawn[:count, rows]


def flat_mean(q: Distribution) -> Tensor:
    """The mean of each row as one vector, ``(batch, units)``."""
    before = LatentCache()
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
