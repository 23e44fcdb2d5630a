"""Training state: all that is needed to resume exactly."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vaekit.atomic import load_module_tensors, module_tensors, read_tensors, write_tensors
from vaekit.distributed.rng import RNGStreams
from vaekit.errors import UserError


@dataclass
class Counters:
    """Plain numbers of the state.

    Attributes:
        phase, epoch, batch: where training is: ``batch`` batches of epoch ``epoch`` of phase ``phase`` are done.
        step: steps taken in this phase.
        best, best_epoch: best validation figure so far, and the epoch (of all phases) that had it.
        waited: epochs of this phase since it last got better.
        epochs_total: epochs finished in all phases.
        skipped, skipped_in_a_row: steps not taken because something was not finite.
        averaged: steps taken by the average of the weights.
        seconds: time spent so far, over all sessions.
        scale, scale_kept: of gradients in half precision, and the steps since it changed; 0 before the first.
    """

    phase: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    epochs_total: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    averaged: int = 0
    seconds: float = 0.0
    scale: float = 0.0
    scale_kept: int = 0
    cause: str = ""


Number = TypeVar("Number", float, Tensor)


def largest_decay(steps: Number) -> Number:
    """Largest EMA decay at this step: small at first, so that the weights from before are forgotten."""
    return (1 + steps) / (10 + steps)


class State:
    """Model, objective, optimisers, averages, random numbers and counters of a training run.

    Args:
        model: the model, on its device.
        ema_decay: decay of the running average of the weights; 0 for none.
        rng: the random numbers; torch's own without them.
    """

    def __init__(self, model: nn.Module, ema_decay: float, rng: RNGStreams | None = None) -> None:
        self.model = model
        self.rng = rng or RNGStreams()
        self.ema_decay = ema_decay
        self.average = copy.deepcopy(model).requires_grad_(False) if ema_decay else None
        self.networks: tuple[nn.Module, ...] = ()
        self.optimizers: dict[str, Any] = {}  # by player, as training.optimizers makes them
        self.sums: dict[str, Tensor] = {}  # of metrics over the rows of an epoch: (names,) by a/b/…
        self.rows: dict[str, int] = {}  # how many rows are in them
        self.best: dict[str, Tensor] = {}
        self.best_networks: dict[str, Tensor] = {}  # of the objective, at the same epoch
        self.document: str = ""  # of the model, as JSON, once it has grown
        self.counters = Counters()

    def model_changed(self, document: str) -> None:
        """The model has grown or shrunk: its average follows, and weights of another shape are no longer the best.

        Args:
            document: of the model now, as JSON.
        """
        self.document, self.best, self.counters.best = document, {}, None
        if self.average is None:
            return
        before = module_tensors(self.average)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        with torch.no_grad():
            for name, tensor in module_tensors(self.average).items():
                if name in before and before[name].shape == tensor.shape:
                    tensor.copy_(before[name])

    def keep_optimizers(self, before: Mapping[str, Any]) -> None:
        """Give the optimisers what those before knew of the parameters that are still there.

        Args:
            before: by player.
        """
        for name, optimizer in self.optimizers.items():
            kept = before[name].state if name in before else {}
            stays = [each for each in optimizer.param_groups[0]["params"] if each in kept]
            optimizer.state.update({each: kept[each] for each in stays})
            optimizer.group_by_age()

    @property
    def shown(self) -> nn.Module:
        """The model that is evaluated and kept: the average of the weights if there is one."""
        return self.model if self.average is None else self.average

    def update_average(self) -> None:
        """Move the average a step towards the model, if there is one."""
        if self.average is None:
            return
        self.counters.averaged += 1
        self.move_average(1 - min(self.ema_decay, largest_decay(self.counters.averaged)))

    largest_decay = staticmethod(largest_decay)  # asked with a number on the device by steps that are captured

    @torch.no_grad()
    def move_average(self, weight: float | Tensor) -> None:
        """Move the average by this part of the way to the model."""
        assert self.average is not None
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, weight)
        for kept, new in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(new)

    def begin_phase(self) -> None:
        """Figures of another goal are no measure for this one."""
        self.counters.best, self.counters.waited = None, 0

    def update_best(self, figure: float | None, *, keep_best: bool) -> bool:
        """Take note of an epoch's validation figure and remember the shown weights: the best, or the last.

        Args:
            figure: higher is better; one that is not a number is no better than any; ``None`` compares nothing.
            keep_best: remember the best; else, and without a figure, the last.

        Returns:
            Whether these weights are now the ones remembered.
        """
        best = self.counters.best
        better = figure is None or best is None or figure > best or (math.isnan(best) and not math.isnan(figure))
        self.counters.waited = 0 if better else self.counters.waited + 1
        if better:
            self.counters.best = figure
        keep = better or not keep_best
        if keep:
            self.counters.best_epoch = self.counters.epochs_total
            self.best = {name: tensor.detach().clone() for name, tensor in module_tensors(self.shown).items()}
            self.best_networks = {
                f"{index}/{name}": tensor.detach().clone()
                for index, network in enumerate(self.networks)
                for name, tensor in module_tensors(network).items()
            }
        return keep

    def means(self) -> dict[str, float]:
        """Means of the epoch's metrics over its rows, by name."""
        return {
            name: total / self.rows[key]
            for key, totals in self.sums.items()
            for name, total in zip(key.split("/"), totals.tolist(), strict=True)
        }

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        """All tensors by owner."""
        groups = {"model": module_tensors(self.model), "best": self.best, "sums": self.sums}
        groups["best_networks"] = self.best_networks
        groups["rows"] = {key: torch.tensor(self.rows[key]) for key in self.sums}
        if self.average is not None:
            groups["average"] = module_tensors(self.average)
        for index, network in enumerate(self.networks):
            groups[f"objective/{index}"] = module_tensors(network)
        for player, optimizer in self.optimizers.items():
            parameters = optimizer.param_groups[0]["params"]
            groups[f"optimizer/{player}"] = {
                f"{index}/{key}": value
                for index, parameter in enumerate(parameters)
                for key, value in optimizer.state.get(parameter, {}).items()
            }
        groups["random"] = self.rng.saved()
        return groups

    def contents(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """All of it as tensors and metadata; all processes call it."""
        tensors = {
            f"{group}:{name}": tensor for group, items in self._groups().items() for name, tensor in items.items()
        }
        document = {"model": self.document} if self.document else {}
        return tensors, {"counters": json.dumps(asdict(self.counters)), **document}

    def save(self, path: Path) -> None:
        """Write all of it to one file, whole or not at all; all processes call it and the first writes."""
        tensors, metadata = self.contents()
        if self.rng.world.first:
            write_tensors(path, tensors, metadata)

    def read_counters(self, path: Path) -> dict[str, dict[str, Tensor]]:
        """Set the counters from a file and return its tensors by owner, for :meth:`restore`.

        Raises:
            UserError: if it is damaged, or no state of this version.
        """
        tensors, metadata = read_tensors(path)
        try:
            counters = Counters(**json.loads(metadata["counters"]))
            # Each is a number of the sort that it begins with; the best figure begins with none.
            if not all(
                isinstance(value, float | int | None) if name == "best" else isinstance(value, type(begin) | int)
                for (name, value), begin in zip(asdict(counters).items(), asdict(Counters()).values(), strict=True)
            ):
                raise TypeError
        except (KeyError, TypeError, ValueError, RecursionError):
            raise UserError(f"{path} is not a training state of this version.") from None
        self.counters, self.document = counters, metadata.get("model", "")
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, _, name = key.partition(":")
            groups.setdefault(group, {})[name] = tensor
        return groups

    def restore(self, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put everything back; objective and optimisers of the current phase must have been made.

        Raises:
            UserError: if it is the state of another model, objective or optimiser.
        """
        where = "the training state"
        try:
            self._restore(groups, where)
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{where} does not fit the run: {error}.") from error

    def _restore(self, groups: Mapping[str, Mapping[str, Tensor]], where: str) -> None:
        load_module_tensors(self.model, groups["model"], where)
        if self.average is not None:
            load_module_tensors(self.average, groups["average"], where)
        for index, network in enumerate(self.networks):
            load_module_tensors(network, groups.get(f"objective/{index}", {}), where)
        device = next(self.model.parameters()).device
        self.best = {name: tensor.to(device) for name, tensor in groups.get("best", {}).items()}
        self.best_networks = {name: tensor.to(device) for name, tensor in groups.get("best_networks", {}).items()}
        # In the order of the players, as before: of terms with one name the last player's is shown.
        players = [f"{player}_objective" for player in self.optimizers]
        sums = groups.get("sums", {})
        self.sums = {key: sums[key] for key in sorted(sums, key=lambda key: players.index(key.partition("/")[0]))}
        if self.sums.keys() != groups.get("rows", {}).keys():
            raise ValueError("it was written inside an epoch by an older version, which can finish it")
        self.rows = {name: int(rows) for name, rows in groups.get("rows", {}).items()}
        for player, optimizer in self.optimizers.items():
            parameters = optimizer.param_groups[0]["params"]
            for key, tensor in groups.get(f"optimizer/{player}", {}).items():
                index, _, name = key.partition("/")
                parameter = parameters[int(index)]
                if tensor.shape not in ((), parameter.shape):
                    raise ValueError(f"{name} of a parameter {tuple(parameter.shape)} is {tuple(tensor.shape)}")
                kept = tensor.to(parameter.device)
                # Kernels that step all of it at once count on the layout of the parameter (channels last, say).
                optimizer.state[parameter][name] = torch.empty_like(parameter).copy_(kept) if kept.shape else kept
            optimizer.group_by_age()
            if len({frozenset(kept) for kept in optimizer.state.values() if kept}) > 1:
                raise ValueError(f"the parameters of the player {player} do not all have the same figures")
        self.rng.restore(groups["random"])
