"""Deep latent Gaussian models."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.models.vae import VAE
from vaekit.networks import DeepLatent
from vaekit.posteriors import Independent as IndependentPosterior
from vaekit.priors import Independent as IndependentPrior
from vaekit.priors import StandardNormal
from vaekit.recipes.compose import (
    between_vectors,
    make_decoder,
    make_encoder,
    make_likelihood,
    make_part,
    make_transform,
    surroundings,
)
from vaekit.recipes.defaults import LEARNING_RATE, Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "dlgm",
    title="deep latent Gaussian model: noise enters the generator at every layer, inferred level by level",
    paper="Rezende et al. 2014, Stochastic Backpropagation and Approximate Inference",
)
def dlgm(
    data: Dataset,
    *,
    num_levels: int = 2,
    posterior: str = "diagonal",
    likelihood: str | None = None,
    objective: str | None = None,
    network: str | None = None,
    decoder: str | None = None,
    latent_dim: int | None = None,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = LEARNING_RATE,
) -> Plan:
    """h_l = T_l(h_{l+1}) + G_l ξ_l; all levels are ``latent_dim`` long. ``decoder`` names T, if not as ``network``."""
    if num_levels < 1:
        raise ValueError(f"num_levels must be at least 1, got {num_levels}")
    default = Defaults(data, size)
    network = network or default.network
    decoder = decoder or network
    dim = latent_dim or default.latent_dim
    names = [f"z{number}" for number in range(num_levels, 0, -1)]
    levels = {
        name: make_part("posterior", posterior, network=make_encoder(data, network), latent_dim=dim) for name in names
    }
    between = between_vectors(decoder, default.layers)
    generator = DeepLatent(
        make_decoder(data, decoder, dim), [make_transform(between, dim) for _ in names[1:]], [dim] * num_levels
    )
    model = VAE(
        IndependentPrior({name: StandardNormal(dim) for name in names}),
        IndependentPosterior(levels),
        make_likelihood(data, likelihood, generator),
    )
    goal = make_part("objective", objective or default.objective(epochs), **surroundings(data, num_levels * dim))
    return Plan(model, (Phase(goal, epochs, learning_rate),), data, {"batch_size": default.batch_size})
