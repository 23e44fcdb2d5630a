"""Every example in a docstring runs as it stands."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys

import pytest
import torch

import vaekit


def module_names() -> list[str]:
    # Not the command line, whose examples are run as commands.
    walked = pkgutil.iter_modules(vaekit.__path__, "vaekit.")
    tops = [module for module in walked if module.name not in ("vaekit.cli", "vaekit.__main__")]
    inside = [
        module.name
        for top in tops
        if top.ispkg
        for module in pkgutil.walk_packages(importlib.import_module(top.name).__path__, f"{top.name}.")
    ]
    return ["vaekit", *(top.name for top in tops), *inside]


@pytest.mark.parametrize("name", module_names())
def test_examples(name: str) -> None:
    importlib.import_module(name)
    module = sys.modules[name]  # importlib's answer may be hidden by a name of the package
    torch.manual_seed(0)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0, f"{failed} examples of {name} do not say what happens (see the captured output)"


def test_there_are_examples_to_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    counts = [
        len(test.examples)
        for name in module_names()
        for test in finder.find(importlib.import_module(name) and sys.modules[name])
    ]
    assert sum(counts) > 40
