"""Latent traversals: one unit moved alone, the others at the posterior mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.distributions.moments import centre
from vaekit.evaluation.latents import Encoding
from vaekit.evaluation.likelihood import evaluating
from vaekit.models.draw import encoded


class Unit(NamedTuple):
    """One number of one latent.

    Attributes:
        latent: the name of the latent.
        index: which number of it.
        weight: how much it is used, by which units are ordered.
    """

    latent: str
    index: int
    weight: float


class Ranking(NamedTuple):
    """Units, the one that is used most first.

    Attributes:
        units: in that order.
        by: what the weight is: ``KL in nats``, or ``variance of its mean`` where no KL splits into units.
    """

    units: list[Unit]
    by: str

    def name(self, unit: Unit) -> str:
        """A unit as a person would name it, with its weight."""
        number = f"{unit.weight:.2f}" if unit.weight >= 0.005 or unit.weight == 0 else f"{unit.weight:.0e}"
        return f"{unit.latent}[{unit.index}]  {number}"


def rank_units(latents: Mapping[str, Encoding], kl: Mapping[str, Sequence[float]]) -> Ranking:
    """The units of all continuous latents that are vectors, ordered by KL, or by the variance of the posterior mean.

    A single number of a grid of codes or of a one-hot label has no meaning of its own and is left out.

    Args:
        latents: as of :func:`~vaekit.evaluation.latents.encodings`.
        kl: by latent, the mean KL of each unit, where it splits; may be empty.
    """
    weights = {name: list(values) for name, values in kl.items()}
    by = "KL in nats"
    if not weights:
        by = "variance of its mean"
        weights = {
            name: encoding.mean.var(0, correction=0).tolist()
            for name, encoding in latents.items()
            if not encoding.discrete and encoding.mean.ndim == 2
        }
    units = [Unit(name, index, value) for name, values in weights.items() for index, value in enumerate(values)]
    return Ranking(sorted(units, key=lambda unit: -unit.weight), by)


def traverse(model: Any, batch: Batch, units: Sequence[Unit], values: Tensor, *, seed: int = 0) -> Tensor:
    """The mean of p(x|z) along each unit, all other numbers of all latents at the posterior mean of one example.

    Args:
        model: anything that encodes and decodes.
        batch: one example, x of shape ``(1, *event)``.
        units: which units.
        values: ``(steps,)``, where the unit is put, on the scale of the latent.
        seed: of anything that is drawn.

    Returns:
        ``(units, steps, *event)``.
    """
    with evaluating(model, seed):
        mean = centre(encoded(model, batch))
        paths = [moved(mean, unit, values) for unit in units]
        steps = len(values)
        condition = None if batch.condition is None else batch.condition.expand(steps, *batch.condition.shape[1:])
        return torch.stack([model.decode(path, condition).mean for path in paths])


def moved(mean: Tensor | dict[str, Tensor], unit: Unit, values: Tensor) -> Tensor | dict[str, Tensor]:
    """The latents of one example, once for each value that ``unit`` takes.

    Args:
        mean: ``(1, *latent)``, or several by name.
        unit: which number is moved.
        values: ``(steps,)``.

    Returns:
        ``(steps, *latent)``, or several by name.
    """
    latents = mean if isinstance(mean, dict) else {"z": mean}
    repeated = {name: value.expand(len(values), *value.shape[1:]).clone() for name, value in latents.items()}
    repeated[unit.latent].flatten(1)[:, unit.index] = values.to(repeated[unit.latent])
    return repeated if isinstance(mean, dict) else repeated["z"]
