"""One small instance of every registered part.

Parts whose constructor asks for what is in ``CONTEXT`` are made from it, so that a new part is tested
without an edit here; the others are made by hand, in ``BY_HAND``. A test sees to it that none is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

import vaekit as vk
import vaekit.parts.registry
from vaekit.papers.tutorial_networks import TutorialDecoder, TutorialEncoder
from vaekit.parts.build import SURROUNDINGS, build
from vaekit.parts.record import parts
from vaekit.testing import seeded

LATENT_DIM = 2
SHAPE = (3, 4)
CODES, GRID = 2, (2, 2)
IMAGE = (1, 4, 4)

# What a part's constructor may ask for by name: see vaekit.recipes.compose.
ASKED_FOR = {
    "network": {"in_shape", "condition_dim"},
    "prior": {"latent_dim", "posterior", "shape"},
    "posterior": {"network", "latent_dim"},
    "likelihood": {"network", "shape"},
    "objective": {"latent_dim", "shape"},
    "codebook": {"num_codes", "code_dim"},
}


# Where the default of a part is large: what its laws say does not depend on it.
SMALL_OPTIONS: dict[str, dict[str, Any]] = {
    "prior/vamp": {"num_components": 6},
    "prior/kernel-density": {"num_points": 20},
    "prior/autoregressive": {"hidden": (16, 16)},
    "prior/flow": {"hidden": (16, 16), "transforms": 2},
    "likelihood/pixelcnn": {"channels": 4, "num_layers": 3},
    "likelihood/pixelcnn-levels": {"channels": 4, "num_layers": 3, "num_components": 2},
    "posterior/coupling": {"context_dim": 6},
    "posterior/inverse-autoregressive": {"context_dim": 6},
}


def names_of(slot: str) -> list[str]:
    """Names of the parts of a slot that vaekit itself registers (examples in the documentation register others)."""
    return [name for name, cls in parts(slot).items() if cls.__module__.startswith("vaekit.")]


def from_context(slot: str) -> list[str]:
    """Names of the parts of a slot that can be made from what a recipe knows."""
    names = []
    for name in names_of(slot):
        cls = parts(slot)[name]
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
        if needed <= ASKED_FOR[slot] and f"{slot}/{name}" not in BY_HAND:
            names.append(name)
    return names


def encoder(condition_dim: int = 0) -> Any:
    return vk.networks.MLP(SHAPE, hidden=(8,), activation="tanh", condition_dim=condition_dim)


def decoder(in_shape: int = LATENT_DIM, condition_dim: int = 0) -> Any:
    return vk.networks.MLP(in_shape, hidden=(8,), activation="tanh", condition_dim=condition_dim)


def prior_of(name: str, posterior: Any) -> Any:
    """A small prior that goes with a posterior: one that is made of posteriors is made of this one."""
    with seeded(0):
        context = {"latent_dim": LATENT_DIM, "shape": SHAPE, "posterior": posterior}
        return build("prior", name, context, None, SMALL_OPTIONS.get(f"prior/{name}", {}))


def make(slot: str, name: str, condition_dim: int = 0, **options: Any) -> Any:
    """A small part, the same at each call; ``condition_dim`` is given to its network."""
    with seeded(0):
        key = f"{slot}/{name}"
        if key in BY_HAND and not options:
            return BY_HAND[key]()
        network = {"posterior": encoder, "likelihood": lambda c: decoder(condition_dim=c)}.get(slot, lambda c: None)
        context = {
            "latent_dim": LATENT_DIM,
            "shape": SHAPE,
            "in_shape": 4,
            "condition_dim": condition_dim,
            "num_codes": CODES,
            "code_dim": 2,
            "num_points": 20,
            "network": network(condition_dim),
        }
        if slot == "prior":
            context["posterior"] = make("posterior", "diagonal")
        context |= {key: options.pop(key) for key in SURROUNDINGS & options.keys()}
        return build(slot, name, context, None, SMALL_OPTIONS.get(key, {}) | options)


@vk.part("test/blind")
class Blind(nn.Module):
    """A level that does not look at the latents drawn before it."""

    has_density = True

    def __init__(self, level: nn.Module) -> None:
        super().__init__()
        self.level = level

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Any:
        return self.level(x)


def codebook() -> Any:
    return vk.networks.MovingAverageCodebook(CODES, 2)


def grid_encoder() -> Any:
    return vk.networks.ConvolutionalEncoder(IMAGE, (3,))


def conditional(in_shape: int = LATENT_DIM) -> Any:
    return vk.posteriors.Diagonal(decoder(in_shape), 1)


def ladder(grid: bool = False, condition_dim: int = 0) -> Any:
    """Two rungs whose blocks say something from the start."""
    if grid:
        rungs = [vk.networks.GridRung((2, 2), 4, 1), vk.networks.GridRung(IMAGE[1:], 4, 1, above=(2, 2))]
    else:
        rungs = [vk.networks.DenseRung(1, width=6), vk.networks.DenseRung(2, width=6)]
    path = vk.networks.Ladder(rungs, condition_dim)
    for parameter in path.parameters():
        nn.init.normal_(parameter, std=0.3)
    return path


def bottom_up(condition_dim: int = 0) -> Any:
    return vk.networks.DenseBottomUp(SHAPE, num_levels=2, width=6, condition_dim=condition_dim)


BY_HAND: dict[str, Callable[[], Any]] = {
    "prior/chain": lambda: vk.priors.Chain({"z2": vk.priors.StandardNormal(2), "z1": conditional()}),
    "prior/uniform-codes": lambda: vk.priors.UniformCodes(codebook(), GRID),
    "prior/autoregressive-codes": lambda: vk.priors.AutoregressiveCodes(codebook(), GRID, channels=4, num_layers=2),
    "posterior/chain": lambda: vk.posteriors.Chain(
        {"z2": vk.posteriors.Diagonal(encoder(), 2), "z1": vk.posteriors.Cholesky(encoder(condition_dim=2), 1)}
    ),
    "prior/independent": lambda: vk.priors.Independent(
        {"z2": make("prior", "mixture"), "z1": vk.priors.StandardNormal(1)}
    ),
    "prior/ladder": lambda: vk.priors.Ladder(ladder()),
    "posterior/independent": lambda: vk.posteriors.Independent(
        {"z2": vk.posteriors.Diagonal(encoder(), 2), "z1": vk.posteriors.Cholesky(encoder(), 1)}
    ),
    "posterior/ladder": lambda: vk.posteriors.Ladder(bottom_up(), ladder()),
    "posterior/precision-weighted": lambda: vk.posteriors.PrecisionWeighted(bottom_up(), ladder()),
    "posterior/quantized": lambda: vk.posteriors.Quantized(grid_encoder(), codebook(), GRID),
    "network/concatenate": lambda: vk.networks.Concatenate(decoder(5)),
    "network/deep-latent": lambda: vk.networks.DeepLatent(decoder(3), [decoder(2)], latent_dims=(2, 3)),
    "network/ladder": ladder,
    "network/only-latent": lambda: vk.networks.OnlyLatent(decoder(3), "z1"),
    "network/only-condition": lambda: vk.networks.OnlyCondition(decoder(3)),
    "network/log-input": lambda: vk.networks.LogInput(decoder(4)),
    "network/convolutional-encoder": lambda: vk.networks.ConvolutionalEncoder((2, 5, 7), (3, 4)),
    "network/convolutional-decoder": lambda: vk.networks.ConvolutionalDecoder(4, (2, 5, 7), (3, 4)),
    "network/gated-convolutional-encoder": lambda: vk.networks.GatedConvolutionalEncoder((2, 5, 7), (3, 4, 3)),
    "network/gated-convolutional-decoder": lambda: vk.networks.GatedConvolutionalDecoder(4, (2, 5, 7), (3, 4), 6),
    "network/tutorial-encoder": lambda: TutorialEncoder((2, 7, 9)),
    "network/tutorial-decoder": lambda: TutorialDecoder(4, (1, 4, 8)),
    "objective/log-prior": lambda: vk.objectives.LogPrior(),
    "objective/classified": lambda: vk.objectives.Classified(vk.objectives.ELBO(), alpha=2.0),
}

VECTOR_PRIORS = from_context("prior")
VECTOR_POSTERIORS = from_context("posterior")
LIKELIHOODS = from_context("likelihood")
# The same parts with other options.
LIKELIHOOD_VARIANTS = [
    "gaussian:scale=0.5",
    "gaussian:scale=per-dimension",
    "gaussian:scale=network",
    "unit-gaussian:scale=learned",
    "laplace:scale=network",
    "discretized-logistic:levels=5,scale=learned",
    "student-t:scale=network,degrees=6",
    "student-t:degrees=per-dimension",
    "ordinal:levels=2",
    "logistic-mixture:levels=5,num_components=2",
    "pixelcnn-levels:levels=5,num_components=2,channels=4,num_layers=3",
]
OBJECTIVE_VARIANTS = ["elbo:beta=2", "elbo:beta=linear(0,1,epochs=10)", "free-bits:nats=0.5", "iwae:samples=3"]
OBJECTIVE_VARIANTS += [
    "free-bits:nats=0.5,per=level",
    "renyi:alpha=-1",
    "renyi:alpha=1",
    "ciwae:beta=1",
    "wae:kernel=rbf",
]
