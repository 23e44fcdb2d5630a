"""Laws of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vaekit.testing.copies import precise
from vaekit.testing.gradients import check_arrives
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_equal, reproducible, seeded

Inputs = Tensor | dict[str, Tensor]


@reproducible
def check_network(
    network: nn.Module,
    in_shape: int | tuple[int, ...] | dict[str, int],
    condition_dim: int = 0,
    out_shape: tuple[int, ...] = (2, 3),
    positive: bool = False,
) -> None:
    """Everything a network must be, on a copy in float64.

    - any number of leading axes, each element of which is treated alone.
    - ``head(out_shape)`` maps features to ``(*leading, *out_shape)``.
    - a condition matters if and only if the network has one, broadcasts against the input, and must not be left out.
    - gradients reach every parameter, of network and head.
    - it is rebuilt bit for bit.

    Args:
        network: a registered part.
        in_shape: shape of one input, or the lengths of several by name.
        condition_dim: length of the condition, 0 without one.
        out_shape: what a head is asked for.
        positive: show it positive inputs only (counts, say).

    Raises:
        AssertionError: saying which law is broken.
    """
    network = precise(network)
    name = f"the network {type(network).__name__}"
    with seeded():
        head = network.head(out_shape).double()  # type: ignore[operator]
        x = _random(in_shape, (2, 3), positive)
        condition = torch.randn(2, 3, condition_dim, dtype=torch.float64) if condition_dim else None

    def output(x: Inputs, condition: Tensor | None) -> Tensor:
        return head(network(x, condition))

    y = output(x, condition)
    assert y.shape == (2, 3, *out_shape), f"{name}: the output has the shape {tuple(y.shape)}, not (2, 3, *out_shape)"
    for row in range(2):
        one = output(_map(x, lambda value, row=row: value[row]), None if condition is None else condition[row])
        assert_equal(one, y[row], f"{name}: inputs with one leading axis instead of two")
        single = output(
            _map(x, lambda value, row=row: value[row, 1:2]), None if condition is None else condition[row, 1:2]
        )
        assert_equal(single, y[row, 1:2], f"{name}: an input alone, and among others")
    if condition is not None:
        other = output(x, condition + 1)
        assert (other - y).abs().max() > 0, f"{name} has a condition that does not matter"
        # Broadcasting: a condition with an axis more than the input, as when a label is enumerated.
        many = torch.stack([condition, condition + 1])
        assert_equal(output(x, many), torch.stack([y, other]), f"{name}: a condition with one leading axis more")
        assert not _answers(lambda: output(x, None)), f"{name} has a condition, and answers without it"
    named = [*network.named_parameters("network"), *head.named_parameters("head")]
    check_arrives(y.square().sum(), named, f"{name}: the output")
    check_rebuilds(network, lambda part: part(x, condition))


def _answers(ask: Callable[[], Tensor]) -> bool:
    try:
        ask()
    except Exception:
        return False
    return True


def _random(in_shape: int | tuple[int, ...] | dict[str, int], leading: tuple[int, ...], positive: bool) -> Inputs:
    if isinstance(in_shape, dict):
        return {key: torch.randn(*leading, length, dtype=torch.float64) for key, length in in_shape.items()}
    shape = (in_shape,) if isinstance(in_shape, int) else in_shape
    x = torch.randn(*leading, *shape, dtype=torch.float64)
    return x.abs() if positive else x


def _map(x: Inputs, function) -> Inputs:
    return {key: function(value) for key, value in x.items()} if isinstance(x, dict) else function(x)
