"""Flow priors, by zuko."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.errors import unknown
from vaekit.parts.record import part

KINDS = {"nsf": "NSF", "maf": "MAF"}


@part("prior/flow", paper="nsf: Durkan et al. 2019; maf: Papamakarios et al. 2017")
class Flow(nn.Module):
    """``p(z) = N(f(z); 0, I) |det ∂f/∂z|`` with autoregressive maps: an exact density; draws one dimension at a time.

    Args:
        latent_dim: length of z.
        kind: ``nsf``, rational-quadratic splines on [−5, 5] in each dimension; or ``maf``, affine maps.
        transforms: how many f one after the other, the order of the dimensions turned round between them.
        hidden: widths of the network of each.
        condition_dim: length of the condition, which every network sees; 0 without one.

    Raises:
        ValueError: if an option is out of range.

    >>> import vaekit as vk
    >>> p = vk.priors.Flow(3, kind="maf", transforms=2, hidden=(16,))()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    def __init__(
        self,
        latent_dim: int,
        kind: str = "nsf",
        transforms: int = 3,
        hidden: tuple[int, ...] = (64, 64),
        condition_dim: int = 0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise unknown("kind of flow", kind, KINDS)
        if transforms < 1 or not hidden or min(hidden) < 1:
            raise ValueError(f"transforms and hidden must be at least 1, got {transforms} and {hidden}")
        flow = getattr(zuko().flows, KINDS[kind])
        self.flow = flow(latent_dim, condition_dim, transforms=transforms, hidden_features=hidden)
        self.elements_per_draw = max(*hidden, MOST_NUMBERS * latent_dim)

    def forward(self, condition: Tensor | None = None) -> Distribution:
        return self.flow(condition)


MOST_NUMBERS = 23  # that one dimension needs of a network: a spline of eight bins has so many


def zuko() -> Any:
    """The library, loaded when it is first needed. It switches torch's checks of arguments off; they stay as they were.

    >>> from torch.distributions import Distribution
    >>> before = Distribution._validate_args
    >>> zuko().__name__, Distribution._validate_args == before
    ('zuko', True)
    """
    before = Distribution._validate_args  # type: ignore[attr-defined]
    try:
        import zuko as library
        import zuko.distributions
        import zuko.flows
        import zuko.nn
    finally:
        Distribution.set_default_validate_args(before)
    return library
