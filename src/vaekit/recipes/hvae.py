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
    make_decoder,
    make_encoder,
    make_likelihood,
    make_part,
    surroundings,
)
from vaekit.recipes.defaults import LEARNING_RATE, Defaults
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
    objective: str | None = None,
    network: str | None = None,
    latent_dim: int | None = None,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = LEARNING_RATE,
) -> Plan:
    """p(z2) p(z1|z2) p(x|z1, z2) and q(z2|x) q(z1|x, z2); both latents have ``latent_dim`` dimensions."""
    default = Defaults(data, size)
    network = network or default.network
    dim = latent_dim or default.latent_dim
    top = Diagonal(make_encoder(data, network), dim)
    posterior = ChainPosterior({"z2": top, "z1": Diagonal(make_encoder(data, network, condition_dim=dim), dim)})
    conditional = Diagonal(make_decoder(data, between_vectors(network, default.layers), dim), dim)
    levels = {"z2": make_part("prior", prior, **surroundings(data, dim, posterior=top)), "z1": conditional}
    decoder = Concatenate(make_decoder(data, network, 2 * dim))
    model = VAE(ChainPrior(levels), posterior, make_likelihood(data, likelihood, decoder))
    goal = make_part("objective", objective or default.objective(epochs), **surroundings(data, 2 * dim))
    return Plan(model, (Phase(goal, epochs, learning_rate),), data, {"batch_size": default.batch_size})
