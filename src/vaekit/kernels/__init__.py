"""Kernels: what one operation is computed by, on this machine."""

from vaekit.kernels.convolution import Shape, transposed
from vaekit.kernels.denormals import flushing_denormals
from vaekit.kernels.linear import linear
from vaekit.kernels.memory import keep_pages
from vaekit.kernels.precision import PRECISIONS, rounding, rounds_on_processors
from vaekit.kernels.route import Route, chosen, measure, use

__all__ = [
    "PRECISIONS",
    "Route",
    "Shape",
    "chosen",
    "flushing_denormals",
    "keep_pages",
    "linear",
    "measure",
    "rounding",
    "rounds_on_processors",
    "transposed",
    "use",
]
