"""Objective with a classifier that learns from the labelled rows as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vaekit.checks import check_number
from vaekit.data.batch import Batch
from vaekit.models.draw import classified
from vaekit.objectives.objective import Objective, Player, Value
from vaekit.parts.record import part
from vaekit.schedules import Step


@part("objective/classified", paper="Kingma, Rezende, Mohamed & Welling 2014, equation 9")
@dataclass(frozen=True)
class Classified(Objective):
    """objective + α log q(y|x) on rows whose label is observed.

    Args:
        objective: of the generative model.
        alpha: weight of the classifier's log-likelihood, in nats per labelled row.

    Raises:
        ValueError: if ``alpha`` is out of range.
    """

    objective: Objective
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        return self.objective.differentiable

    @property
    def needs_density(self) -> bool:  # type: ignore[override]
        return self.objective.needs_density

    def __call__(self, model: Any, batch: Batch, step: Step) -> Value:
        value = self.objective(model, batch, step)
        if batch.label is None:
            return value
        observed = batch.label >= 0
        log_qy = classified(model, batch).log_prob(batch.label.clamp_min(0))
        log_qy = torch.where(observed, log_qy, torch.zeros_like(log_qy))
        mean = log_qy.sum() / observed.sum().clamp_min(1)
        return Value(value.objective + self.alpha * log_qy, value.terms | {"log_qy": mean})

    def players(self, model: nn.Module) -> dict[str, Player]:
        players = self.objective.players(model)
        # The player who climbs the objective climbs this value now; any other stays as it is.
        return {
            name: player._replace(value=self) if player.value is self.objective else player
            for name, player in players.items()
        }

    def networks(self) -> tuple[nn.Module, ...]:
        return self.objective.networks()

    def selection_metric(self, figures: Mapping[str, float], last: Step) -> float | None:
        return self.objective.selection_metric(figures, last)
