"""Acceleration: steps captured as CUDA graphs or compiled programs. What is computed plainly is the truth.

The door is :func:`capture` (a training step comes in, a step goes out) and, for a function of tensors that is called
again and again, :func:`capture_function`; :func:`why_off` says why nothing is captured. Nothing else of this folder is
imported from outside it. ``VAEKIT_ACCELERATION=off`` in the environment switches it off, and so does a torch newer than
the ones it is known to work with.
"""

from vaekit.acceleration.capture import capture
from vaekit.acceleration.functions import capture_function
from vaekit.acceleration.switch import why_off

__all__ = ["capture", "capture_function", "why_off"]
