"""VQ-VAE: a grid of codes, and a PixelCNN over them."""

from __future__ import annotations

from vaekit.data.dataset import Dataset
from vaekit.errors import UserError
from vaekit.models.vae import VAE
from vaekit.networks import ConvolutionalDecoder, ConvolutionalEncoder
from vaekit.objectives import ELBO
from vaekit.posteriors import Quantized
from vaekit.priors import AutoregressiveCodes
from vaekit.recipes.compose import condition_of, make_likelihood, make_part
from vaekit.recipes.defaults import Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase


@recipe(
    "vq-vae",
    title="vector-quantised VAE: codes on a grid with an autoregressive prior",
    paper="van den Oord et al. 2017, Neural Discrete Representation Learning",
)
def vq_vae(
    data: Dataset,
    *,
    codebook: str = "moving-average",
    num_codes: int = 128,
    code_dim: int = 32,
    commitment: float = 0.25,
    channels: tuple[int, ...] | None = None,
    likelihood: str | None = None,
    size: str = "medium",
    epochs: int,
    prior_epochs: int | None = None,
    learning_rate: float | Schedule = 1e-3,
) -> Plan:
    """First encoder, code book and decoder; then, for ``prior_epochs`` (as many), the prior over their codes."""
    shape = data.shape
    if len(shape) != 3:
        raise UserError(f"the recipe 'vq-vae' needs images (channels, height, width); {data.name} has shape {shape}.")
    channels = channels or Defaults(data, size).channels
    image = (shape[0], shape[1], shape[2])
    encoder = ConvolutionalEncoder(image, channels, condition_dim=condition_of(data))
    grid = encoder.feature_shape[1:]
    book = make_part("codebook", codebook, num_codes=num_codes, code_dim=code_dim)
    decoder = ConvolutionalDecoder((code_dim, *grid), image, channels, condition_dim=condition_of(data))
    model = VAE(
        prior=AutoregressiveCodes(book, grid),
        posterior=Quantized(encoder, book, grid, commitment),
        likelihood=make_likelihood(data, likelihood, decoder),
    )
    # β = 0: the prior is not trained yet, and epochs are compared by what is being trained.
    first = Phase(ELBO(beta=0.0), epochs, learning_rate, train=("posterior", "likelihood"))
    prior_epochs = epochs if prior_epochs is None else prior_epochs
    # The prior shares the code book, which is the posterior's.
    second = Phase(ELBO(), prior_epochs, learning_rate, train=("prior",), rest=("posterior",))
    return Plan(model, (first, second), data)
