"""The optimisers take torch's steps, and leave its compiler alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from vaekit.training.optimizers import OPTIMIZERS

PLAIN: dict[str, Any] = {
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


def descended(make: Any, weight_decay: float) -> tuple[torch.Tensor, dict[str, Any]]:
    """Where three steps lead, with a learning rate that is set before each, and the state."""
    start = torch.linspace(-1, 1, 5, requires_grad=True)
    optimizer = make([start], lr=0.0, weight_decay=weight_decay)
    for rate in (0.1, 0.2, 0.05):
        (start**4).sum().backward()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    return start.detach(), optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_steps_are_those_of_torch(name: str, weight_decay: float) -> None:
    def plain(parameters: Any, **options: Any) -> Any:
        return PLAIN[name](parameters, **options, **({"fused": True} if name == "adam" else {}))

    expected, state = descended(plain, weight_decay)
    found, own = descended(OPTIMIZERS[name], weight_decay)
    assert not torch.equal(found, torch.linspace(-1, 1, 5))
    assert torch.equal(found, expected)
    assert own["param_groups"] == state["param_groups"]
    assert own["state"].keys() == state["state"].keys()
    for key, value in state["state"].get(0, {}).items():
        assert value is own["state"][0][key] is None or torch.equal(value, own["state"][0][key])


USED = """
import sys, torch
from vaekit.training.optimizers import OPTIMIZERS
for make in OPTIMIZERS.values():
    x = torch.ones(3, requires_grad=True)
    optimizer = make([x], lr=0.1)
    x.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    assert not torch.equal(x, torch.ones(3))
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""


def test_the_compiler_is_not_imported() -> None:
    said = subprocess.run([sys.executable, "-c", USED], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
