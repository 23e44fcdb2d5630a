"""Classes are numbered for the model and keep their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vaekit import data
from vaekit.data import as_dataset
from vaekit.data.labels import renumbering
from vaekit.errors import UserError

X = np.random.default_rng(0).normal(size=(6, 2))
LABELS = {
    "words": (["rose", "iris", "rose", "", "iris", "rose"], ("iris", "rose"), [1, 0, 1, -1, 0, 1]),
    "numbers": ([7, 3, 7, -1, 3, 7], (3, 7), [1, 0, 1, -1, 0, 1]),
    "from 0": ([0, 1, 2, 0, 1, 2], (0, 1, 2), [0, 1, 2, 0, 1, 2]),
}


@pytest.mark.parametrize("name", LABELS)
def test_classes_come_back_as_they_were(name: str) -> None:
    given, classes, numbers = LABELS[name]
    found = as_dataset(X, np.array(given), whole=True)
    assert (found.classes, found.num_classes) == (classes, len(classes))
    assert found.train.label is not None
    assert found.train.label.tolist() == numbers
    assert found.written(found.train.label).tolist() == given
    assert found.document["classes"] == list(classes)


def test_a_file_with_some_classes_gets_the_numbers_of_the_run() -> None:
    run = ("iris", "rose", "setosa")
    found = as_dataset(X, np.array(["setosa", "iris"] * 3), whole=True).numbered_as(run)
    assert found.train.label is not None
    assert found.train.label.tolist() == [2, 0] * 3
    assert found.classes == run
    assert found.conditioned(3).train.condition.tolist()[0] == [0, 0, 1]  # type: ignore[union-attr]
    numbers = as_dataset(X, np.array([2, 0] * 3), whole=True).numbered_as((0, 1, 2))
    assert numbers.train.label is not None
    assert numbers.train.label.tolist() == [2, 0] * 3


def test_a_new_class_is_refused_or_comes_after_the_others() -> None:
    found = as_dataset(X, np.array(["setsa", "iris", ""] * 2), whole=True)
    with pytest.raises(UserError) as caught:
        found.numbered_as(("iris", "rose", "setosa"))
    assert str(caught.value) == (
        "unknown class in the labels of array 'setsa'; known: iris, rose, setosa.\nhint: did you mean setosa?"
    )
    more = found.numbered_as(("iris", "rose", "setosa"), others=True)
    assert more.train.label is not None
    assert more.train.label.tolist() == [3, 0, -1] * 2
    assert more.written(more.train.label).tolist() == ["setsa", "iris", ""] * 2


def test_a_number_is_the_same_class_as_its_word() -> None:
    table, classes = renumbering((1, 2), ("1", "2", "x"), "x.csv", others=False)
    assert table.tolist() == [0, 1, -1]
    assert classes == ("1", "2", "x")


def test_what_knows_no_classes_stays() -> None:
    found = as_dataset(X, whole=True)
    assert found.classes == ()
    assert found.numbered_as((1, 2)) is found


def test_the_catalogue_has_classes() -> None:
    digits = data.load("digits")
    assert digits.classes == tuple(range(10))
    assert digits.written(np.array([3, -1])).tolist() == [3, -1]


def test_a_condition_after_a_file_for_a_finished_model(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,kind\n1.5,2,x\n2.5,3,y\n")
    found = data.load_rows(f"{path}:label=kind,condition=label")
    assert (found.classes, found.condition_dim) == (("x", "y"), 0)
    with pytest.raises(UserError, match="unknown condition 'kind'; known: label"):
        data.load_rows(f"{path}:condition=kind")
