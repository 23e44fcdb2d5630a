"""The hierarchical variational autoencoder with two levels."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.models.vae import VAE
from vaekit.networks import Concatenate
from vaekit.posteriors import Chain as ChainPosterior
from vaekit.posteriors import Diagonal
from vaekit.priors import Chain as ChainPrior
from vaekit.recipes.compose import (
    between_vectors,
    default_latent_dim,
    make_decoder,
    make_encoder,
    make_likelihood,
    make_part,
    surroundings,
)
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "hvae",
    title="two-level hierarchical VAE: z2 → z1 → x, inferred from the top",
    paper="Tomczak & Welling 2018, VAE with a VampPrior, section 4; Rezende et al. 2014",
)
def hvae(
    data: Dataset,
    *,
    prior: str = "standard-normal",
    likelihood: str | None = None,
    objective: str = "elbo",
    network: str | None = None,
    latent_dim: int | None = None,
    epochs: int,
    learning_rate: float | Schedule = 1e-3,
) -> Plan:
    """p(z2) p(z1|z2) p(x|z1, z2) and q(z2|x) q(z1|x, z2); both latents have ``latent_dim`` dimensions."""
    dim = default_latent_dim(data) if latent_dim is None else latent_dim
    top = Diagonal(make_encoder(data, network), dim)
    posterior = ChainPosterior({"z2": top, "z1": Diagonal(make_encoder(data, network, condition_dim=dim), dim)})
    conditional = Diagonal(make_decoder(data, between_vectors(data, network), dim), dim)
    levels = {"z2": make_part("prior", prior, **surroundings(data, dim, posterior=top)), "z1": conditional}
    decoder = Concatenate(make_decoder(data, network, 2 * dim))
    model = VAE(ChainPrior(levels), posterior, make_likelihood(data, likelihood, decoder))
    goal = make_part("objective", objective, **surroundings(data, 2 * dim))
    return Plan(model, (Phase(goal, epochs, learning_rate),), data)
