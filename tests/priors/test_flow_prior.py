"""Flows by zuko, and what loading it must not change."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.distributions import Distribution, Normal

import vaekit as vk
from vaekit.priors import Flow
from vaekit.testing import assert_equal, check_prior, seeded


@pytest.mark.parametrize("kind", ["nsf", "maf"])
@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_laws(kind: str, latent_dim: int) -> None:
    with seeded():
        check_prior(Flow(latent_dim, kind=kind, transforms=2, hidden=(8,)), latent_dim)


@pytest.mark.parametrize("kind", ["nsf", "maf"])
def test_density_is_that_of_the_jacobian(kind: str) -> None:
    with seeded():
        flow = Flow(3, kind=kind, transforms=2, hidden=(16,)).double()
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        z = torch.randn(5, 3).double()
    p = flow()
    for row in z:
        jacobian = torch.autograd.functional.jacobian(p.transform, row)
        u = p.transform(row)
        expected = Normal(0.0, 1.0).log_prob(u).sum() + torch.linalg.slogdet(jacobian).logabsdet
        assert_equal(p.log_prob(row), expected, "log N(f(z)) + log|det ∂f/∂z|")
        assert jacobian.count_nonzero() > 3  # more than a scale for each dimension


def test_a_condition_moves_the_density() -> None:
    with seeded():
        flow = Flow(2, kind="maf", hidden=(8,), condition_dim=3)
    check_prior(flow, 2, torch.randn(1, 3))
    z = torch.zeros(3, 2)
    assert len(flow(torch.eye(3)).log_prob(z).unique()) == 3


def test_bad_options_are_refused() -> None:
    with pytest.raises(vk.UserError, match="'nfs'"):
        Flow(2, kind="nfs")
    with pytest.raises(ValueError, match="at least 1"):
        Flow(2, transforms=0)
    with pytest.raises(ValueError, match="at least 1"):
        Flow(2, hidden=())


def python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_zuko_is_loaded_by_the_first_flow_and_leaves_torchs_checks_on() -> None:
    code = """
import sys, torch, vaekit as vk, vaekit.parts.registry
vk.priors.Vamp, vk.priors.StandardNormal(2)
print("zuko" in sys.modules)
vk.priors.Flow(2)()
print("zuko" in sys.modules, torch.distributions.Distribution._validate_args)
try:
    torch.distributions.Normal(0.0, -1.0)
except ValueError:
    print("checked")
"""
    assert python(code) == ["False", "True", "True", "checked"]


def test_checks_that_were_off_stay_off() -> None:
    before = Distribution._validate_args
    try:
        Distribution.set_default_validate_args(False)
        Flow(2, hidden=(4,))
        assert not Distribution._validate_args
    finally:
        Distribution.set_default_validate_args(before)
