"""Discretised logistic distributions and their mixtures: likelihoods of grey levels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, constraints
from torch.nn.functional import log_softmax, logsigmoid, softplus

NEAR = 16  # terms of a mean that are summed


def checked_levels(levels: int) -> int:
    """Number of grey levels, if there can be so many.

    Raises:
        ValueError: if there are fewer than two.
    """
    if levels < 2:
        raise ValueError(f"levels must be at least 2, got {levels}")
    return levels


def every_level(levels: int, like: Tensor) -> Tensor:
    """The numbers k/(levels − 1), ``(levels,)``, of the type and on the device of ``like``."""
    return torch.arange(levels, dtype=like.dtype, device=like.device) / (levels - 1)


def log_sigmoid_difference(upper: Tensor, lower: Tensor, width: Tensor) -> Tensor:
    """log(σ(b) − σ(a)) for b = a + width, exact where the difference of the sigmoids underflows.

    It is log σ(b) + log σ(−a) + log(1 − e^(a − b)).
    """
    return logsigmoid(upper) - softplus(lower) + torch.log(-torch.expm1(-width))


def discretized_mean(loc: Tensor, scale: Tensor, levels: int) -> Tensor:
    """The mean of a :class:`DiscretizedLogistic`, Σ_k P(x > k/(levels − 1))/(levels − 1) for k = 0 … levels − 2.

    Exact for 17 levels or fewer. Of more, it sums the 16 terms nearest to the location and integrates over the others,
    which are smooth there: within a hundredth of a level.
    """
    steps = levels - 1
    near = min(NEAR, steps)
    first = (torch.round(loc * steps) - near // 2).clamp(0, steps - near)
    terms = sum(torch.sigmoid((loc - (first + k + 0.5) / steps) / scale) for k in range(near))
    start, stop = first / steps, (first + near) / steps
    return terms / steps + _survival_area(loc, scale, 0, start) + _survival_area(loc, scale, stop, 1)


def _survival_area(loc: Tensor, scale: Tensor, start: Tensor | float, stop: Tensor | float) -> Tensor:
    """∫ P(X > t) dt from start to stop for a logistic variable X: s [ζ((μ − a)/s) − ζ((μ − b)/s)], ζ = softplus."""
    return scale * (softplus((loc - start) / scale) - softplus((loc - stop) / scale))


class Levels(constraints.Constraint):
    """The numbers k/(levels − 1), k = 0 … levels − 1, to the rounding of float32."""

    is_discrete = True

    def __init__(self, levels: int) -> None:
        self.levels = levels
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        steps = value * (self.levels - 1)
        near = (steps - steps.round()).abs() < 1e-6 * max(1000, self.levels)
        return near & (value > -1e-6) & (value < 1 + 1e-6)

    def __repr__(self) -> str:
        return f"{self.levels} levels from 0 to 1"


class DiscretizedLogistic(Distribution):
    """Mass of a logistic density in bins of width 1/(levels − 1) around k/(levels − 1), k = 0 … levels − 1.

    P(x) = σ((x + h − μ)/s) − σ((x − h − μ)/s) with h half a bin; the first and the last bin take the
    tails, so that the levels' probabilities sum to one (Kingma et al. 2016, appendix; Salimans et
    al. 2017, equation 2).

    Args:
        loc: μ on the scale of the data in [0, 1], shape ``(*batch,)``.
        scale: s > 0, same shape.
        levels: number of levels.
    """

    arg_constraints = {}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(self, loc: Tensor, scale: Tensor, levels: int = 256) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        self.levels = levels
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> DiscretizedLogistic:
        return DiscretizedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.levels)

    @property
    def support(self) -> Levels:  # type: ignore[override]
        return Levels(self.levels)

    @property
    def mean(self) -> Tensor:
        """By :func:`discretized_mean`."""
        return discretized_mean(self.loc, self.scale, self.levels)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = every_level(self.levels, self.loc).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values

    def log_prob(self, value: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        upper = (value - self.loc + half) / self.scale
        lower = (value - self.loc - half) / self.scale
        middle = log_sigmoid_difference(upper, lower, 2 * half / self.scale)
        # Nearest level by rounding, so that x = k/(levels − 1) in float32 meets its own bin.
        level = torch.round(value * (self.levels - 1))
        first = logsigmoid(upper)
        last = -softplus(lower)
        return torch.where(level <= 0, first, torch.where(level >= self.levels - 1, last, middle))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            uniform = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device).clamp(1e-7, 1 - 1e-7)
            value = self.loc + self.scale * (uniform.log() - torch.log1p(-uniform))
            return torch.round(value.clamp(0, 1) * (self.levels - 1)) / (self.levels - 1)


class LogisticMixture(Distribution):
    """P(x) = Σ_k π_k DiscretizedLogistic(x; μ_k, s_k), components on the last axis (Salimans et al. 2017, equation 1).

    Args:
        logits: log π up to a constant, ``(*batch, components)``.
        loc: μ on the scale of the data in [0, 1], same shape.
        scale: s > 0, same shape.
        levels: number of levels.
    """

    arg_constraints = {}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, levels: int = 256) -> None:
        self.log_weight = log_softmax(logits, dim=-1)
        self.components = DiscretizedLogistic(loc, scale, levels)
        self.levels = levels
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def support(self) -> Levels:  # type: ignore[override]
        return Levels(self.levels)

    @property
    def mean(self) -> Tensor:
        """Of the means of the components (:func:`discretized_mean`)."""
        return (self.log_weight.exp() * self.components.mean).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = every_level(self.levels, self.log_weight).reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.logsumexp(self.log_weight + self.components.log_prob(value.unsqueeze(-1)), dim=-1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            return _chosen(self.log_weight, self.components.sample(sample_shape), sample_shape)


class ChannelMixture(Distribution):
    """P(x_1, …, x_C) = Σ_k π_k Π_c DiscretizedLogistic(x_c; μ_kc + Σ_{j<c} r_kcj (x_j − ½), s_kc).

    The channels of one place, channels first: they share the component, and each one's location moves with
    the channels before it (Salimans et al. 2017, section 2.2, where data lie in [−1, 1] and ½ is 0).

    Args:
        logits: log π up to a constant, ``(*batch, *places, components)``.
        loc: μ, ``(*batch, channels, *places, components)``.
        scale: s > 0, same shape.
        coefficients: r for c and j < c in the order (1, 0), (2, 0), (2, 1) …, on the axis of the channels.
        levels: number of levels.
        place_dims: number of axes of places.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, coefficients: Tensor, levels: int, place_dims: int = 2
    ) -> None:
        self.log_weight = log_softmax(logits, dim=-1)
        self.axis = -place_dims - 2
        self.loc, self.scale, self.coefficients = (
            tensor.movedim(self.axis, 0) for tensor in (loc, scale, coefficients)
        )
        self.levels = levels
        self.place_dims = place_dims
        event = (len(self.loc), *logits.shape[logits.dim() - 1 - place_dims : -1])
        super().__init__(logits.shape[: logits.dim() - 1 - place_dims], torch.Size(event), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        return constraints.independent(Levels(self.levels), len(self._event_shape))

    def _moved(self, channel: int, before: list[Tensor]) -> Tensor:
        """The locations of a channel given those before it, each ``(*leading, *places, components)``."""
        first = channel * (channel - 1) // 2
        shift = sum(r * (x - 0.5) for r, x in zip(self.coefficients[first:], before, strict=False))
        return self.loc[channel] + shift

    @property
    def mean(self) -> Tensor:
        """Of each component: each channel at its mean given the means of those before it (not the exact mean)."""
        means: list[Tensor] = []
        for channel in range(len(self.loc)):
            means.append(discretized_mean(self._moved(channel, means), self.scale[channel], self.levels))
        return (self.log_weight.exp() * torch.stack(means)).sum(-1).movedim(0, self.axis + 1)

    def log_prob(self, value: Tensor) -> Tensor:
        channels = list(value.movedim(self.axis + 1, 0).unsqueeze(-1))
        log_p = self.log_weight
        for channel, x in enumerate(channels):
            logistic = DiscretizedLogistic(self._moved(channel, channels[:channel]), self.scale[channel], self.levels)
            log_p = log_p + logistic.log_prob(x)
        return torch.logsumexp(log_p, dim=-1).flatten(-self.place_dims).sum(-1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        with torch.no_grad():
            drawn: list[Tensor] = []
            for channel in range(len(self.loc)):
                loc = self._moved(channel, drawn).expand(*sample_shape, *self.loc[channel].shape)
                drawn.append(DiscretizedLogistic(loc, self.scale[channel], self.levels).sample())
            # Drawn for every component, and one of them kept: the same for all channels of a place.
            return _chosen(self.log_weight, torch.stack(drawn), sample_shape).movedim(0, self.axis + 1)


def _chosen(log_weight: Tensor, values: Tensor, sample_shape: torch.Size) -> Tensor:
    """One component by its weight, of ``values`` ``(*more, *sample_shape, *batch, components)`` on the last axis."""
    component = Categorical(logits=log_weight, validate_args=False).sample(sample_shape).unsqueeze(-1)
    return values.gather(-1, component.expand(*values.shape[:-1], 1)).squeeze(-1)
