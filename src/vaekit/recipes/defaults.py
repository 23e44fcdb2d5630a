"""Defaults from the shape of an example, the number of rows, and one dial."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vaekit.data.dataset import Dataset
from vaekit.errors import unknown
from vaekit.schedules import Cosine

SIZES = {"small": 0.5, "medium": 1.0, "large": 2.0}
CHANNELS = (32, 64)
LEARNING_RATE = Cosine(2e-3)


@dataclass(frozen=True)
class Defaults:
    """What a recipe takes where nothing is said.

    With D values in an example, N training rows and a factor of ½, 1 or 2 for the size:

    - latent: √D, between 2 and 64, times the factor;
    - network: two layers as wide as the largest power of two that is not above D, between 64 and 256; for colour
      images and those with a side over 32 convolutions with 32 and 64 channels; times the factor;
    - epochs: as many as make 400,000 examples, between 20 and 300;
    - batch: the power of two nearest to N / 64, between 32 and 128;
    - β: from 0 to 1 over the first half of the epochs for images, over the first quarter for the rest.

    Args:
        data: what is trained on.
        size: ``small``, ``medium`` or ``large``.

    Raises:
        UserError: for another size.
    """

    data: Dataset
    size: str = "medium"

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise unknown("size", f"{self.size}", SIZES)

    def _times(self, number: float) -> int:
        return round(SIZES[self.size] * number)

    @property
    def latent_dim(self) -> int:
        """Length of the latent."""
        return max(2, self._times(min(64, max(2, math.sqrt(math.prod(self.data.shape))))))

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels after each convolution."""
        return tuple(map(self._times, CHANNELS))

    @property
    def network(self) -> str:
        """The network in the part specification."""
        shape = self.data.shape
        if len(shape) == 3 and min(shape[1:]) >= 8 and (shape[0] == 3 or max(shape[1:]) > 32):
            return f"convolutional:channels={'/'.join(map(str, self.channels))}"
        return self.layers

    @property
    def layers(self) -> str:
        """The fully connected network in the part specification."""
        width = self._times(min(256, max(64, 2 ** int(math.log2(math.prod(self.data.shape))))))
        return f"mlp:hidden={width}/{width}"

    @property
    def epochs(self) -> int:
        """Passes over the training data."""
        return min(300, max(20, round(400_000 / len(self.data.train.x))))

    @property
    def batch_size(self) -> int:
        """Rows in a batch."""
        return min(128, max(32, 2 ** round(math.log2(len(self.data.train.x) / 64))))

    def objective(self, epochs: int) -> str:
        """The evidence lower bound with warm-up, in the part specification."""
        share = 2 if len(self.data.shape) == 3 else 4
        return f"elbo:beta=linear(0,1,epochs={epochs / share:g})"
