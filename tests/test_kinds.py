"""What the numbers of a data set are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vaekit as vk
from vaekit.data.dataset import Split
from vaekit.data.kinds import Binary, Categories, Counts, GreyLevels, Real
from vaekit.data.loader import Loader
from vaekit.parts.record import from_document, parts, to_document
from vaekit.parts.specification import parse
from vaekit.testing import assert_mean, seeded

KINDS = [
    Binary(),
    Binary(levels=256),
    Binary(levels=256, binarization="dynamic"),
    GreyLevels(),
    GreyLevels(17),
    Real(),
    Counts(),
    Categories(5),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.describe())
def test_prepared_batches_have_the_stated_shape_and_type(kind) -> None:
    raw = torch.randint(2, (4, 3, 2), dtype=torch.uint8)
    x = kind.prepare(raw)
    assert x.shape == (4, *kind.event_shape((3, 2)))
    assert x.dtype == torch.get_default_dtype()
    assert from_document(to_document(kind)) == kind
    name = parse(kind.default_likelihood)[0]
    assert name in parts("likelihood")
    discrete = parts("likelihood")[name].discrete
    assert discrete == (not isinstance(kind, Real)), "the default likelihood gives masses to what can be counted"


def test_grey_levels_meet_the_levels_of_their_likelihood() -> None:
    torch.manual_seed(0)
    kind = GreyLevels(17)
    x = kind.prepare(torch.arange(17, dtype=torch.uint8)[:, None])
    likelihood = vk.recipes.make_part("likelihood", kind.default_likelihood, network=vk.networks.MLP(2), shape=(1,))
    p = likelihood(torch.randn(1, 2))
    assert abs(p.log_prob(x).exp().sum().item() - 1) < 1e-5
    assert x.min() == 0
    assert x.max() == 1


def test_static_binary_values_are_final() -> None:
    raw = torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8)
    assert torch.equal(Binary().prepare(raw), raw.float())
    assert torch.equal(Binary(levels=256).prepare(torch.tensor([0, 51, 255])), torch.tensor([0, 0.2, 1]))


def test_dynamic_binarisation_draws_afresh_with_the_grey_level_as_its_mean() -> None:
    kind = Binary(levels=256, binarization="dynamic")
    raw = torch.tensor([0, 25, 128, 200, 255], dtype=torch.uint8)
    with seeded():
        drawn = torch.stack([kind.prepare(raw) for _ in range(4000)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert_mean(drawn, raw.double() / 255, "the mean of dynamic binarisation")


def test_categories_are_one_hot() -> None:
    x = Categories(4).prepare(torch.tensor([[2, 0]]))
    assert x.tolist() == [[[0, 0, 1, 0], [1, 0, 0, 0]]]


def test_real_and_counts_are_as_stored() -> None:
    raw = torch.tensor([[0.0, 3.0, 7.0]], dtype=torch.float64)
    assert Real().prepare(raw).tolist() == Counts().prepare(raw).tolist() == raw.tolist()


@pytest.mark.parametrize("mapped", [False, True])
def test_loader_gathers_the_rows_asked_for(mapped: bool, tmp_path) -> None:
    stored = np.arange(60, dtype=np.float32).reshape(20, 3)
    label = np.arange(20) - 1
    if mapped:
        np.save(tmp_path / "x.npy", stored)
        x = np.load(tmp_path / "x.npy", mmap_mode="r")
    else:
        x = stored
    loader = Loader(Split(x, label), Real(), batch_size=8)
    indices = torch.tensor([5, 3, 3, 19])
    batch = loader.rows(indices)
    assert torch.equal(batch.x, torch.from_numpy(stored)[indices])
    assert batch.label is not None
    assert batch.label.tolist() == [4, 2, 2, 18]
    assert [len(batch.x) for batch in loader] == [8, 8, 4]
    assert torch.equal(torch.cat([batch.x for batch in loader]), torch.from_numpy(stored))
    assert sorted(loader.order(0, 0).tolist()) == list(range(20))
    assert torch.equal(loader.order(3, 4), loader.order(3, 4))
    assert not torch.equal(loader.order(3, 4), loader.order(3, 5))
