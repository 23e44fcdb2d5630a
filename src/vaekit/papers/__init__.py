"""Papers whose experiments are run again. :mod:`vaekit.papers.catalogue` has them all."""
