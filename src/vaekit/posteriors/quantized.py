"""Quantised posterior: the encoder of VQ-VAE."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.checks import check_number
from vaekit.distributions.codes import Rounded, nearest_on_grid, on_grid
from vaekit.networks.plain import as_network
from vaekit.parts.record import part


@part("posterior/quantized", paper="van den Oord et al. 2017, section 3")
class Quantized(nn.Module):
    """q(z|x): each place of the encoder's grid is rounded to the nearest code.

    The mass is on one grid of codes, so log q(z|x) = 0 and log p(x|z) + log p(z) is an honest lower
    bound on log p(x). Straight-through gradients and the commitment loss β‖z_e − sg[e]‖² (summed
    over the grid) belong to the distribution it returns.

    Args:
        network: from ``x`` to features on a grid.
        codebook: the codes; share it with the prior.
        grid: ``(height, width)`` of the features.
        commitment: β.

    Raises:
        ValueError: if ``commitment`` is out of range.

    >>> import torch, vaekit as vk
    >>> net = vk.networks.ConvolutionalEncoder((1, 28, 28))
    >>> codebook = vk.networks.MovingAverageCodebook(num_codes=64, code_dim=16)
    >>> vk.posteriors.Quantized(net, codebook, grid=(7, 7))(torch.zeros(5, 1, 28, 28)).rsample().shape
    torch.Size([5, 16, 7, 7])
    """

    has_density = True
    deterministic = True

    def __init__(
        self, network: nn.Module, codebook: nn.Module, grid: tuple[int, int], commitment: float = 0.25
    ) -> None:
        super().__init__()
        check_number("commitment", commitment, 0)
        self.network = as_network(network, self)
        self.codebook = codebook
        self.head = self.network.head((codebook.code_dim, *grid))  # type: ignore[arg-type]
        self.commitment = commitment

    def forward(self, x: Tensor, condition: Tensor | None = None, **observed: Tensor) -> Rounded:
        vectors = self.head(self.network(x, condition, **observed))
        embedding: Tensor = self.codebook.embedding  # type: ignore[assignment]
        indices = nearest_on_grid(embedding, vectors)
        codes = on_grid(embedding[indices])
        commitment = self.commitment * (vectors - codes.detach()).square().sum((-3, -2, -1))
        # The codes of this batch are read before the book moves on.
        places = vectors.movedim(-3, -1).flatten(-3, -2)
        penalty = commitment + self.codebook.update(places, indices.flatten(-2))  # type: ignore[operator]
        return Rounded(vectors, codes.detach(), indices, penalty)
