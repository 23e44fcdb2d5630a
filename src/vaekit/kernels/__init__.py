"""The same sums by the fastest route of the machine; torch's own is always there and always right."""

from vaekit.kernels.convolution import Shape, transposed
from vaekit.kernels.denormal import without_denormals
from vaekit.kernels.linear import linear
from vaekit.kernels.memory import keep_pages
from vaekit.kernels.route import Route, chosen, measure, use

__all__ = ["Route", "Shape", "chosen", "keep_pages", "linear", "measure", "transposed", "use", "without_denormals"]
