"""Features by which samples and rows are compared: values of x, or the encodings of a reference model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.dataset import column_order
from vaekit.data.kinds import Kind, Real
from vaekit.distributions.moments import centre
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.models.draw import bare, beside, named

AT_ONCE = 500  # samples drawn at once

Features = Callable[[Tensor], Tensor]  # from x (batch, *event) to (batch, features)


def values(x: Tensor) -> Tensor:
    """x itself as the model sees it (standardised, one-hot …), flattened."""
    return x.flatten(1)


class Encoded:
    """The mean of q(z|x) of a reference model, all latents side by side.

    Args:
        run: the run of the reference model (:class:`vaekit.training.Run`).
        kind: what the x are that it will be shown.
        shape: of an example.
        device: where they are.

    Raises:
        UserError: if its encoder is not one of such x, or needs a condition beside x.
    """

    def __init__(self, run: Any, kind: Kind, shape: tuple[int, ...], device: torch.device) -> None:
        document, theirs = run.config["data"], run.kind
        why = None
        if tuple(document["shape"]) != shape:
            why = f"it was made for examples of shape {tuple(document['shape'])}, and these are {shape}"
        elif type(theirs) is not type(kind):
            why = f"it was made for {theirs.describe()}, and these are {kind.describe()}"
        elif document.get("condition_dim", 0):
            why = "its encoder needs a condition beside x"
        elif "encode" not in run.model.abilities:
            why = "its model does not encode"
        if why:
            raise UserError(f"{run.folder} cannot give the features: {why}.")
        self.model = run.to(device).model
        self._order = column_order(kind.columns, theirs.columns, "the data")
        self._kinds = (kind, theirs) if isinstance(kind, Real) and kind != theirs else None

    def __call__(self, x: Tensor) -> Tensor:
        if self._kinds is not None:
            # What each model sees is standardised by its own training data.
            here, there = self._kinds
            stored = here.nearest(x)
            x = there.prepare(stored if self._order is None else stored[:, self._order])
        elif self._order is not None:
            x = x[:, self._order]
        return beside({name: mean.flatten(1) for name, mean in named(centre(self.model.encode(x))).items()})


class Compared(NamedTuple):
    """Features of both, each in random order.

    Attributes:
        rows: ``(rows, features)``.
        samples: ``(samples, features)``.
    """

    rows: Tensor
    samples: Tensor


def compared(model: Any, batches: Iterable[Batch], features: Features, count: int, *, mean: bool = False) -> Compared:
    """Features of rows, and of samples x ~ p(x|z) with z ~ p(z).

    A conditional model is given the conditions of the rows, each as often as the others and in random order.

    Args:
        model: that generates.
        batches: the rows.
        features: of x.
        count: how many samples.
        mean: take the mean of p(x|z) instead of a draw from it.

    Raises:
        UserError: if a feature is not finite.
    """
    rows, conditions, samples = Column(), Column(), Column()
    for batch in batches:
        rows.add(_where_wide(features(batch.x)))
        if batch.condition is not None:
            conditions.add(batch.condition)
    condition = conditions.value
    # One shuffle for the rows and another one for their conditions, so that samples do not stand beside their rows.
    order = torch.randperm(len(rows.value))
    turn = torch.randperm(len(condition)).to(condition.device) if len(condition) else None
    draw = getattr(model, "independent_latents", model.sample_latents)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        given = None
        if turn is not None:
            given = condition[turn[torch.arange(start, start + size, device=turn.device) % len(turn)]]
        p = model.decode(bare(draw(size, given)), given)
        samples.add(_where_wide(features(p.mean if mean else p.sample())))
    result = Compared(rows.value[order.to(rows.value.device)], samples.value)
    for name, value in result._asdict().items():
        if not value.isfinite().all():
            raise UserError(f"the {name} cannot be compared: their features are not all finite.")
    return result


def _where_wide(features: Tensor) -> Tensor:
    """Where there is double precision."""
    return features.cpu() if features.device.type == "mps" else features
