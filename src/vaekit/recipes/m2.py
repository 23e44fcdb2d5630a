"""M2: semi-supervised learning with a label that is summed out where it is not observed."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.errors import UserError
from vaekit.models.m2 import M2
from vaekit.objectives import ELBO, Classified
from vaekit.posteriors import Diagonal
from vaekit.priors import StandardNormal
from vaekit.recipes.compose import make_decoder, make_encoder, make_likelihood
from vaekit.recipes.defaults import Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "m2",
    title="semi-supervised VAE: a class label, summed out where it is not known",
    paper="Kingma, Rezende, Mohamed & Welling 2014, Semi-supervised Learning with Deep Generative Models",
)
def m2(
    data: Dataset,
    *,
    num_labelled: int = 100,
    alpha: float = 10.0,
    likelihood: str | None = None,
    network: str | None = None,
    latent_dim: int | None = None,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = 1e-3,
) -> Plan:
    """``num_labelled`` training labels stay, evenly over the classes; their rows make up a fifth of an epoch."""
    if data.condition_dim:
        raise UserError("the recipe 'm2' infers the label itself; leave condition= out.")
    default = Defaults(data, size)
    network = network or default.network
    dim = latent_dim or default.latent_dim
    partly = data.with_labels(num_labelled, share=0.2)
    classes = data.num_classes
    model = M2(
        classifier=make_encoder(data, network),
        posterior=Diagonal(make_encoder(data, network, condition_dim=classes), dim),
        likelihood=make_likelihood(data, likelihood, make_decoder(data, network, dim, condition_dim=classes)),
        prior=StandardNormal(dim),
        num_classes=classes,
    )
    return Plan(
        model,
        (Phase(Classified(ELBO(), alpha), epochs, learning_rate),),
        partly,
    )
