"""The norm of many tensors together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vaekit.kernels.tracing import traced


def total_norm(tensors: Sequence[Tensor]) -> Tensor:
    """√ Σ ‖t‖², a tensor on the device; infinite or not a number where any element is.

    On a processor a product of a tensor with itself takes a quarter of the time of torch's norm.
    """
    if tensors and traced():
        return torch.stack([each.square().sum() for each in tensors]).sum().sqrt()
    if not tensors or tensors[0].device.type != "cpu" or not all(each.is_contiguous() for each in tensors):
        return torch.nn.utils.get_total_norm(tensors)
    flat = [each.view(-1) for each in tensors]
    return torch.stack([each.dot(each) for each in flat]).sum().sqrt()
