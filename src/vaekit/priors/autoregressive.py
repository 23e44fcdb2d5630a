"""PixelCNN prior over a grid of codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, one_hot

from vaekit.distributions.codes import Codes
from vaekit.networks.masked import MaskedConvolution
from vaekit.networks.network import over_leading
from vaekit.parts.record import part


@part("prior/autoregressive-codes", paper="van den Oord et al. 2016 (PixelCNN); van den Oord et al. 2017, section 4")
class AutoregressiveCodes(nn.Module):
    """p(z) = Π_i p(index_i | indices before it), in reading order, by masked convolutions.

    It only sees indices, so no gradient reaches the encoder or the code book: it can be trained with
    them or after them.

    Args:
        codebook: the codes; share it with the posterior.
        grid: ``(height, width)``.
        channels: width of the residual stream.
        num_layers: number of residual layers.

    >>> import vaekit as vk
    >>> p = vk.priors.AutoregressiveCodes(vk.networks.MovingAverageCodebook(8, 4), grid=(3, 3))()
    >>> p.log_prob(p.sample((5,))).shape
    torch.Size([5])
    """

    def __init__(self, codebook: nn.Module, grid: tuple[int, int], channels: int = 64, num_layers: int = 4) -> None:
        super().__init__()
        self.codebook = codebook
        self.grid = grid
        self.num_codes: int = codebook.num_codes  # type: ignore[assignment]
        self.first = MaskedConvolution(self.num_codes, channels, kernel_size=5, sees_centre=False)
        self.layers = nn.ModuleList(
            MaskedConvolution(channels, channels, kernel_size=3, sees_centre=True) for _ in range(num_layers)
        )
        self.last = nn.Conv2d(channels, self.num_codes, kernel_size=1)

    def logits(self, indices: Tensor) -> Tensor:
        """log p(index | before) up to a constant, ``(*leading, num_codes, height, width)``."""
        codes = one_hot(indices, self.num_codes).movedim(-1, -3).to(self.last.weight.dtype)
        h = over_leading(self.first, codes, 3)
        for layer in self.layers:
            h = h + over_leading(layer, torch.relu(h), 3)
        return over_leading(self.last, torch.relu(h), 3)

    def log_prob(self, indices: Tensor) -> Tensor:
        """log p of index grids ``(*leading, height, width)`` in nats, shape ``(*leading,)``."""
        log_probs = log_softmax(self.logits(indices), dim=-3)
        return log_probs.gather(-3, indices.unsqueeze(-3)).sum((-3, -2, -1))

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Index grids ``(count, height, width)``, one place after the other."""
        indices = torch.zeros(count, *self.grid, dtype=torch.long, device=self.last.weight.device)
        for row in range(self.grid[0]):
            for column in range(self.grid[1]):
                place = self.logits(indices)[:, :, row, column]
                indices[:, row, column] = torch.multinomial(place.softmax(-1), 1).squeeze(-1)
        return indices

    def forward(self, condition: Tensor | None = None) -> Codes:
        return Codes(self, self.codebook.embedding, self.grid)  # type: ignore[arg-type]
