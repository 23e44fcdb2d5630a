"""The adversarial autoencoder."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.models.vae import VAE
from vaekit.objectives import Adversarial
from vaekit.recipes.compose import make_decoder, make_encoder, make_likelihood, make_part, surroundings
from vaekit.recipes.defaults import Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "aae",
    title="adversarial autoencoder: a critic matches the codes to the prior",
    paper="Makhzani et al. 2015, Adversarial Autoencoders",
)
def aae(
    data: Dataset,
    *,
    prior: str = "standard-normal",
    posterior: str = "point",
    likelihood: str | None = None,
    network: str | None = None,
    latent_dim: int = 8,
    weight: float = 10.0,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = 1e-3,
) -> Plan:
    """A deterministic encoder and a critic with two hidden layers."""
    network = network or Defaults(data, size).network
    q = make_part("posterior", posterior, network=make_encoder(data, network), latent_dim=latent_dim)
    model = VAE(
        prior=make_part("prior", prior, **surroundings(data, latent_dim, posterior=q)),
        posterior=q,
        likelihood=make_likelihood(data, likelihood, make_decoder(data, network, latent_dim)),
    )
    return Plan(
        model,
        (Phase(Adversarial(latent_dim, weight), epochs, learning_rate),),
        data,
    )
