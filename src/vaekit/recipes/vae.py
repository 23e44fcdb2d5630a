"""The variational autoencoder with any parts."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.models.vae import VAE
from vaekit.recipes.compose import (
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
    "vae",
    title="variational autoencoder: any prior, posterior, likelihood and objective",
    paper="Kingma & Welling 2013, Auto-Encoding Variational Bayes",
)
def vae(
    data: Dataset,
    *,
    prior: str = "standard-normal",
    posterior: str = "diagonal",
    likelihood: str | None = None,
    objective: str | None = None,
    network: str | None = None,
    latent_dim: int | None = None,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = LEARNING_RATE,
) -> Plan:
    """One latent, one phase."""
    default = Defaults(data, size)
    network = network or default.network
    latent_dim = latent_dim or default.latent_dim
    encoder = make_encoder(data, network)
    q = make_part("posterior", posterior, network=encoder, latent_dim=latent_dim)
    model = VAE(
        prior=make_part("prior", prior, **surroundings(data, latent_dim, posterior=q)),
        posterior=q,
        likelihood=make_likelihood(data, likelihood, make_decoder(data, network, latent_dim)),
    )
    goal = make_part("objective", objective or default.objective(epochs), **surroundings(data, latent_dim))
    return Plan(model, (Phase(goal, epochs, learning_rate),), data, {"batch_size": default.batch_size})
