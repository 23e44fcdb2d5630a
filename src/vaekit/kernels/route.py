"""Route of linear layers, measured once on a machine."""

from __future__ import annotations

import contextlib
import json
import os
import time
from enum import Enum
from pathlib import Path

import torch
import torch.nn.functional as F

from vaekit.cache import cache_folder, keeping
from vaekit.kernels import onednn
from vaekit.kernels.machine import machine

VARIABLE = "VAEKIT_LINEAR"
CLEARLY = 1.2  # so much faster must the other route be: it must not change with the weather
SHAPE = (128, 512, 512)


class Route(Enum):
    """How linear layers are computed on a processor."""

    TORCH = "torch"
    ONEDNN = "onednn"


_chosen: Route | None = None


def chosen() -> Route:
    """The route of this process: what :func:`use` said, else the variable VAEKIT_LINEAR, else the machine's table.

    A machine that is not in the table is measured (some 50 ms) and entered.
    """
    global _chosen
    if _chosen is None:
        _chosen = _from_outside() or _from_table() or _enter(measure()[0])
    return _chosen


def use(route: Route | None) -> None:
    """Take this route from now on; ``None`` to choose again."""
    global _chosen
    _chosen = Route.TORCH if route is Route.ONEDNN and not onednn.available() else route


@torch.inference_mode(False)
@torch.enable_grad()
def measure(rounds: int = 7) -> tuple[Route, dict[str, float]]:
    """The faster route for a layer forwards and backwards, and the best time of each in seconds, measured in turn."""
    if not onednn.available():
        return Route.TORCH, {}
    rows, inner, columns = SHAPE
    x, weight = torch.ones(rows, inner, requires_grad=True), torch.ones(columns, inner, requires_grad=True)
    routes = {
        Route.TORCH: lambda: F.linear(x, weight),
        Route.ONEDNN: lambda: onednn.linear(x, weight, None),
    }
    best = dict.fromkeys(routes, float("inf"))
    for _ in range(rounds):
        for route, compute in routes.items():
            started = time.perf_counter()
            compute().backward(torch.ones(rows, columns))
            best[route] = min(best[route], time.perf_counter() - started)
    faster = Route.ONEDNN if best[Route.ONEDNN] * CLEARLY < best[Route.TORCH] else Route.TORCH
    return faster, {route.value: seconds for route, seconds in best.items()}


def _from_outside() -> Route | None:
    said = os.environ.get(VARIABLE, "")
    if said not in {route.value for route in Route}:
        return None
    route = Route(said)
    return route if route is Route.TORCH or onednn.available() else Route.TORCH


def _table() -> Path:
    return cache_folder() / "kernels.json"


def _read() -> dict[str, str]:
    try:
        table = json.loads(_table().read_text())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _from_table() -> Route | None:
    said = _read().get(machine())
    known = {route.value: route for route in Route}
    route = known.get(said) if isinstance(said, str) else None
    return None if route is Route.ONEDNN and not onednn.available() else route


def _enter(route: Route) -> Route:
    """Write it down, if that can be done: the next process must come to the same."""
    with contextlib.suppress(OSError), keeping(_table()) as file:
        file.write(json.dumps(_read() | {machine(): route.value}, indent=2).encode())
    return route
