"""Linear layers by the route chosen for this machine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vaekit.kernels import onednn
from vaekit.kernels.route import Route, chosen
from vaekit.kernels.tracing import traced

WORTH = 1 << 18  # multiplications; below it the call costs more than the sum


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + bias, ``(*leading, in)`` to ``(*leading, out)``: what ``torch.nn.functional.linear`` gives, to rounding.

    oneDNN is asked for float32 on a processor, where it is the faster one and the layer is large enough to matter.
    Everything else (float64, a GPU, autocast, what is being compiled) goes torch's way.
    """
    if (
        x.numel() * weight.shape[0] >= WORTH
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not traced()
        and chosen() is Route.ONEDNN
        and not torch.is_autocast_enabled("cpu")
    ):
        return onednn.linear(x, weight, bias)
    if bias is not None and traced() and x.device.type == "cpu" and x.dtype == bias.dtype:
        # A sum would be made one call with the product, which first copies the bias to every row; a difference is left
        # to the loop that comes next.
        return F.linear(x, weight) - (-bias)
    return F.linear(x, weight, bias)
