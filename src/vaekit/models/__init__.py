"""Graphs of random variables. They know how to draw; they know nothing about losses."""

from vaekit.data.batch import Batch
from vaekit.models.draw import Draw, Latent, draw_latents
from vaekit.models.hamiltonian import Hamiltonian
from vaekit.models.m2 import M2
from vaekit.models.vae import VAE

__all__ = ["M2", "VAE", "Batch", "Draw", "Hamiltonian", "Latent", "draw_latents"]
