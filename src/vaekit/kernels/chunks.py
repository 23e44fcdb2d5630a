"""Tensors cut into chunks for kernels over many of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vaekit.kernels.tracing import traced

FEW, PIECE = 1 << 22, 1 << 13  # numbers


def chunks(*lists: Sequence[Tensor]) -> tuple[list[list[Tensor]], list[int]]:
    """Lists of tensors that belong together place by place, cut alike, and the place that each piece is from.

    On a GPU torch gives 65,536 numbers of a tensor to a group of threads: the parameters of a small model would keep a
    tenth of the groups busy. Many numbers, and tensors in another order than their axes', stay as they are; so does
    everything that is being compiled.
    """
    whole = traced() or sum(tensor.numel() for tensor in lists[0]) > FEW
    cut: list[list[Tensor]] = [[] for _ in lists]
    places: list[int] = []
    for place, tensors in enumerate(zip(*lists, strict=True)):
        alike = not whole and all(tensor.is_contiguous() for tensor in tensors)
        parts = [tensor.view(-1).split(PIECE) if alike else (tensor,) for tensor in tensors]
        for some, kept in zip(parts, cut, strict=True):
            kept += some
        places += [place] * len(parts[0])
    return cut, places
