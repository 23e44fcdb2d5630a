"""Laws of a likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from vaekit.distributions.comparison import log_prob, support_of_one
from vaekit.testing.copies import precise
from vaekit.testing.density import check_law, check_mass
from vaekit.testing.finite import every_binary, grid_number, support_of
from vaekit.testing.gradients import check_arrives, check_gradient
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, assert_mean, assert_within, reproducible, seeded

DRAWS = 4_000
POINTS = 4001
TAIL_POINTS, FURTHEST = 1200, 1e8
STEEPEST = 10  # of densities that grow like x^(a − 1) towards an end: 1 / a, at most
MOST_ELEMENTS = 12

Latents = Tensor | dict[str, Tensor]


@reproducible
def check_likelihood(likelihood: nn.Module, z: Latents, x: Tensor, condition: Tensor | None = None) -> None:
    """Everything a likelihood must be, on a copy in float64.

    - ``likelihood(z, condition)`` is a distribution with the batch shape of z and the event shape of x;
      ``mean`` and samples look like x.
    - ``discrete`` says whether it gives masses (then log p ≤ 0) or densities.
    - each element's masses sum to one over all values, each element's density integrates to one, samples
      follow them, and their mean is ``mean`` (where it factorises over elements). Of up to 12 elements that it does
      not factorise over, the whole mass or density is judged so, if it is over real or binary vectors.
    - log p(x) is the sum over elements, not their mean; a mask leaves out exactly the unobserved ones,
      whatever stands in their places.
    - further leading axes of z (samples) change nothing; a row depends on no other row.
    - the gradient of log p(x|z) reaches every trainable parameter and z, and is what finite differences say.
    - it is rebuilt bit for bit.

    Args:
        likelihood: a registered part.
        z: latents ``(batch, latent)`` (or a dict of them), at least two rows.
        x: data of the likelihood's kind, ``(batch, *event)``.
        condition: ``(batch, condition_dim)``, if the likelihood takes one.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    trained = likelihood
    likelihood = precise(likelihood)
    z, x, condition = precise(z), precise(x), precise(condition)
    name = f"the likelihood {type(likelihood).__name__}"
    p = likelihood(z, condition)
    assert isinstance(p, Distribution), f"{name} returned a {type(p).__name__}, not a distribution"
    log_px = p.log_prob(x)
    assert log_px.shape == (len(x),), f"{name}: log_prob has the shape {tuple(log_px.shape)}, expected {(len(x),)}"
    assert log_px.isfinite().all(), f"{name}: log_prob of the given x is not finite"
    assert p.mean.shape == x.shape, f"{name}: the mean has the shape {tuple(p.mean.shape)}, expected {tuple(x.shape)}"
    with seeded():
        sampled = p.sample()
    assert sampled.shape == x.shape, f"{name}: samples have the shape {tuple(sampled.shape)}, not {tuple(x.shape)}"
    discrete = getattr(likelihood, "discrete", None)
    assert isinstance(discrete, bool), f"{name} must say whether it is discrete"
    if discrete:
        largest = max(log_px.max(), p.log_prob(sampled).max())
        assert largest <= 0, f"{name}: a log-probability of discrete data is {largest:.4g}, above 0"
    if isinstance(p, Independent):
        with torch.no_grad():
            _check_elements(p, discrete, name)
            _check_mask(p, x, log_px, name)
    elif x[0].numel() <= MOST_ELEMENTS:
        _check_whole(likelihood, z, condition, discrete, name)
    _check_leading_axes(likelihood, z, x, condition, log_px, name)
    _check_gradient(likelihood, z, x, condition, name)
    check_rebuilds(likelihood, lambda part: (part(z, condition).log_prob(x), part(z, condition).mean))
    # In training it may behave otherwise (a variance that follows the batch); it must answer all the same.
    training = precise(trained).train()
    value = training(z, condition).log_prob(x)
    assert value.shape == (len(x),), f"{name}: log_prob in training has the shape {tuple(value.shape)}"
    check_arrives(value, training.named_parameters(), f"{name} in training: log_prob")


@torch.no_grad()
def _check_whole(likelihood: nn.Module, z: Latents, condition: Tensor | None, discrete: bool, name: str) -> None:
    p = likelihood(_row(z), None if condition is None else condition[:1])
    with seeded():
        drawn = p.sample(torch.Size([DRAWS]))
    samples = drawn.flatten(1)

    def log_px(points: Tensor) -> Tensor:
        return p.log_prob(points.reshape(-1, *drawn.shape[1:])).reshape(-1)

    if not discrete:
        check_law(p, log_px, samples, name)
        assert_mean(samples, p.mean.flatten(), f"samples of {name} about its mean")
    elif support_of_one(p) is constraints.boolean:
        values = every_binary(samples.shape[-1])
        check_mass(log_px(values), grid_number(samples.long().unsqueeze(-2), 2), name)


def _row(z: Latents) -> Latents:
    return {key: value[:1] for key, value in z.items()} if isinstance(z, dict) else z[:1]


def _check_elements(p: Independent, discrete: bool, name: str) -> None:
    element = p.base_dist
    with seeded():
        drawn = element.sample(torch.Size([DRAWS]))
    values = support_of(element)
    assert discrete == (values is not None), (
        f"{name} says discrete = {discrete}, but its elements {'can' if values is not None else 'cannot'} be counted"
    )
    if values is None:
        _check_densities(element, drawn, name)
        return
    log_p = element.log_prob(values.expand(len(values), *element.batch_shape, *element.event_shape))
    log_p = log_p.flatten(1)  # (values, elements)
    event = len(element.event_shape)
    # The number of each drawn value in the list of values.
    flat_values = values.reshape(len(values), -1)[:, : max(1, element.event_shape.numel())]
    flat_drawn = drawn.flatten(1, drawn.dim() - 1 - event).reshape(DRAWS, log_p.shape[1], -1)
    for index in range(log_p.shape[1]):
        numbers = torch.cdist(flat_drawn[:, index].double(), flat_values.double()).argmin(1)
        check_mass(log_p[:, index], numbers, f"{name}, element {index}")
    _check_mean_of_masses(element, values, log_p.exp(), name)


def _check_mean_of_masses(element: Distribution, values: Tensor, masses: Tensor, name: str) -> None:
    """Within the standard error that a mean of samples would have, from the masses: samples may miss a rare value."""
    at = values.expand(len(values), *element.batch_shape, *element.event_shape)
    masses = masses.reshape(len(values), *element.batch_shape, *[1] * len(element.event_shape))
    expected = (masses * at).sum(0)
    error = (masses * (at - expected).square()).sum(0).sqrt() / math.sqrt(DRAWS)
    assert_within(element.mean - expected, error, f"the mean of {name} less that of its masses")


def _check_densities(element: Distribution, drawn: Tensor, name: str) -> None:
    """By trapezia over three times the range of each element's samples, and ever wider ones in the tails beyond."""
    low, high = drawn.amin(0), drawn.amax(0)
    # A density that falls like a power (Student-t) has mass far out.
    tail = torch.logspace(0, math.log10(FURTHEST), TAIL_POINTS + 1, dtype=low.dtype)[1:]
    at = torch.cat([-tail.flip(0), torch.linspace(-1, 2, POINTS, dtype=low.dtype), 1 + tail])
    at = at.reshape(-1, *[1] * low.dim())
    points = _inside(element, low, high, low + (high - low) * at)
    log_p = element.log_prob(points)
    gaps = [
        (place, (points[place] - end).abs())
        for place, end in zip((0, -1), _ends(element), strict=True)
        if end is not None
    ]

    def integral(values: Tensor) -> tuple[Tensor, Tensor]:
        fine = torch.trapezoid(values, points, dim=0)
        # Two coarser rules: with a cusp between two points, one may agree by accident.
        off = [(fine - torch.trapezoid(values[::every], points[::every], dim=0)).abs() for every in (2, 4)]
        # Between an end and the nearest point a density that grows like a power without bound has mass, too.
        left_out = sum((STEEPEST * gap * values[place].abs() for place, gap in gaps), torch.tensor(1e-8))
        return fine, torch.stack(off).amax(0) + left_out

    total, error = integral(log_p.exp())
    assert_within(total - 1, error, f"the integral of {name} over an element minus one")
    assert_mean(drawn, element.mean, f"samples of {name} about its mean")
    location, scale = drawn.mean(0), drawn.std(0)
    statistics: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": lambda x: x,
        "second moment": torch.square,
        "entropy": lambda x: -element.log_prob(x),
        # What tells a Laplace from a Gaussian of the same moments.
        "wave": lambda x: torch.cos((x - location) / scale),
    }
    for what, moment in statistics.items():
        expected, error = integral(log_p.exp() * moment(points))
        assert_mean(moment(drawn), expected, f"{what} of samples of {name}", error)


def _ends(element: Distribution) -> tuple[Tensor | float | None, Tensor | float | None]:
    """Of its support, where it has one."""
    support = support_of_one(element)
    return getattr(support, "lower_bound", None), getattr(support, "upper_bound", None)


def _inside(element: Distribution, low: Tensor, high: Tensor, points: Tensor) -> Tensor:
    """Points where a density is defined, ever denser towards an end of its support, where it may be without bound."""
    towards = torch.logspace(-math.log10(FURTHEST), 0, TAIL_POINTS + 1, dtype=low.dtype)
    towards = towards.reshape(-1, *[1] * low.dim()) * (high - low)
    lower, upper = _ends(element)
    near_lower = None if lower is None else lower + towards
    near_upper = None if upper is None else upper - towards
    points = torch.cat([each for each in (points, near_lower, near_upper) if each is not None])
    points = points if near_lower is None else points.maximum(near_lower[0])
    points = points if near_upper is None else points.minimum(near_upper[0])
    return points.sort(0).values


def _check_mask(p: Independent, x: Tensor, log_px: Tensor, name: str) -> None:
    per_element = p.base_dist.log_prob(x)
    summed = per_element.reshape(len(x), -1).sum(1)
    assert_equal(log_px, summed, f"{name}: log_prob against the sum over its elements")
    everything = torch.ones_like(per_element, dtype=torch.bool)
    assert_equal(log_prob(p, x, everything), log_px, f"{name}: log_prob with everything observed")
    with seeded():
        mask = torch.rand(per_element.shape) < 0.5
    expected = (per_element * mask).reshape(len(x), -1).sum(1)
    assert_equal(log_prob(p, x, mask), expected, f"{name}: log_prob of the observed elements")
    wide = mask.reshape(*mask.shape, *[1] * (x.dim() - mask.dim()))
    elsewhere = torch.where(wide, x, x.flip(0))
    assert_equal(log_prob(p, elsewhere, mask), expected, f"{name}: log_prob with other values where none is observed")


def _check_leading_axes(
    likelihood: nn.Module, z: Latents, x: Tensor, condition: Tensor | None, log_px: Tensor, name: str
) -> None:
    def doubled(value: Tensor) -> Tensor:
        return torch.stack([value, value.flip(0)])

    more = {key: doubled(value) for key, value in z.items()} if isinstance(z, dict) else doubled(z)
    conditions = None if condition is None else doubled(condition)
    again = likelihood(more, conditions).log_prob(doubled(x))
    assert again.shape == (2, len(x)), f"{name}: with samples in front log_prob has the shape {tuple(again.shape)}"
    assert_equal(again, doubled(log_px), f"{name}: log_prob with samples in front and rows in another order")
    alone = likelihood(_row(z), None if condition is None else condition[:1]).log_prob(x[:1])
    assert_equal(alone, log_px[:1], f"{name}: log_prob of the first row alone, and among others")


def _check_gradient(likelihood: nn.Module, z: Latents, x: Tensor, condition: Tensor | None, name: str) -> None:
    if isinstance(z, dict):
        z = {key: value.clone().requires_grad_() for key, value in z.items()}
        leaves = list(z.values())
    else:
        z = z.clone().requires_grad_()
        leaves = [z]
    value = likelihood(z, condition).log_prob(x)
    check_arrives(value, likelihood.named_parameters(), f"{name}: log_prob")
    gradients = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    assert all(g is not None and g.abs().sum() > 0 for g in gradients), f"{name}: no gradient of log_prob reaches z"
    trainable = [parameter for parameter in likelihood.parameters() if parameter.requires_grad]
    check_gradient(lambda: likelihood(z, condition).log_prob(x).mean(), trainable, f"{name}: log_prob")
