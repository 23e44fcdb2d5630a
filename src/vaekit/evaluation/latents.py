"""Encodings of all rows, active units, and latents read from files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Batch
from vaekit.data.formats.content import decoding, unreadable
from vaekit.data.formats.numpy import check_npy, check_npz
from vaekit.distributions.chain import LatentCache, levels
from vaekit.distributions.moments import moments
from vaekit.errors import UserError
from vaekit.evaluation.collect import Column
from vaekit.evaluation.likelihood import evaluating
from vaekit.models.draw import encoded

ACTIVE_ABOVE = 0.01


class Encoding(NamedTuple):
    """q(z|x) of every row by its mean and standard deviation, each ``(examples, *latent)``."""

    mean: Tensor
    scale: Tensor
    discrete: bool = False


def encodings(
    model: Any, batches: Iterable[Batch], seed: int = 0, progress: Callable[[int], None] = lambda rows: None
) -> dict[str, Encoding]:
    """Mean and standard deviation of q(z|x) of every row, by latent, on the CPU.

    A latent below another is taken given the means of those before it.

    Args:
        model: anything that encodes.
        batches: the data.
        seed: of a dynamic binarisation.
        progress: told the number of rows finished with each batch.
    """
    columns: dict[str, tuple[Column, Column]] = {}
    discrete: dict[str, bool] = {}
    with evaluating(model, seed):
        for batch in batches:
            before = LatentCache()
            for name, conditional in levels(encoded(model, batch)).items():
                q = conditional(before)
                before[name], scale = moments(q)
                discrete[name] = bool(getattr(q.support, "is_discrete", False))
                pair = columns.setdefault(name, (Column(), Column()))
                for column, rows in zip(pair, (before[name], scale), strict=True):
                    column.add(rows.cpu())
            progress(len(batch.x))
    return {name: Encoding(mean.value, scale.value, discrete[name]) for name, (mean, scale) in columns.items()}


def active_units(latents: dict[str, Encoding]) -> dict[str, int]:
    """Units of each continuous latent whose posterior mean varies by over 0.01 (Burda et al. 2016, section 5.2)."""
    return {
        name: int((encoding.mean.var(0) > ACTIVE_ABOVE).sum())
        for name, encoding in latents.items()
        if not encoding.discrete
    }


def read_latents(
    path: Path, model: Any, device: torch.device | str = "cpu", condition: Tensor | None = None
) -> dict[str, Tensor]:
    """Latents from a file, by name, in the shapes that the model's prior draws.

    Args:
        path: a ``.npz`` with ``NAME_mean`` (as ``vaekit encode`` writes it) or ``NAME`` for every latent, or a
            ``.npy`` with all of them side by side.
        model: whose latents they are.
        device: where they are wanted.
        condition: of any row, ``(1, condition_dim)``, if the prior looks at one.

    Raises:
        UserError: if the file cannot be read or does not hold the latents of the model.
    """
    return latents_of(_content(path), path, model, device, condition)


def latents_of(
    content: Any, where: object, model: Any, device: torch.device | str = "cpu", condition: Tensor | None = None
) -> dict[str, Tensor]:
    """Latents of a model from arrays, by name, in the shapes that its prior draws.

    Args:
        content: all latents side by side ``(rows, units)``, or a map with ``NAME_mean`` or ``NAME`` of every latent.
        where: what error messages call it.
        model: whose latents they are.
        device: where they are wanted.
        condition: of any row, ``(1, condition_dim)``, if the prior looks at one.

    Raises:
        UserError: if they are no latents of the model.
    """
    if isinstance(content, Mapping):
        content = {name: _numpy(value) for name, value in content.items()}
    else:
        content = _numpy(content)
    shapes = {name: value.shape[1:] for name, value in model.sample_latents(1, condition).items()}
    if isinstance(content, np.ndarray):
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
        if content.ndim < 2 or math.prod(content.shape[1:]) != ends[-1]:
            raise UserError(
                f"{where} has rows of shape {content.shape[1:]}; the model has {ends[-1]} latents side by side."
            )
        pieces = np.split(content.reshape(len(content), ends[-1]), ends[:-1], axis=1)
        arrays = dict(zip(shapes, pieces, strict=True))
    else:
        arrays = {name: content[key] for name in shapes for key in (f"{name}_mean", name) if key in content}
        if missing := shapes.keys() - arrays.keys():
            raise UserError(f"{where} does not hold the latent {sorted(missing)[0]}; it holds {', '.join(content)}.")
    latents = {}
    for name, shape in shapes.items():
        if math.prod(arrays[name].shape[1:]) != math.prod(shape):
            raise UserError(
                f"the latent {name} in {where} has rows of shape {arrays[name].shape[1:]}, not {tuple(shape)}."
            )
        if not arrays[name].size:
            raise UserError(f"{where} has no rows of the latent {name}.")
        if arrays[name].dtype.kind not in "buif":
            raise UserError(f"the latent {name} in {where} holds no numbers, but values of type {arrays[name].dtype}.")
        values = torch.from_numpy(arrays[name].astype(np.float64)).to(device, torch.get_default_dtype())
        if not bool(values.isfinite().all()):
            raise UserError(f"the latent {name} in {where} holds values that are not finite.")
        latents[name] = values.reshape(-1, *shape)
    if len(counts := {len(values) for values in latents.values()}) > 1:
        said = ", ".join(map(str, sorted(counts)))
        raise UserError(f"the latents in {where} differ in their number of rows: {said}.")
    return latents


def _numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def read_labels(path: Path) -> np.ndarray | None:
    """The labels ``(examples,)`` that ``vaekit encode`` writes beside latents, as they stand in the data, if there are.

    Raises:
        UserError: if the file cannot be read.
    """
    content = _content(path)
    return content["label"] if not isinstance(content, np.ndarray) and "label" in content else None


def _content(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """Content of a file of latents.

    Raises:
        UserError: if the file cannot be read.
    """
    ending = path.suffix.lower()
    if ending not in (".npy", ".npz"):
        raise UserError(f"{path} must end in .npy or .npz: latents as vaekit encode writes them.")
    try:
        (check_npy if ending == ".npy" else check_npz)(path)
        with decoding(path):
            content = np.load(path, allow_pickle=False)
            return content if ending == ".npy" else dict(content)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except OSError as error:
        raise unreadable(path, error) from None
