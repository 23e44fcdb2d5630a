"""Trainable parts of a model in a phase."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from vaekit.errors import UserError
from vaekit.objectives.objective import Player
from vaekit.training.settings import Phase


class TrainableParts(NamedTuple):
    """The parts of a model in a phase.

    Attributes:
        model: all of them.
        parts: those that move, in training mode.
        resting: those that do not, though others that move may hold them too.
    """

    model: nn.Module
    parts: list[nn.Module]
    resting: list[nn.Module]

    @classmethod
    def of(cls, model: nn.Module, phase: Phase) -> TrainableParts:
        """The parts that a phase trains.

        Raises:
            UserError: if the model has no such part.
        """
        names = dict(model.named_children())
        if unknown_names := {*phase.train, *phase.rest} - names.keys():
            raise UserError(f"the model has no part {', '.join(sorted(unknown_names))}; it has {', '.join(names)}.")
        parts = [names[name] for name in phase.train] if phase.train else [model]
        return cls(model, parts, [names[name] for name in phase.rest])

    def set_modes(self) -> None:
        """What moves is in training mode, all else in evaluation mode."""
        self.model.eval()
        for module in self.parts:
            module.train()
        for module in self.resting:
            module.eval()

    @property
    def still(self) -> set[int]:
        """Identities of the model's parameters that do not move, whoever holds them."""
        still = {id(parameter) for module in self.resting for parameter in module.parameters()}
        moving = {id(parameter) for module in self.parts for parameter in module.parameters()}
        return still | ({id(parameter) for parameter in self.model.parameters()} - moving)

    def players(self, objective: Any) -> dict[str, Player]:
        """The players of an objective that have something to move, with that alone.

        Raises:
            UserError: if there are none.
        """
        players, still = {}, self.still  # parameters that are not of the model are the objective's own
        for name, player in objective.players(self.model).items():
            parameters = [p for p in player.parameters if p.requires_grad and id(p) not in still]
            if parameters:
                players[name] = player._replace(parameters=parameters)
        if not players:
            raise UserError("nothing is left to train: the parts that are to move have no parameters.")
        return players
