"""A ladder of latents, given by one string of blocks."""

from __future__ import annotations

import re

from torch import nn

from vaekit.data.dataset import Dataset
from vaekit.models.vae import VAE
from vaekit.networks import DenseBottomUp, DenseRung, GridBottomUp, GridRung, Ladder
from vaekit.networks.convolutional import halvings
from vaekit.networks.grid_ladder import Size, check_grids
from vaekit.priors import Ladder as LadderPrior
from vaekit.recipes.compose import make_likelihood, make_part, reading, surroundings
from vaekit.recipes.defaults import LEARNING_RATE, SIZES, Defaults
from vaekit.recipes.recipe import Plan, recipe
from vaekit.schedules import Schedule
from vaekit.training.settings import Phase

_BLOCK = re.compile(r"(?P<place>[1-9]\d*)x(?P<count>[1-9]\d*)")


def levels_of(blocks: str) -> tuple[int, ...]:
    """The number before the x for every level, from the top.

    >>> levels_of("4x1/8x2")
    (4, 8, 8)

    Raises:
        ValueError: if the string is not of that form.
    """
    found = [_BLOCK.fullmatch(piece) for piece in re.split("[/,]", blocks)]
    if not all(found):
        raise ValueError(f"blocks are written as PLACExCOUNT from the top, such as 4x2/8x2, got '{blocks}'")
    return tuple(int(block["place"]) for block in found if block for _ in range(int(block["count"])))


@recipe(
    "ladder",
    title="ladder VAE: any number of levels, top-down inference along a shared deterministic path",
    paper="Sønderby et al. 2016, Ladder Variational Autoencoders; Child 2021, Very Deep VAEs",
)
def ladder(
    data: Dataset,
    *,
    blocks: str | None = None,
    rung: str | None = None,
    width: int | None = None,
    latent_channels: int = 8,
    posterior: str = "ladder",
    likelihood: str | None = None,
    objective: str | None = None,
    size: str = "medium",
    epochs: int,
    learning_rate: float | Schedule = LEARNING_RATE,
) -> Plan:
    """``grid`` rungs for images with sides from 8 and ``dense`` ones for the rest, unless ``rung`` says otherwise."""
    default = Defaults(data, size)
    images = len(data.shape) == 3 and min(data.shape[1:]) >= 8
    make = {"grid": _grid, "dense": _dense}.get(rung or ("grid" if images else "dense"))
    if make is None or (rung == "grid" and len(data.shape) != 3):
        raise ValueError(f"rung must be dense, or grid for images, got '{rung}' for data of shape {data.shape}")
    path, encoder = make(data, default, blocks, width, latent_channels)
    q = make_part("posterior", posterior, encoder=reading(data, encoder), ladder=path)
    model = VAE(LadderPrior(path), q, make_likelihood(data, likelihood, path))
    latent_dim = sum(step.latent_dim for step in path.rungs)  # type: ignore[misc,union-attr]
    goal = make_part("objective", objective or default.objective(epochs), **surroundings(data, latent_dim))
    settings = {"batch_size": default.batch_size, "clip_norm": 200.0}
    return Plan(model, (Phase(goal, epochs, learning_rate),), data, settings)


def _dense(
    data: Dataset, default: Defaults, blocks: str | None, width: int | None, latent_channels: int
) -> tuple[Ladder, nn.Module]:
    dim = default.latent_dim
    lengths = levels_of(blocks or f"{max(2, dim // 4)}x1/{max(2, dim // 2)}x1/{dim}x1")
    width = width or round(SIZES[default.size] * 128)
    rungs = [DenseRung(length, width, len(lengths) ** -0.5) for length in lengths]
    encoder = DenseBottomUp(data.shape, len(lengths), width, data.condition_dim)
    return Ladder(rungs, data.condition_dim), encoder


def _grid(
    data: Dataset, default: Defaults, blocks: str | None, width: int | None, latent_channels: int
) -> tuple[Ladder, nn.Module]:
    channels, height, breadth = data.shape
    width = width or round(SIZES[default.size] * 32)
    grids = [_of_height(place, height, breadth) for place in levels_of(blocks or _from_four(height))]
    check_grids(grids, (height, breadth))
    rungs = [
        GridRung(grid, width, latent_channels, above, len(grids) ** -0.5)
        for above, grid in zip([None, *grids[:-1]], grids, strict=True)
    ]
    encoder = GridBottomUp((channels, height, breadth), grids, width, data.condition_dim)
    return Ladder(rungs, data.condition_dim), encoder


def _of_height(place: int, height: int, breadth: int) -> Size:
    """A grid of that height in the proportions of the image."""
    return place, max(1, round(place * breadth / height))


def _from_four(height: int) -> str:
    """Two levels on every grid from 4 (or the image itself, if it is smaller) up to half of the image."""
    sizes = [n for n in halvings(height, 8) if n >= 4] or [height]
    return "/".join(f"{n}x2" for n in sorted(sizes[1:] or sizes))
