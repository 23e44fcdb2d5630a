"""All papers that can be reproduced: importing this module enters each in the list."""

from vaekit.papers import aevb, classical, covariance, dlgm, iwae, ladder, tf_tutorial, vampprior
from vaekit.papers.paper import find, papers

__all__ = [
    "aevb",
    "classical",
    "covariance",
    "dlgm",
    "find",
    "iwae",
    "ladder",
    "papers",
    "tf_tutorial",
    "vampprior",
]
