"""Uniform prior over grids of codes."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.distributions.codes import Codes, UniformIndices
from vaekit.parts.record import part


@part("prior/uniform-codes", paper="van den Oord et al. 2017, section 3.1")
class UniformCodes(nn.Module):
    """log p(z) = −height · width · log num_codes for every grid of codes.

    Args:
        codebook: the codes; share it with the posterior.
        grid: ``(height, width)``.
    """

    def __init__(self, codebook: nn.Module, grid: tuple[int, int]) -> None:
        super().__init__()
        self.codebook = codebook
        self.grid = grid

    def forward(self, condition: Tensor | None = None) -> Codes:
        embedding: Tensor = self.codebook.embedding  # type: ignore[assignment]
        return Codes(UniformIndices(len(embedding), self.grid, embedding.detach()), embedding, self.grid)
