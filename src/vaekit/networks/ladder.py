"""Ladder: the deterministic top-down path that takes up a latent at every rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from vaekit.distributions.chain import cached_state
from vaekit.networks.network import Linear, checked_minimum, of_condition, positive
from vaekit.parts.record import part


class Place:
    """Where the path stands before a rung takes up its latent.

    Attributes:
        h: what the latents above have left, ``(*leading, *shape)``.
    """

    def __init__(self, h: Tensor, rung: nn.Module | None, minimum_scale: float) -> None:
        self.h = h
        self._rung, self._minimum = rung, minimum_scale

    @cached_property
    def _seen(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._rung is None:
            raise IndexError("the path has ended: there is no rung below the last latent")
        parameters, onward = self._rung.look(self.h)  # type: ignore[operator]
        loc, raw = parameters.unbind(-2)
        return loc, positive(raw, self._minimum), onward

    @property
    def prior(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(z_l|z_>l)."""
        return self._seen[:2]

    @property
    def onward(self) -> Tensor:
        """h as it goes on, before the latent is added."""
        return self._seen[2]


@part("network/ladder", paper="Sønderby et al. 2016; Child 2021")
class Ladder(nn.Module):
    """h_l = f_l(h_{l+1}, z_l) from a trained start; p(z_l|z_>l) is a Gaussian that h_l gives.

    Prior, posterior and likelihood hold the same ladder, and on one draw the path is gone along once, whoever asks.
    As a network it reads the dict of latents and ends in what the last rung leaves.

    Args:
        rungs: from the top; a rung has ``shape``, ``enter(h)``, ``look(h)``, ``take(onward, z)``,
            ``gaussian_head(inputs)`` and ``head(out_shape)``, see :mod:`vaekit.networks.dense_ladder`.
        condition_dim: length of the condition, 0 without one; it is added to the start.
        minimum_scale: smallest σ of p(z_l|z_>l).

    >>> import torch, vaekit as vk
    >>> ladder = vk.networks.Ladder([vk.networks.DenseRung(2, width=8), vk.networks.DenseRung(3, width=8)])
    >>> ladder.names
    ('z2', 'z1')
    >>> ladder({"z2": torch.zeros(5, 2), "z1": torch.zeros(5, 3)}).shape
    torch.Size([5, 8])
    """

    def __init__(self, rungs: Sequence[nn.Module], condition_dim: int = 0, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        if not rungs:
            raise ValueError("a ladder needs at least one rung")
        self.rungs = nn.ModuleList(rungs)
        self.names = tuple(f"z{number}" for number in range(len(rungs), 0, -1))
        shape: tuple[int, ...] = rungs[0].shape  # type: ignore[assignment]
        self.start = nn.Parameter(torch.zeros(shape))
        self.first_condition = Linear(condition_dim, shape[0], bias=False) if condition_dim else None
        self.minimum_scale = checked_minimum(minimum_scale)

    def place(self, latents: Mapping[str, Tensor], condition: Tensor | None = None) -> Place:
        """Where the path stands after the latents that are there."""

        def start() -> Place:
            h = self.start
            added = of_condition(self.first_condition, condition)
            if added is not None:
                h = h + added.reshape(*added.shape, *[1] * (h.dim() - 1))
            return self._arrive(0, h)

        def step(index: int, place: Place, z: Tensor) -> Place:
            return self._arrive(index + 1, self.rungs[index].take(place.onward, z))  # type: ignore[operator]

        return cached_state(latents, self.names, (self, id(condition)), start, step)

    def _arrive(self, index: int, h: Tensor) -> Place:
        rung = self.rungs[index] if index < len(self.rungs) else None
        return Place(h if rung is None else rung.enter(h), rung, self.minimum_scale)  # type: ignore[operator]

    def forward(self, z: Tensor | Mapping[str, Tensor], condition: Tensor | None = None) -> Tensor:
        """What the last rung leaves; a single latent may come without its name."""
        return self.place(z if isinstance(z, Mapping) else {self.names[0]: z}, condition).h

    def head(self, out_shape: tuple[int, ...]) -> nn.Module:
        return self.rungs[-1].head(out_shape)  # type: ignore[operator]
