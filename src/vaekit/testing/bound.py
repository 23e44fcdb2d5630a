"""Laws of a bound on log p(x), judged where log p(x) is known."""

from __future__ import annotations

from typing import Any

import torch

from vaekit.data.batch import Batch
from vaekit.schedules import Step
from vaekit.testing import linear_gaussian
from vaekit.testing.statistics import assert_mean, assert_mean_at_most, mean_and_error, reproducible, seeded

START = Step()
ROWS = 4
REPEATS = 4_000


@reproducible
def check_bound(objective: Any, step: Step = START, tight: bool = True) -> None:
    """An objective that calls itself a bound on log p(x), on linear-Gaussian models whose log p(x) is known.

    - with the exact posterior its mean is log p(x) (``tight``), or not above it. Where nothing but the
      importance weight enters, it is log p(x) to rounding, whatever is drawn.
    - with a wrong posterior its mean is not above log p(x), and notices.
    - with one draw (``samples`` = 1, or nothing of the kind) and a wrong posterior it is, in the mean,
      log p(x) − KL(q(z|x)‖p(z|x)) (``tight``); with more it is not below that.

    Args:
        objective: ``(model, batch, step) -> Value``.
        step: where training is.
        tight: whether it is an equality for the exact posterior; false for β > 1, free bits and the like.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    name = f"the bound {type(objective).__name__}"
    right, wrong = linear_gaussian.exact(), linear_gaussian.wrong()
    x = right.sample(ROWS)
    with seeded(), torch.no_grad():
        # The rows many times over in one batch: independent draws for each.
        many = Batch(x.repeat(REPEATS, 1))
        best = objective(right.model, many, step).objective.reshape(REPEATS, ROWS)
        repeated = objective(wrong.model, many, step).objective.reshape(REPEATS, ROWS)
    log_p = right.log_p(x)
    if tight:
        assert_mean(best, log_p, f"{name} with the exact posterior, against log p(x)")
    else:
        assert_mean_at_most(best, log_p, f"{name} with the exact posterior, against log p(x),")
    assert_mean_at_most(repeated, log_p, f"{name} with a wrong posterior, against log p(x),")
    mean, error = mean_and_error(repeated)
    assert (log_p - mean > 4 * error).any(), f"{name} does not notice a wrong posterior"
    if tight:
        elbo = log_p - wrong.gap(x)
        if getattr(objective, "samples", 1) == 1:
            assert_mean(repeated, elbo, f"{name} with a wrong posterior, against log p(x) − KL,")
        else:
            assert_mean_at_most(-repeated, -elbo, f"minus {name} with a wrong posterior, against KL − log p(x),")
