"""The variational autoencoder: p(x, z) = p(z) p(x|z) with q(z|x)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.data.batch import Batch
from vaekit.distributions.chain import levels
from vaekit.distributions.comparison import log_prob
from vaekit.errors import UserError
from vaekit.models.draw import Draw, bare, draw_latents, encoded, named
from vaekit.models.dry_run import try_dry_run
from vaekit.networks.network import observed
from vaekit.parts.record import part


@part("model/vae", paper="Kingma & Welling 2013; Rezende et al. 2014")
class VAE(nn.Module):
    """Any prior, posterior and likelihood.

    Whether it is a plain, a hierarchical, a quantised or a deterministic autoencoder is a matter of
    its parts. Several latents (a chain) reach the likelihood as a dict in the order of the prior.

    Args:
        prior: ``prior(condition) -> p(z)``.
        posterior: ``posterior(x, condition) -> q(z|x)``.
        likelihood: ``likelihood(z, condition) -> p(x|z)``.

    >>> import torch, vaekit as vk
    >>> model = vk.VAE(
    ...     prior=vk.priors.StandardNormal(2),
    ...     posterior=vk.posteriors.Diagonal(vk.networks.MLP(9), 2),
    ...     likelihood=vk.likelihoods.Bernoulli(vk.networks.MLP(2), (9,)),
    ... )
    >>> model.draw(vk.Batch(torch.ones(5, 9)), samples=3).log_w.shape
    torch.Size([3, 5])
    """

    num_branches = 1

    def __init__(self, prior: nn.Module, posterior: nn.Module, likelihood: nn.Module) -> None:
        super().__init__()
        self.prior = prior
        self.posterior = posterior
        self.likelihood = likelihood
        try_dry_run(self)

    @property
    def abilities(self) -> frozenset[str]:
        """What evaluators may ask for: ``density``, ``encode``, ``decode``, ``sample``."""
        always = {"encode", "decode", "sample"}
        return frozenset(always | {"density"} if getattr(self.posterior, "has_density", True) else always)

    @property
    def recognition(self) -> tuple[nn.Module, ...]:
        """What infers latents from data; the rest of the model makes data from latents."""
        return (self.posterior,)

    def draw(self, batch: Batch, samples: int = 1, frozen_q: bool = False) -> Draw:
        """Draw K latents for each row and evaluate all densities; ``frozen_q`` as of :func:`draw_latents`."""
        # The prior first: in training a code book moves on once the posterior has rounded a batch to it.
        prior = self.prior(batch.condition)
        latents, penalty = draw_latents(encoded(self, batch), prior, samples, frozen_q)
        # The draw lets go of the cache with the function that makes p(x|z): its states are as large as what a backward
        # pass keeps.
        return Draw(
            dict(latents),
            lambda p: log_prob(p, batch.x, batch.mask),
            penalty,
            px=lambda: self.likelihood(bare(latents.cache), batch.condition),
        )

    def encode(
        self, x: Tensor, condition: Tensor | None = None, mask: Tensor | None = None, length: Tensor | None = None
    ) -> Distribution:
        """q(z|x), batch shape ``(batch,)``; mask and length of the rows reach networks that ask for them."""
        return self.posterior(x, condition, **observed(self.posterior, mask, length))

    def decode(self, z: Tensor | dict[str, Tensor], condition: Tensor | None = None) -> Distribution:
        """p(x|z), batch shape that of z; several latents by name, in any order.

        Raises:
            UserError: if they have other names than those of the prior.
        """
        if isinstance(z, dict):
            names = list(levels(self.prior(condition)))
            if z.keys() != set(names):
                raise UserError(f"the model has the latents {', '.join(names)}, and was given {', '.join(z)}.")
            z = bare({name: z[name] for name in names})
        return self.likelihood(z, condition)

    def sample_latents(self, count: int, condition: Tensor | None = None) -> dict[str, Tensor]:
        """``count`` draws from the prior, by name.

        Raises:
            UserError: if there is a condition and it has not ``count`` rows.
        """
        if condition is not None and len(condition) != count:
            raise UserError(f"{count} draws were asked for, and {len(condition)} conditions were given.")
        with torch.no_grad():
            prior = self.prior(condition)
            # A prior that looks at the condition already has a row for each.
            return named(prior.sample(torch.Size() if prior.batch_shape else torch.Size([count])))

    def generate(self, count: int, condition: Tensor | None = None) -> Distribution:
        """p(x|z) for ``count`` latents from the prior, batch shape ``(count,)``; take its ``mean`` or ``sample()``.

        Raises:
            UserError: if there is a condition and it has not ``count`` rows.
        """
        with torch.no_grad():
            return self.decode(bare(self.sample_latents(count, condition)), condition)
