"""Rows, verdicts and the list of papers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from vaekit.errors import UserError
from vaekit.papers.catalogue import find, papers
from vaekit.papers.paper import Row, verdict

KEYS = [
    *("paper", "system", "dataset", "metric", "unit", "protocol", "published", "certainty", "expected", "measured"),
    *("spread", "seeds", "budget", "command", "commit", "seconds", "verdict"),
]


def row(**changes: Any) -> Row:
    plain: dict[str, Any] = dict.fromkeys(KEYS[:-1], "")
    plain |= {"published": None, "spread": None, "seeds": (0,), "seconds": 1.0, "measured": 1.0, "commit": None}
    return Row(**(plain | changes))


def test_a_row_has_exactly_these_keys() -> None:
    assert [field.name for field in dataclasses.fields(Row)] == KEYS
    assert list(row().document()) == KEYS


@pytest.mark.parametrize(
    ("measured", "expected", "said"),
    [
        (-157.0, "≥ -157.0", "as expected"),
        (-157.01, "≥ -157.0", "not as expected"),
        (0.5, "> 0.5", "not as expected"),
        (0.5, "≤ 0.5", "as expected"),
        (0.5, "< 0.5", "not as expected"),
        (float("nan"), "≥ -157.0", "not as expected"),
        (0.5, "", "no expectation"),
    ],
)
def test_the_verdict_follows(measured: float, expected: str, said: str) -> None:
    assert verdict(measured, expected) == said
    assert row(measured=measured, expected=expected).verdict == said


def test_the_verdict_cannot_be_typed() -> None:
    with pytest.raises(TypeError):
        row(verdict="as expected")
    with pytest.raises(ValueError, match="of the form"):
        row(expected="about 3")


def test_the_list() -> None:
    assert "tf-tutorial" in papers()
    with pytest.raises(UserError, match=r"unknown paper 'tf-tutorail'; known: .*tf-tutorial"):
        find("tf-tutorail")
