"""Named papers: functions that assemble parts, data, objective and schedule."""

from vaekit.recipes import aae, dlgm, hamiltonian, hvae, ladder, m2, vae, vq_vae
from vaekit.recipes.compose import make_decoder, make_encoder, make_part
from vaekit.recipes.defaults import Defaults
from vaekit.recipes.recipe import Plan, Recipe, make, recipe, recipes

__all__ = [
    "Defaults",
    "Plan",
    "Recipe",
    "aae",
    "dlgm",
    "hamiltonian",
    "hvae",
    "ladder",
    "m2",
    "make",
    "make_decoder",
    "make_encoder",
    "make_part",
    "recipe",
    "recipes",
    "vae",
    "vq_vae",
]
