"""The Hamiltonian VAE: a posterior moved towards log p(x, z)."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.models.hamiltonian import Hamiltonian
from vaekit.recipes.compose import make_decoder, make_encoder, make_likelihood, make_part, surroundings
from vaekit.recipes.defaults import LEARNING_RATE, Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "hamiltonian",
    title="Hamiltonian VAE: leapfrog steps take the posterior towards p(z|x)",
    paper="Caterini et al. 2018, Hamiltonian Variational Auto-Encoder",
)
def hamiltonian(
    data: Dataset,
    *,
    steps: int = 3,
    step_size: float = 0.1,
    tempering: bool = True,
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
    """One latent, one phase; the posterior is where the dynamics start, and everything is trained through them."""
    default = Defaults(data, size)
    network = network or default.network
    latent_dim = latent_dim or default.latent_dim
    q = make_part("posterior", posterior, network=make_encoder(data, network), latent_dim=latent_dim)
    model = Hamiltonian(
        prior=make_part("prior", prior, **surroundings(data, latent_dim, posterior=q)),
        posterior=q,
        likelihood=make_likelihood(data, likelihood, make_decoder(data, network, latent_dim)),
        latent_dim=latent_dim,
        steps=steps,
        step_size=step_size,
        tempering=tempering,
    )
    goal = make_part("objective", objective or default.objective(epochs), **surroundings(data, latent_dim))
    return Plan(model, (Phase(goal, epochs, learning_rate),), data, {"batch_size": default.batch_size})
