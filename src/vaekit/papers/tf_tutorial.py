"""TensorFlow's tutorial "Convolutional Variational Autoencoder": two latents, binarised MNIST, ten epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaekit import data as data_sets
from vaekit.data.dataset import Dataset, Split
from vaekit.data.kinds import Binary
from vaekit.data.loader import Loader
from vaekit.distributions.moments import moments
from vaekit.evaluation.likelihood import bound, evaluating
from vaekit.likelihoods import Bernoulli
from vaekit.models import VAE
from vaekit.networks.tutorial import TutorialDecoder, TutorialEncoder
from vaekit.objectives import ELBO, IWAE
from vaekit.objectives.objective import Player
from vaekit.papers.page import write_page
from vaekit.papers.paper import Reproduction, Request, Row, commit, find, paper
from vaekit.plots.curves import curves
from vaekit.plots.figure import BLUE, panels
from vaekit.plots.grid import grid
from vaekit.plots.manifold import quantile_plane, sheet
from vaekit.plots.png import png
from vaekit.posteriors import Diagonal, Point
from vaekit.priors import StandardNormal
from vaekit.training import Run, Settings, fit
from vaekit.training.files import replacing, write_json
from vaekit.training.progress import say
from vaekit.training.run import read_config

EPOCHS = 10
CELLS = 20
LATENT_DIM = 2
TWOS = 500
PATCH = 5
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
    mnist = data_sets.load("mnist:binarization=none")
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


@torch.no_grad()
def decoded(trained: Any, z: np.ndarray) -> np.ndarray:
    """Means of p(x|z), ``(rows, 1, height, width)``."""
    parameter = next(trained.parameters())
    return trained.decode(torch.from_numpy(z).to(parameter)).mean.cpu().numpy()


@torch.no_grad()
def encoded(trained: Any, loader: Loader) -> np.ndarray:
    """Means of q(z|x), ``(rows, 2)``."""
    means: list[Tensor] = [moments(trained.encode(batch.x))[0].cpu() for batch in loader]
    return torch.cat(means).numpy()


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's ρ; 0 where one of the two does not vary."""
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0


def erased(image: np.ndarray) -> np.ndarray:
    """A copy without the 5 × 5 pixels around the middle one of the stroke, in reading order."""
    rows, columns = np.nonzero(image > 0.5)
    copy = image.copy()
    if len(rows):
        top, left = (max(0, int(where[len(where) // 2]) - PATCH // 2) for where in (rows, columns))
        copy[top : top + PATCH, left : left + PATCH] = 0
    return copy


def shifted(image: np.ndarray) -> np.ndarray:
    """A copy one pixel further right."""
    copy = np.zeros_like(image)
    copy[:, 1:] = image[:, :-1]
    return copy


class PixelDistances(NamedTuple):
    """Squared distances of twos to their erased and shifted copies, each ``(twos,)``, and the first of each."""

    erased: np.ndarray
    shifted: np.ndarray
    example: np.ndarray

    @property
    def share(self) -> float:
        """Share of the twos to which the damaged copy is nearer than the moved one."""
        return float((self.erased < self.shifted).mean())


def pixel_distances(given: Images) -> PixelDistances:
    """What the mean squared error of pixels says of the first 500 twos of the test images."""
    twos = given.test[given.test_label == 2][:TWOS, 0] / 255.0
    copies = [np.stack([change(two) for two in twos]) for change in (erased, shifted)]
    squared = [np.square(copy - twos).sum((1, 2)) for copy in copies]
    return PixelDistances(squared[0], squared[1], np.stack([twos[0], copies[0][0], copies[1][0]])[:, None])


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
    pixels = pixel_distances(given)

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
    pictures = draw(request.folder, given, loader, vae, autoencoder, cells, mean_image, distances, pixels)
    write_json(request.folder / "rows.json", [each.document() for each in rows])
    entry = find("tf-tutorial")
    page = request.folder / "reproduction.html"
    write_page(page, f"{entry.name}: {entry.title}", entry.citation, rows, pictures)
    return Reproduction(rows, {"measured": elbo, "rank_correlation": correlation}, page)


def draw(
    folder: Path,
    given: Images,
    loader: Loader,
    vae: Run,
    autoencoder: Run,
    cells: np.ndarray,
    mean_image: np.ndarray,
    distances: np.ndarray,
    pixels: PixelDistances,
) -> list[tuple[Path, str, str]]:
    """All pictures into the folder; for each its file, heading and text."""
    plane = quantile_plane(CELLS)
    centre = decoded(vae.model, np.zeros((1, LATENT_DIM)))
    codes = {name: encoded(run.model, loader) for name, run in (("vae", vae), ("autoencoder", autoencoder))}
    # An autoencoder has no prior: its codes lie anywhere, so the second plane is made of their own quantiles.
    steps = np.linspace(0.05, 0.95, CELLS)
    right, up = np.meshgrid(*np.quantile(codes["autoencoder"], steps, axis=0).T)
    own_plane = np.stack([right.ravel(), up[::-1].ravel()], axis=1)
    manifolds = {
        "manifold": cells,
        "autoencoder-manifold": decoded(autoencoder.model, plane),
        "autoencoder-own-manifold": decoded(autoencoder.model, own_plane),
    }
    result: dict[str, Any] = {name: _twice(sheet(images, CELLS)) for name, images in manifolds.items()}
    result["mean-and-centre"] = grid([mean_image[None], centre])
    shown = next(iter(Loader(loader.split.first(40), loader.kind, loader.device, 40)))
    with torch.no_grad():
        recovered = [
            run.model.decode(moments(run.model.encode(shown.x))[0]).mean.cpu().numpy() for run in (vae, autoencoder)
        ]
    result["reconstructions"] = grid([shown.x.cpu().numpy(), *recovered])
    result["pixel-distances"] = grid([pixels.example[:1], pixels.example[1:2], pixels.example[2:]])
    result |= {
        "distance-map": _distance_map(distances, np.linalg.norm(plane, axis=1)),
        "latents": _latents(codes, given.test_label),
        "curves": curves(vae.metrics),
    }
    texts: Mapping[str, tuple[str, str]] = {
        "manifold": (
            f"The manifold: {CELLS} × {CELLS} latents decoded",
            "Both latents on quantiles .05 to .95 of N(0, 1), the first to the right and the second upwards.",
        ),
        "mean-and-centre": (
            "The mean training image beside the manifold's centre",
            "Left the mean of the grey training images, right what z = 0 decodes to.",
        ),
        "distance-map": (
            "How far each cell is from the mean image",
            "Mean absolute difference of each cell to the mean training image, on the plane and over the distance "
            "from the origin.",
        ),
        "latents": (
            "Where the test images lie",
            "Means of q(z|x) coloured by digit. The VAE's are drawn towards N(0, I); the autoencoder's lie anywhere.",
        ),
        "reconstructions": ("Reconstructions", "Each test image, the VAE's of it, and the autoencoder's."),
        "autoencoder-manifold": (
            "The plain autoencoder on the same plane",
            "The same networks without KL and noise, decoded on the same latents: nothing ties its codes to N(0, I), "
            "so most of the plane shows little of the data.",
        ),
        "autoencoder-own-manifold": (
            "The plain autoencoder on a plane of its own codes",
            "Decoded on the quantiles of its codes of the test images: between them lie places it never saw.",
        ),
        "pixel-distances": (
            "Why the distance between pixels misleads",
            f"A two; a part of it erased (squared distance {pixels.erased[0]:.1f}); the same two moved right "
            f"by a pixel ({pixels.shifted[0]:.1f}). Of {len(pixels.erased)} twos the erased one is nearer in "
            f"{100 * pixels.share:.1f} %.",
        ),
        "curves": (
            "Training of the VAE",
            "The test images, which choose nothing here: the last weights are kept. The bound in the curve has its KL "
            "by the formula.",
        ),
    }
    pictures = []
    for name, (heading, text) in texts.items():
        path = folder / f"{name}.png"
        with replacing(path) as temporary:
            temporary.write_bytes(png(result[name]))
        pictures.append((path, heading, text))
    return pictures


def _twice(image: np.ndarray) -> Image.Image:
    """A grey picture, each value two pixels wide and high."""
    levels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    return Image.fromarray(levels)


def _distance_map(distances: np.ndarray, radii: np.ndarray) -> Any:
    canvas, (left, right) = panels(2)
    left.grid(False)
    picture = left.imshow(distances.reshape(CELLS, CELLS), cmap="viridis")
    left.set(title="difference to the mean image", xticks=[], yticks=[], xlabel="first latent", ylabel="second latent")
    canvas.colorbar(picture, ax=left, shrink=0.85)
    right.scatter(radii, distances, s=8, color=BLUE)
    right.set(title=f"Spearman's ρ {rank_correlation(distances, radii):.2f}", xlabel="‖z‖", ylabel="difference")
    return canvas


def _latents(codes: Mapping[str, np.ndarray], label: np.ndarray) -> Any:
    canvas, axes = panels(len(codes))
    for each, (name, values) in zip(axes, codes.items(), strict=True):
        points = each.scatter(*values.T, c=label, s=2, cmap="tab10", vmin=-0.5, vmax=9.5, linewidths=0)
        each.set(title=name, xlabel="first latent", ylabel="second latent")
    canvas.colorbar(points, ax=axes[-1], ticks=range(10))
    return canvas
