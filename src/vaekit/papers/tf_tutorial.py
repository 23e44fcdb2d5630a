"""TensorFlow's tutorial "Convolutional Variational Autoencoder": two latents, binarised MNIST, ten epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from vaekit.atomic import write_json
from vaekit.data import load
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.data.loader import Loader
from vaekit.evaluation.likelihood import bound, evaluating
from vaekit.likelihoods import Bernoulli
from vaekit.models import VAE
from vaekit.objectives import ELBO, IWAE
from vaekit.objectives.objective import Player
from vaekit.papers.page import cover_of
from vaekit.papers.paper import Reproduction, Request, Row, commit, find, paper
from vaekit.papers.tutorial_networks import TutorialDecoder, TutorialEncoder
from vaekit.papers.tutorial_pictures import PATCH, decoded, pixel_distances, rank_correlation, tutorial_pictures
from vaekit.plots.manifold import quantile_plane
from vaekit.posteriors import Diagonal, Point
from vaekit.priors import StandardNormal
from vaekit.progress import say
from vaekit.report import write_report
from vaekit.run.config import read_config
from vaekit.training import Run, Settings, fit

EPOCHS = 10
CELLS = 20
LATENT_DIM = 2
TWOS = 500
PROTOCOL = (
    "MNIST at > .5, 60,000 training and all 10,000 test images; Adam 1e-4 (eps 1e-7), batch 32; 2 latents; "
    "scale of q by softplus where the tutorial has exp"
)


class KerasAdam:
    """Adam's ε as Keras has it."""

    def players(self, model: torch.nn.Module) -> dict[str, Player]:
        players = super().players(model)  # type: ignore[misc]
        return {name: player._replace(options={"eps": 1e-7}) for name, player in players.items()}


class MonteCarloBound(KerasAdam, IWAE):
    """log p(x|z) + log p(z) − log q(z|x) of a single draw, every term by Monte Carlo."""


class Reconstruction(KerasAdam, ELBO):
    """log p(x|z) alone: of a plain autoencoder."""


class Images(NamedTuple):
    """Grey levels ``(rows, 1, 28, 28)``, ``uint8``, of all training and of the test images; labels of the latter."""

    train: np.ndarray
    test: np.ndarray
    test_label: np.ndarray


def images() -> Images:
    """MNIST as it is distributed.

    Raises:
        UserError: if it cannot be had.
    """
    mnist = load("mnist:binarization=none")
    assert mnist.test.label is not None
    return Images(np.concatenate([mnist.train.x, mnist.validation.x]), mnist.test.x, mnist.test.label)


def binarised(given: Images) -> Dataset:
    """1 where the grey level is above a half. As in the tutorial the test images are those watched in training too."""
    train, test = (Split((grey > 127).astype(np.uint8)) for grey in (given.train, given.test))
    return Dataset("mnist at > .5", Binary(), train, test, test, by_name=False)


def model(shape: tuple[int, int, int], *, plain: bool = False) -> VAE:
    """The tutorial's model; ``plain``: the autoencoder of the same networks."""
    posterior = (Point if plain else Diagonal)(TutorialEncoder(shape), LATENT_DIM)
    return VAE(StandardNormal(LATENT_DIM), posterior, Bernoulli(TutorialDecoder(LATENT_DIM, shape), shape))


def monte_carlo_bound(trained: Any, loader: Loader, seed: int) -> float:
    """Mean of log p(x, z) − log q(z|x) over the rows, one draw each."""
    total = 0.0
    with evaluating(trained, seed):
        for batch in loader:
            total += trained.draw(batch).log_w.sum().item()
    return total / len(loader.split.x)


def train(request: Request, given: Dataset, name: str, epochs: int, *, plain: bool) -> Run:
    """Train one of the two models in its own folder."""
    say(f"training the {name}")
    torch.manual_seed(request.seed)
    trained = model(given.shape, plain=plain)  # type: ignore[arg-type]
    run = fit(
        trained,
        given,
        objective=Reconstruction(beta=0.0) if plain else MonteCarloBound(samples=1),
        epochs=epochs,
        learning_rate=1e-4,
        settings=Settings(batch_size=32, seed=request.seed, keep_best=False),
        out=request.folder / name,
        resume=request.resume,
    )
    device = next(trained.parameters()).device
    return run.to(device)


def planned_epochs(request: Request) -> int:
    """What is asked for; of a run that is resumed what it was started with; else the tutorial's ten."""
    if request.epochs is not None:
        return request.epochs
    started = request.folder / "vae"
    if request.resume and (started / "config.json").exists():
        return int(read_config(started)["phases"][0]["epochs"])
    return EPOCHS


@paper(
    "tf-tutorial",
    title="the classic walk-through: a convolutional VAE with 2 latents on binarised MNIST",
    citation="TensorFlow tutorials, Convolutional Variational Autoencoder (tensorflow/docs, generative/cvae.ipynb)",
)
def reproduce(request: Request) -> Reproduction:
    """Train the tutorial's model and a plain autoencoder of the same networks, measure, draw.

    Raises:
        UserError: if the data cannot be had, or the folder is in use.
        Interrupted: on Ctrl-C, with the state saved.
    """
    epochs = planned_epochs(request)
    given = images()
    binary = binarised(given)
    vae = train(request, binary, "vae", epochs, plain=False)
    autoencoder = train(request, binary, "autoencoder", epochs, plain=True)
    loader = Loader(binary.test, binary.kind, next(vae.model.parameters()).device, 500)
    elbo = monte_carlo_bound(vae.model, loader, request.seed)
    log_px = {
        name: bound(run.model, loader, seed=request.seed)["log_px"]
        for name, run in (("vae", vae), ("autoencoder", autoencoder))
    }

    plane = quantile_plane(CELLS)
    cells = decoded(vae.model, plane)
    mean_image = given.train.mean(0) / 255.0
    distances = np.abs(cells - mean_image).mean((1, 2, 3))
    radii = np.linalg.norm(plane, axis=1)
    correlation = rank_correlation(distances, radii)
    pixels = pixel_distances(given.test[given.test_label == 2][:TWOS, 0] / 255.0)

    of_paper = epochs == EPOCHS
    command = ["vaekit reproduce tf-tutorial"]
    command += [] if of_paper else [f"--epochs {epochs}"]
    command += [f"--seed {request.seed}"] if request.seed else []
    seconds = {"vae": vae.best["seconds"], "autoencoder": autoencoder.best["seconds"]}

    def row(system: str, metric: str, unit: str, protocol: str, measured: float, **more: Any) -> Row:
        common = {"published": None, "certainty": "nothing published", "expected": ""}
        budget = "paper" if of_paper else f"{epochs} epoch{'s' * (epochs > 1)} instead of {EPOCHS}"
        return Row(
            paper="tf-tutorial",
            system=system,
            dataset="mnist",
            metric=metric,
            unit=unit,
            protocol=protocol,
            measured=measured,
            spread=None,
            seeds=(request.seed,),
            budget=budget,
            command=" ".join(command),
            commit=commit(),
            seconds=seconds.get(system, 0.0),
            **{**common, **more},
        )

    rows = [
        row(
            "vae",
            "test ELBO",
            "nats per image",
            f"{PROTOCOL}; 1 sample an image, all terms by Monte Carlo",
            elbo,
            published=-155.91,
            certainty="printed by a copy of the tutorial; an independent re-run gave −156.6",
            expected="≥ -157.0" if of_paper else "",
        ),
        row(
            "vae",
            "rank correlation of a cell's distance to the mean image with its distance from the origin",
            "Spearman's ρ",
            f"{CELLS} × {CELLS} cells on quantiles .05 to .95 of N(0, 1); mean absolute difference to the mean grey "
            "training image",
            correlation,
            expected="> 0.5" if of_paper else "",
        ),
        row("vae", "test log p(x|z)", "nats per image", "1 sample of q(z|x) an image", log_px["vae"]),
        row(
            "autoencoder",
            "test log p(x|z)",
            "nats per image",
            "same networks, z = f(x), no KL: a reconstruction, no bound on log p(x)",
            log_px["autoencoder"],
        ),
        row(
            "pixels",
            "twos to which a copy with a part erased is nearer than one moved by a pixel",
            "share",
            f"squared distance, grey, first {len(pixels.erased)} twos of the test images; {PATCH} × {PATCH} pixels of "
            f"the stroke erased: {pixels.erased.mean():.1f} on average; moved right: {pixels.shifted.mean():.1f}",
            pixels.share,
            expected="> 0.9",
        ),
    ]
    write_json(request.folder / "rows.json", [each.document() for each in rows])
    pictures = tutorial_pictures(
        vae.model, autoencoder.model, loader, given.test_label, cells, mean_image, distances, correlation, pixels
    )
    cover = cover_of(find("tf-tutorial"), request.folder, rows, pictures)
    test = binary.test._replace(label=given.test_label)
    labelled = replace(binary, validation=test, test=test)
    page = write_report(vae, labelled, samples=50, limit=500, seed=request.seed, cover=cover)
    return Reproduction(rows, {"measured": elbo, "rank_correlation": correlation}, page)
