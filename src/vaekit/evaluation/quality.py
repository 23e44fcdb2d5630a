"""Sample quality: Fréchet and kernel distance between the features of samples and of rows, and all figures of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vaekit.errors import UserError
from vaekit.evaluation.context import EvaluationContext, Line
from vaekit.evaluation.features import Encoded, Features, compared, values
from vaekit.evaluation.likelihood import evaluating
from vaekit.evaluation.neighbours import neighbourhoods
from vaekit.parts.record import part

AT_ONCE = 1 << 20  # numbers in double precision
BLOCK = 1000  # rows, at most, of a block of the kernel distance (Bińkowski et al. 2018)
BLOCKS = 10  # at least, so that their spread tells an error
MOST_FEATURES = 4096  # a covariance has their square


class Moments(NamedTuple):
    """Of rows of features, in float64.

    Attributes:
        mean: ``(features,)``.
        covariance: ``(features, features)``, the sum of squares divided by rows − 1.
    """

    mean: Tensor
    covariance: Tensor


def moments(features: Tensor, at_once: int = AT_ONCE) -> Moments:
    """Mean and covariance in one pass, chunk by chunk.

    With S the sums of squares about the mean of a chunk, S = S_a + S_b + (m_b − m_a)(m_b − m_a)ᵀ n_a n_b / (n_a + n_b):
    a mean that is large beside the spread costs no digits.

    Args:
        features: ``(rows, features)``, two rows or more.
        at_once: numbers that are taken in double precision at a time.
    """
    rows, dims = features.shape
    mean = features.new_zeros(dims, dtype=torch.float64)
    squares = features.new_zeros(dims, dims, dtype=torch.float64)
    seen = 0
    for chunk in features.split(max(1, at_once // dims)):
        wide = chunk.double()
        here = wide.mean(0)
        apart = here - mean
        wide = wide - here
        squares.addmm_(wide.T, wide)
        squares.addr_(apart, apart, alpha=seen * len(chunk) / (seen + len(chunk)))
        seen += len(chunk)
        mean += apart * (len(chunk) / seen)
    return Moments(mean, squares / (rows - 1))


def frechet_distance(a: Moments, b: Moments) -> float:
    """‖m_a − m_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½): W₂² of two Gaussians (Heusel et al. 2017, equation 6).

    For any factors Σ = S Sᵀ the trace of the last root is the sum of the singular values of S_aᵀ S_b. The factors are
    symmetric eigenvectors times √λ, without the directions in which nothing varies: covariances may be singular.
    """
    within = a.covariance.trace() + b.covariance.trace()
    cross = torch.linalg.svdvals(_factor(a.covariance).T @ _factor(b.covariance)).sum()
    # What is 0 may come out below it by rounding.
    return ((a.mean - b.mean).square().sum() + within - 2 * cross).clamp_min(0).item()


def _factor(covariance: Tensor) -> Tensor:
    """S with S Sᵀ = Σ, ``(features, rank)``."""
    values, vectors = torch.linalg.eigh(covariance)
    there = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, there] * values[there].sqrt()


class KernelDistance(NamedTuple):
    """
    Attributes:
        value: MMD², the mean over blocks; it has no bias and may be negative.
        error: its standard error over the blocks; ``None`` of a single one.
    """

    value: float
    error: float | None


def kernel_distance(rows: Tensor, samples: Tensor, at_once: int = AT_ONCE) -> KernelDistance:
    """MMD² for k(x, y) = (xᵀy / features + 1)³, of Inception features called KID (Bińkowski et al. 2018, section 4).

    Rows and samples are cut into as many blocks, at least 10 where there are enough, of at most 1,000 of the fewer of
    the two. In a block Σ_{i≠j} k(x_i, x_j) / m(m − 1) + Σ_{i≠j} k(y_i, y_j) / n(n − 1) − 2 Σ_ij k(x_i, y_j) / mn.

    Args:
        rows, samples: ``(m, features)`` and ``(n, features)`` in random order, two or more of each.
        at_once: values of the kernel that are computed at a time.
    """
    fewer = min(len(rows), len(samples))
    blocks = min(max(BLOCKS, math.ceil(fewer / BLOCK)), fewer // 2)
    each = []
    for x, y in zip(rows.tensor_split(blocks), samples.tensor_split(blocks), strict=True):
        within = _mean_kernel(x, x, at_once, apart=True) + _mean_kernel(y, y, at_once, apart=True)
        each.append(within - 2 * _mean_kernel(x, y, at_once))
    values = torch.stack(each)
    return KernelDistance(values.mean().item(), (values.std() / blocks**0.5).item() if blocks > 1 else None)


def _mean_kernel(x: Tensor, y: Tensor, at_once: int, apart: bool = False) -> Tensor:
    """The mean of k(x_i, y_j) over all pairs; ``apart``: y is x, and only pairs of two different rows count."""
    dims = x.shape[1]
    total = x.new_zeros((), dtype=torch.float64)
    y = y.double()
    for some in x.split(max(1, at_once // max(len(y), dims))):
        wide = some.double()
        total += (wide @ y.T / dims + 1).pow(3).sum()
        if apart:
            total -= (wide.square().sum(1) / dims + 1).pow(3).sum()
    return total / (len(x) * (len(y) - apart))


@part(
    "estimator/quality",
    paper="Heusel et al. 2017; Bińkowski et al. 2018; Kynkäänniemi et al. 2019; Naeem et al. 2020",
)
@dataclass(frozen=True)
class SampleQuality:
    """How well samples match rows: Fréchet and kernel distance, precision, recall, density, coverage.

    Args:
        samples: of the model.
        features: what is compared: ``values`` of x, or a run folder: the means of q(z|x) of its encoder.
        neighbours: k of precision, recall, density and coverage.
        mean: compare means of p(x|z), as papers show them, instead of draws, which are the model's distribution.
    """

    samples: int = 10_000
    features: str = "values"
    neighbours: int = 5
    mean: bool = False

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}")
        if self.samples < self.neighbours + 2:
            raise ValueError(f"samples must be at least neighbours + 2 = {self.neighbours + 2}, got {self.samples}")

    def not_applicable(self, context: EvaluationContext) -> str | None:
        if "sample" not in context.model.abilities:
            return "the model draws no samples"
        if context.rows.mask is not None:
            return "rows have missing cells"
        if (rows := context.loader.rows_in_order) < self.neighbours + 2:
            return f"it needs {self.neighbours + 2} rows or more, and there are {rows}"
        with evaluating(context.model, context.seed):
            some = self._features(context)(context.loader.rows(torch.arange(2)).x)
        if some.shape[1] > MOST_FEATURES:
            return (
                f"{self._named(some.shape[1])} are more than the {MOST_FEATURES:,} whose covariance is affordable; "
                "give a run folder as features=, whose encoder has fewer latents"
            )
        return None

    def work(self, rows: int) -> int:
        return rows

    def __call__(self, context: EvaluationContext) -> dict[str, Any]:
        with evaluating(context.model, context.seed):
            features = self._features(context)
            rows, samples = compared(context.model, context.loader, features, self.samples, mean=self.mean)
            kernel = kernel_distance(rows, samples)
            near = neighbourhoods(rows, samples, self.neighbours, progress=context.progress)
            return {
                "quality_frechet": frechet_distance(moments(rows), moments(samples)),
                "quality_kernel": kernel.value,
                "quality_kernel_standard_error": kernel.error,
                "quality_precision": near.precision,
                "quality_recall": near.recall,
                "quality_density": near.density,
                "quality_coverage": near.coverage,
                "quality_features": self.features,
                "quality_dimensions": rows.shape[1],
                "quality_neighbours": self.neighbours,
                "quality_samples": self.samples,
                "quality_samples_are": "means of p(x|z)" if self.mean else "draws of p(x|z)",
                "quality_examples": len(rows),
            }

    def lines(self, figures: dict[str, Any]) -> list[Line]:
        k = self.neighbours
        what = (
            f"squared, of {self._named(figures['quality_dimensions'])}; {figures['quality_examples']:,} examples, "
            f"{self.samples:,} {figures['quality_samples_are']}"
            f"{', from which even the true model is apart' * self.mean}; "
            "to be compared only where all of this is the same, and with no FID of Inception features"
        )
        error = figures["quality_kernel_standard_error"]
        kernel = f"{figures['quality_kernel']:.4g}" + ("" if error is None else f" ± {error:.2g}")
        shares = {
            "precision": f"of the samples, the share among rows: as near to one as its {k} nearest rows are",
            "recall": f"of the rows, the share among samples: as near to one as its {k} nearest samples are",
            "density": f"how many rows a sample is so near to, divided by {k}; it may exceed 1",
            "coverage": "of the rows, the share with a sample so near to it",
        }
        return [
            ("Fréchet dist.", f"{figures['quality_frechet']:.4g}", what),
            ("kernel dist.", kernel, "MMD² of the same features, cubic kernel, without bias: 0 where nothing differs"),
            *((name, f"{figures[f'quality_{name}']:.4f}", share) for name, share in shares.items()),
        ]

    def _features(self, context: EvaluationContext) -> Features:
        if self.features == "values":
            return values
        if context.open_run is None:
            raise UserError(
                f"the run folder {self.features} cannot be opened from here: ask by Run.evaluate, "
                "or give open_run=vaekit.load."
            )
        try:
            run = context.open_run(self.features)
        except UserError as error:
            raise UserError(
                f"the features '{self.features}' cannot be had: {error.message}",
                hint="features=values compares the values themselves, features=RUN the encodings of a run folder.",
            ) from error
        rows = context.rows.x
        return Encoded(run, context.kind, context.kind.event_shape(rows.shape[1:]), context.loader.device)

    def _named(self, dimensions: int) -> str:
        what = "values" if self.features == "values" else f"latents of the encoder of {self.features}"
        return f"{dimensions:,} {what}"
