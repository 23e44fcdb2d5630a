"""Papers whose experiments are run again: each is a function from a request to rows of a results table."""

from vaekit.papers import aevb, classical, covariance, dlgm, iwae, ladder, tf_tutorial, vampprior
from vaekit.papers.paper import Paper, Reproduction, Request, Row, find, papers

__all__ = [
    "Paper",
    "Reproduction",
    "Request",
    "Row",
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
