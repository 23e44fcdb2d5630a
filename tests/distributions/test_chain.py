"""A chain of conditional distributions."""

from __future__ import annotations

import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from vaekit.distributions import Chain, levels
from vaekit.testing import assert_equal, check_density, seeded


def gaussian(loc: torch.Tensor, scale: float) -> Independent:
    return Independent(Normal(loc, scale), 1)


def chain() -> Chain:
    """a ~ N(0, 1), b | a ~ N(2a, ½²)."""
    return Chain(
        {"a": lambda before: gaussian(torch.zeros(1).double(), 1.0), "b": lambda before: gaussian(2 * before["a"], 0.5)}
    )


def test_log_prob_is_the_sum_of_its_levels() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 1).double()
    expected = Normal(0, 1).log_prob(a) + Normal(2 * a, 0.5).log_prob(b)
    assert_equal(chain().log_prob({"b": b, "a": a}), expected[..., 0], "log p")


def test_it_is_the_joint_gaussian() -> None:
    torch.manual_seed(0)
    joint = MultivariateNormal(torch.zeros(2).double(), torch.tensor([[1.0, 2.0], [2.0, 4.25]]).double())
    z = torch.randn(6, 2).double()
    assert_equal(chain().log_prob({"a": z[:, :1], "b": z[:, 1:]}), joint.log_prob(z), "log p")
    drawn = chain().sample(torch.Size([20_000]))
    check_density(joint.log_prob, torch.cat([drawn["a"], drawn["b"]], dim=1), "samples of the chain against the joint")


def test_mean_follows_the_means() -> None:
    shifted = Chain(
        {"a": lambda before: gaussian(torch.ones(1), 1.0), "b": lambda before: gaussian(3 * before["a"], 1.0)}
    )
    assert {name: value.item() for name, value in shifted.mean.items()} == {"a": 1.0, "b": 3.0}


def test_first_level_is_made_once() -> None:
    calls = []

    def first(before: dict[str, torch.Tensor]) -> Independent:
        calls.append(before)
        return gaussian(torch.zeros(1), 1.0)

    p = Chain({"a": first})
    p.rsample()
    p.log_prob({"a": torch.zeros(1)})
    assert len(calls) == 1


def test_level_that_does_not_look_back_is_drawn_afresh() -> None:
    independent = Chain(
        {"a": lambda before: gaussian(torch.zeros(4, 1), 1.0), "b": lambda before: gaussian(torch.zeros(4, 2), 1.0)}
    )
    z = independent.rsample(torch.Size([3]))
    assert z["b"].shape == (3, 4, 2)
    assert not torch.equal(z["b"][0], z["b"][1])


def test_gradient_reaches_the_level_above() -> None:
    loc = torch.zeros(1, requires_grad=True)
    p = Chain({"a": lambda before: gaussian(loc, 1.0), "b": lambda before: gaussian(before["a"], 1.0)})
    p.rsample()["b"].sum().backward()
    assert loc.grad is not None
    assert loc.grad.item() == 1.0
    assert not p.sample()["b"].requires_grad


def test_any_distribution_is_a_chain_of_one_level() -> None:
    single = gaussian(torch.zeros(2), 1.0)
    assert list(levels(single)) == ["z"]
    assert levels(single)["z"]({}) is single
    wrapped = Chain({"z": lambda before: single})
    with seeded():
        one = wrapped.rsample(torch.Size([3]))["z"]
    with seeded():
        other = single.rsample(torch.Size([3]))
    assert torch.equal(one, other)
