"""VampPrior: the variational mixture of posteriors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.data.batch import Batch
from vaekit.distributions.mixture import Chosen, Mixture
from vaekit.errors import UserError, unknown
from vaekit.parts.record import part

STARTS = ("data", "random")
WEIGHTS = ("uniform", "learned")


@part("prior/vamp", paper="Tomczak & Welling 2018, section 3")
class Vamp(nn.Module):
    """p(z) = Σ_k π_k q(z|u_k): a mixture of the posterior's own answers to learned pseudo-inputs u_k.

    The posterior is shared: a step of training moves it by way of the prior too. Under a condition it is
    p(z|c) = Σ_k π_k q(z|u_k, c) with the c of the row: the pseudo-inputs serve all conditions, and each condition that
    occurs in a batch costs the encoding of all of them once.

    Args:
        posterior: q(z|x), the model's own; of a chain its first level. It must have a density.
        shape: of x.
        num_components: K.
        start: ``data``, different training rows, when a training begins; or ``random``, N(mean, sd²).
        mean, sd: of the random start; by default the middle and a quarter of the range of the data, 0 and 1 without.
        learned: whether the pseudo-inputs are trained; with ``false`` they stay the rows they start from.
        weights: ``uniform``, π_k = 1/K, or ``learned``.
        low, high: the range of the data, in which pseudo-inputs are kept, if it has ends; known by the kind of data.

    Raises:
        ValueError: if an option is out of range or the posterior has no density.

    >>> import vaekit as vk
    >>> q = vk.posteriors.Diagonal(vk.networks.MLP(9), 2)
    >>> p = vk.priors.Vamp(q, (9,), num_components=5)()
    >>> p.log_prob(p.sample((3,))).shape
    torch.Size([3])
    """

    needs_density = True

    def __init__(
        self,
        posterior: nn.Module,
        shape: tuple[int, ...],
        num_components: int = 500,
        start: str = "data",
        mean: float | None = None,
        sd: float | None = None,
        learned: bool = True,
        weights: str = "uniform",
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, got {num_components}")
        if start not in STARTS:
            raise unknown("start", start, STARTS)
        if weights not in WEIGHTS:
            raise unknown("kind of weights", weights, WEIGHTS)
        if not getattr(posterior, "has_density", True):
            raise ValueError("it is a mixture of posteriors, and a posterior without a density (a point) makes none")
        if sd is not None and sd < 0:
            raise ValueError(f"sd must not be negative, got {sd}")
        if low is not None and high is not None and not low < high:
            raise ValueError(f"low must be below high, got {low} and {high}")
        middle, quarter = (0.0, 1.0) if low is None or high is None else ((low + high) / 2, (high - low) / 4)
        self.posterior = posterior
        self.start = start
        self.low, self.high = low, high
        self.elements_per_draw = num_components
        mean, sd = (middle if mean is None else mean), (quarter if sd is None else sd)
        inputs = mean + sd * torch.randn(num_components, *shape)
        self.inputs = nn.Parameter(inputs, requires_grad=learned)
        self.logits = nn.Parameter(torch.zeros(num_components), requires_grad=weights == "learned")

    @torch.no_grad()
    def initialize_from_data(self, model: nn.Module, rows: Callable[[int], Batch]) -> None:
        """Take the pseudo-inputs from the training rows, if that is how they start.

        Raises:
            UserError: if there are fewer rows than pseudo-inputs.
        """
        if self.start != "data":
            return
        x = rows(len(self.inputs)).x
        if len(x) < len(self.inputs):
            raise UserError(
                f"{len(self.inputs)} pseudo-inputs cannot start from {len(x)} training rows.",
                hint=f"ask for fewer (vamp:num_components={max(1, len(x) // 2)}), or vamp:start=random.",
            )
        self.inputs.copy_(x)

    def forward(self, condition: Tensor | None = None) -> Distribution:
        inputs = self._inputs_in_range()
        if condition is None:
            return Mixture(self.logits, self.posterior(inputs))
        distinct, which = condition.unique(dim=0, return_inverse=True)
        return Chosen(Mixture(self.logits, self.posterior(inputs, distinct.unsqueeze(-2))), which)

    def _inputs_in_range(self) -> Tensor:
        """The pseudo-inputs, put back into the range of the data if a step has led out of it.

        That is projected gradient descent. Clamped on the way to the encoder alone, what has left the range would have
        no gradient and never come back.
        """
        if self.low is not None or self.high is not None:
            # Not seen by autograd: a graph that was built on them before holds the same numbers still.
            self.inputs.data.clamp_(self.low, self.high)
        return self.inputs
