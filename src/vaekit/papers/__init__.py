"""Papers whose experiments are run again: each is a function from a request to rows of a results table."""

from vaekit.papers import classical, tf_tutorial
from vaekit.papers.paper import Paper, Reproduction, Request, Row, find, papers

__all__ = ["Paper", "Reproduction", "Request", "Row", "classical", "find", "papers", "tf_tutorial"]
