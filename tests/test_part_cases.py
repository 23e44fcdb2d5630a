"""No registered part goes untested."""

from __future__ import annotations

import part_cases
import pytest

SLOTS = ["prior", "posterior", "likelihood", "network", "objective", "codebook"]


@pytest.mark.parametrize("slot", SLOTS)
def test_every_registered_part_has_a_case(slot: str) -> None:
    by_hand = {key.partition("/")[2] for key in part_cases.BY_HAND if key.startswith(f"{slot}/")}
    left_out = set(part_cases.names_of(slot)) - by_hand - set(part_cases.from_context(slot))
    assert not left_out, f"no test makes the {slot} {', '.join(sorted(left_out))}: add it to part_cases.BY_HAND"
