"""Papers whose experiments are run again: each is a function from a request to rows of a results table."""

from vaekit.papers import dlgm, ladder, tf_tutorial
from vaekit.papers.paper import Paper, Reproduction, Request, Row, find, papers

__all__ = ["Paper", "Reproduction", "Request", "Row", "dlgm", "find", "ladder", "papers", "tf_tutorial"]
