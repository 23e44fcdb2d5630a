"""Acceleration: steps captured, compiled and replayed. The plain step is the truth; this folder may be switched off."""
