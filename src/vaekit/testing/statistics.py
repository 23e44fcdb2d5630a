"""Judgement of numbers: random ones in standard errors, exact ones to rounding."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])

STANDARD_ERRORS = 4.0
ROUNDING = {torch.float64: 1e-10, torch.float32: 2e-5}


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Random numbers from ``seed`` inside, the caller's stream untouched."""
    # torch.manual_seed writes the stack down for devices that are not there: the longest part of a small check.
    seed_all = torch.manual_seed if torch.accelerator.is_available() else torch.default_generator.manual_seed
    with torch.random.fork_rng(devices=[]):
        seed_all(seed)
        yield


def reproducible(check: F) -> F:
    """A check that always sees the same random numbers and leaves the caller's stream untouched."""

    @functools.wraps(check)
    def seeded_check(*args: Any, **kwargs: Any) -> Any:
        with seeded():
            return check(*args, **kwargs)

    return cast(F, seeded_check)


def allowed_errors(comparisons: int) -> float:
    """4 standard errors for one comparison; for several, so many that a false alarm stays as unlikely as for one.

    >>> round(allowed_errors(1), 6)
    4.0
    """
    one_tail = torch.special.ndtr(torch.tensor(-STANDARD_ERRORS, dtype=torch.float64))
    return -torch.special.ndtri(one_tail / max(1, comparisons)).item()


def rounding_of(*tensors: Tensor | float) -> float:
    """What rounding may change in numbers of this type and size, after some linear algebra."""
    dtypes = [tensor.dtype for tensor in tensors if isinstance(tensor, Tensor)]
    coarsest = max(ROUNDING.get(dtype, ROUNDING[torch.float64]) for dtype in dtypes) if dtypes else 1e-10
    size = max(torch.as_tensor(tensor).detach().abs().max().item() for tensor in tensors)
    return coarsest * (1 + size)


def assert_equal(actual: Tensor | float, expected: Tensor | float, what: str) -> None:
    """Equal to rounding.

    Raises:
        AssertionError: saying what differs and by how much.
    """
    actual, expected = torch.as_tensor(actual).detach(), torch.as_tensor(expected).detach()
    off = (actual - expected).abs().max().item()
    assert off <= rounding_of(actual, expected), (
        f"{what}: expected {_show(expected)}, got {_show(actual)} (largest difference {off:.3g})"
    )


def assert_same(actual: Tensor, expected: Tensor, what: str) -> None:
    """Equal in every bit.

    Raises:
        AssertionError: saying what differs.
    """
    assert torch.equal(actual, expected), (
        f"{what}: the values differ (largest difference {_largest_difference(actual, expected)})"
    )


def assert_mean(samples: Tensor, expected: Tensor | float, what: str, expected_error: Tensor | float = 0.0) -> None:
    """The mean over the first axis is ``expected``, within 4 standard errors.

    Args:
        samples: ``(samples, *shape)``, independent along the first axis.
        expected: ``(*shape)``.
        what: names the quantity in the message.
        expected_error: standard error of ``expected``, if it is an estimate itself.

    Raises:
        AssertionError: saying by how many standard errors it is off.
    """
    mean, error = mean_and_error(samples)
    assert_within(mean - torch.as_tensor(expected), torch.hypot(error, torch.as_tensor(expected_error).double()), what)


def assert_within(difference: Tensor, error: Tensor, what: str) -> None:
    """A difference whose expectation is zero is zero within 4 of its standard errors.

    Raises:
        AssertionError: saying by how many standard errors it is off, or that it or its error is not a finite number.
    """
    difference = difference.detach()
    assert bool(difference.isfinite().all()), f"{what}: the difference is not finite: {_show(difference)}"
    assert bool(error.isfinite().all()), f"{what}: the standard error is not finite: {_show(error)}"
    allowed = allowed_errors(difference.numel())
    # A quantity that does not vary at all is left to rounding.
    excess = difference.abs() - rounding_of(difference)
    ratio = torch.where(excess > 0, excess / error, 0)
    worst = ratio.max().item()
    assert worst <= allowed, (
        f"{what}: off by {difference.flatten()[ratio.argmax()].item():.4g}, which is {worst:.3g} standard errors; "
        f"{allowed:.3g} are allowed"
    )


def assert_mean_at_most(samples: Tensor, limit: Tensor | float, what: str) -> None:
    """The mean over the first axis is not above ``limit``, within 4 standard errors.

    Raises:
        AssertionError: saying by how many standard errors it is above.
    """
    mean, error = mean_and_error(samples)
    above = (mean - torch.as_tensor(limit)).clamp_min(0)
    assert_within(above, error, f"{what} is too large")


def mean_and_error(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the first axis and its standard error, in float64."""
    samples = samples.detach().double()
    return samples.mean(0), samples.std(0) / math.sqrt(len(samples))


def _show(tensor: Tensor) -> str:
    values = ", ".join(f"{value:.6g}" for value in tensor.flatten()[:4].tolist())
    return f"[{values}{', …' if tensor.numel() > 4 else ''}]"


def _largest_difference(actual: Tensor, expected: Tensor) -> str:
    if actual.shape != expected.shape:
        return f"shapes {tuple(actual.shape)} and {tuple(expected.shape)}"
    return f"{(actual.double() - expected.double()).abs().max().item():.3g}"
