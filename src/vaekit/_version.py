"""Version, in a file of its own so that ``vaekit --version`` imports nothing heavy."""

__version__ = "0.1.0"
