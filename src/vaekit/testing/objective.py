"""Laws of an objective."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.errors import UserError
from vaekit.objectives.objective import Value
from vaekit.parts.record import is_part
from vaekit.schedules import Step
from vaekit.testing.copies import another, precise
from vaekit.testing.gradients import check_gradient
from vaekit.testing.rebuild import check_rebuilds
from vaekit.testing.statistics import assert_mean_at_most, assert_same, reproducible, seeded

START = Step()
REPEATS = 200


@reproducible
def check_objective(
    objective: Any, model: nn.Module, batch: Batch, step: Step = START, differentiable: bool = True
) -> None:
    """Everything an objective must be, on copies in float64.

    - ``objective(model, batch, step)`` is a :class:`~vaekit.objectives.Value`: finite nats per example,
      ``(batch,)``, and finite terms, ``(batch,)`` or scalars; the same noise gives the same bits.
    - its players own parameters of the model or of the objective, no parameter has two owners, and
      each player's value moves something of its own.
    - each player's gradient is what finite differences say.
    - what is not observed is left out, or a :class:`~vaekit.errors.UserError` says that it cannot be, where the model
      knows masks; a condition is heeded, where the batch has one; what the posterior's penalty moves, the objective
      moves too.
    - with a discrete likelihood the value is not above 0 on average (every weight of a sum of
      log-probabilities is positive).
    - it is rebuilt, with its tensors bit for bit.

    A bound on log p(x) has more to keep: :func:`vaekit.testing.check_bound`.

    Args:
        objective: a registered part.
        model: what it may be asked of.
        batch: at least two rows for the model.
        step: where training is.
        differentiable: false if the model's gradient is not a derivative (straight-through). An objective whose own
            is not one says so (``Objective.differentiable``), and must show otherwise that it is right.

    Raises:
        AssertionError: saying which law is broken and by how much.
    """
    objective, model, batch = copy.deepcopy(objective), precise(model), precise(batch)
    for network in objective.networks():
        network.cpu().double().eval()
    name = f"the objective {type(objective).__name__}"
    differentiable = differentiable and getattr(objective, "differentiable", True)
    rows = len(batch.x)
    value = _value(objective, model, batch, step)
    assert isinstance(value, Value), f"{name} returned a {type(value).__name__}, not a Value"
    _check_value(value, rows, name)
    assert_same(_value(objective, model, batch, step).objective, value.objective, f"{name} with the same noise")
    players = objective.players(model)
    assert players, f"{name} has no player"
    inside = [*model.parameters(), *(own for network in objective.networks() for own in network.parameters())]
    known = {id(parameter) for parameter in inside}
    owned: dict[int, str] = {}
    for name_of_player, player in players.items():
        parameters = list(player.parameters)
        for parameter in parameters:
            assert id(parameter) in known, f"{name}: {name_of_player} owns what is not of the model nor objective"
            assert id(parameter) not in owned, f"{name}: {name_of_player} and {owned[id(parameter)]} own the same"
            owned[id(parameter)] = name_of_player
        _check_value(_value(player.value, model, batch, step), rows, f"{name}, player {name_of_player}")
        if parameters:
            whose = f"{name}, player {name_of_player}"
            _check_player(player.value, parameters, model, batch, step, whose, differentiable)
    _check_nothing_is_dropped(objective, model, batch, step, name)
    likelihood = getattr(model, "likelihood", None)
    if getattr(likelihood, "discrete", False):
        with seeded(), torch.no_grad():
            values = torch.stack([objective(model, batch, step).objective for _ in range(REPEATS)])
        assert_mean_at_most(values, 0.0, f"{name} with a discrete likelihood")
    if is_part(objective):
        check_rebuilds(objective, lambda part: tuple(part(model, batch, step)))


def _value(function: Any, model: nn.Module, batch: Batch, step: Step) -> Value:
    with seeded():
        return function(model, batch, step)


def _check_value(value: Value, rows: int, name: str) -> None:
    assert value.objective.shape == (rows,), f"{name}: the shape is {tuple(value.objective.shape)}, expected {(rows,)}"
    assert value.objective.isfinite().all(), f"{name} is not finite"
    for key, term in value.terms.items():
        assert term.shape in ((), (rows,)), f"{name}: the term '{key}' has the shape {tuple(term.shape)}"
        assert term.isfinite().all(), f"{name}: the term '{key}' is not finite"


def _check_nothing_is_dropped(objective: Any, model: Any, batch: Batch, step: Step, name: str) -> None:
    """Mask and condition change what some player climbs; the penalty moves what it can."""
    players = objective.players(model)

    def values(batch: Batch) -> Tensor:
        return torch.stack([_value(player.value, model, batch, step).objective for player in players.values()])

    plain = values(batch)
    slopes = [
        dict(zip(player.parameters, _gradients(plain[index].sum(), player.parameters), strict=True))
        for index, player in enumerate(players.values())
    ]
    moved = {parameter for slope in slopes for parameter, gradient in slope.items() if gradient is not None}
    if moved & set(getattr(model, "likelihood", nn.Module()).parameters()) and batch.mask is None:
        masked = _masked(model, batch)
        with suppress(UserError):  # an objective that cannot leave anything out (a critic of whole rows) says so
            heeded = masked is None or (values(masked) - plain).abs().max() > 0
            assert heeded, f"{name} does not heed a mask: hand on the whole batch"
    if batch.condition is not None:
        others = batch._replace(condition=another(batch.condition))
        assert (values(others) - plain).abs().max() > 0, f"{name} does not heed a condition: hand on the whole batch"
    with seeded():
        penalty = model.draw(batch).penalty
    if isinstance(penalty, Tensor) and penalty.requires_grad and not objective.trains:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        reached = zip(parameters, _gradients(penalty.sum(), parameters), strict=True)
        left = {parameter for parameter, gradient in reached if gradient is not None} - moved
        assert not left, f"{name} leaves the penalty of the posterior out: subtract draw.penalty"


def _gradients(value: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    return torch.autograd.grad(value, list(parameters), allow_unused=True, retain_graph=True) if parameters else ()


def _masked(model: Any, batch: Batch) -> Batch | None:
    with seeded():
        masked = batch._replace(mask=torch.rand(batch.x.shape) < 0.5)
    try:
        _ = model.draw(masked).log_px
    except UserError:
        return None
    return masked


def _check_player(
    function: Any,
    parameters: list[nn.Parameter],
    model: nn.Module,
    batch: Batch,
    step: Step,
    name: str,
    differentiable: bool,
) -> None:
    def mean() -> Tensor:
        return _value(function, model, batch, step).objective.mean()

    value = mean()
    assert value.requires_grad, f"{name}: the value has no gradient"
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    reached = [gradient for gradient in gradients if gradient is not None]
    assert any(gradient.abs().sum() > 0 for gradient in reached), f"{name}: no gradient reaches its own parameters"
    assert all(gradient.isfinite().all() for gradient in reached), f"{name}: the gradient is not finite"
    if differentiable:
        check_gradient(mean, parameters, name)
