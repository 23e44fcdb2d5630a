"""Registration of all parts: importing this module lets documents and command lines name every part of vaekit."""

# ruff: noqa: F401
import vaekit.data.kinds
import vaekit.evaluation
import vaekit.likelihoods
import vaekit.models
import vaekit.networks
import vaekit.objectives
import vaekit.papers.tutorial_networks
import vaekit.posteriors
import vaekit.priors
import vaekit.schedules
