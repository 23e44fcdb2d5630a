"""Top-down posteriors of a ladder: both see the example from below and the latents from above."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.distributions.chain import Chain, LatentCache
from vaekit.networks.ladder import Place
from vaekit.networks.network import checked_minimum, positive
from vaekit.networks.plain import as_encoder
from vaekit.parts.record import part

Parameters = tuple[Tensor, Tensor]


@part("posterior/ladder", paper="Child 2021; Kingma et al. 2016")
class Ladder(nn.Module):
    """``q(z_l|x, z_>l) = N(μ, diag σ²)``, both from a block that reads h_l of the path and d_l(x).

    Args:
        encoder: ``encoder(x, condition)`` gives features d_l for every level, from the top.
        ladder: the path; share it with prior and likelihood.
        minimum_scale: smallest σ.

    >>> import torch, vaekit as vk
    >>> ladder = vk.networks.Ladder([vk.networks.DenseRung(2, width=8), vk.networks.DenseRung(3, width=8)])
    >>> q = vk.posteriors.Ladder(vk.networks.DenseBottomUp(9, num_levels=2, width=8), ladder)(torch.zeros(5, 9))
    >>> q.rsample((4,))["z1"].shape
    torch.Size([4, 5, 3])
    """

    has_density = True

    def __init__(self, encoder: nn.Module, ladder: nn.Module, minimum_scale: float = 1e-4) -> None:
        super().__init__()
        self.encoder, self.ladder = as_encoder(encoder, self), ladder
        self.heads = nn.ModuleList(rung.gaussian_head(2) for rung in ladder.rungs)  # type: ignore[union-attr]
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Chain:
        def parameters(head: nn.Module, d: Tensor, place: Place) -> Parameters:
            loc, raw = head(place.h, d).unbind(-2)
            return loc, positive(raw, self.minimum_scale)

        return _from_the_top(self, x, condition, observed, parameters)


@part("posterior/precision-weighted", paper="Sønderby et al. 2016, section 2")
class PrecisionWeighted(nn.Module):
    """``q(z_l|x, z_>l) ∝ N(z_l; μ̂(x), σ̂²(x)) p(z_l|z_>l)``: what x says, weighed with the prior by their precisions.

    σ² = 1 / (1/σ̂² + 1/σ_p²), μ = σ² (μ̂/σ̂² + μ_p/σ_p²).

    Args:
        encoder: ``encoder(x, condition)`` gives features d_l for every level, from the top.
        ladder: the path; share it with prior and likelihood.
        minimum_scale: smallest σ̂.
    """

    has_density = True

    def __init__(self, encoder: nn.Module, ladder: nn.Module, minimum_scale: float = 1e-3) -> None:
        super().__init__()
        self.encoder, self.ladder = as_encoder(encoder, self), ladder
        self.heads = nn.ModuleList(rung.gaussian_head(1) for rung in ladder.rungs)  # type: ignore[union-attr]
        self.minimum_scale = checked_minimum(minimum_scale)

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Chain:
        def parameters(head: nn.Module, d: Tensor, place: Place) -> Parameters:
            loc, raw = head(d).unbind(-2)
            precision = positive(raw, self.minimum_scale) ** -2
            prior_loc, prior_scale = place.prior
            prior_precision = prior_scale**-2
            variance = 1 / (precision + prior_precision)
            return variance * (precision * loc + prior_precision * prior_loc), variance.sqrt()

        return _from_the_top(self, x, condition, observed, parameters)


def _from_the_top(
    posterior: nn.Module,
    x: Tensor,
    condition: Tensor | None,
    observed: dict[str, Tensor],
    parameters: Callable[[nn.Module, Tensor, Place], Parameters],
) -> Chain:
    ladder, features = posterior.ladder, posterior.encoder(x, condition, **observed)  # type: ignore[operator]

    def level(head: nn.Module, d: Tensor):
        def distribution(before: LatentCache) -> Independent:
            loc, scale = parameters(head, d, ladder.place(before, condition))  # type: ignore[operator]
            return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)

        return distribution

    levels = zip(ladder.names, posterior.heads, features, strict=True)  # type: ignore[arg-type]
    return Chain({name: level(head, d) for name, head, d in levels})
