"""One page about a run, ``report.html``: whole in itself, without a script and without the network."""

from vaekit.report.write import write_report

__all__ = ["write_report"]
