"""What most papers measure on the test split, each with its words for the protocol."""

from __future__ import annotations

from vaekit.papers.experiment import Measure, Trained


def _rows(rows: int | None) -> str:
    return "all test rows" if rows is None else f"{rows:,} test rows at even distances"


def _draws(samples: int) -> str:
    return f"{samples:,} sample{'s' * (samples > 1)} a row"


def elbo_of_test(samples: int = 1, rows: int | None = None) -> Measure:
    """The evidence lower bound."""

    def of(trained: Trained) -> float:
        return trained.evaluate(samples, rows)["elbo"]

    return Measure(f"{_draws(samples)}, {_rows(rows)}", of)


def nll_of_test(samples: int, rows: int | None = None) -> Measure:
    """−log p(x) by importance samples from q(z|x)."""

    def of(trained: Trained) -> float:
        return trained.evaluate(samples, rows)["nll"]

    return Measure(f"{samples:,} importance samples a row, {_rows(rows)}", of)


def active_units(rows: int | None = None) -> Measure:
    """Units whose posterior mean varies over the data by more than 0.01 (Burda et al. 2016, section 5.2)."""

    def of(trained: Trained) -> float:
        return float(trained.evaluate(1, rows)["active_units"])

    return Measure(f"variance of the posterior mean above 0.01, {_rows(rows)}", of)
