"""Rebuilding of a part from its document and its tensors, bit for bit."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from vaekit.parts.foreign import foreign_values
from vaekit.parts.record import from_document, is_part, to_document
from vaekit.testing.statistics import assert_same, reproducible, seeded


@reproducible
def check_rebuilds(part: Any, call: Callable[[Any], Any]) -> Any:
    """Write a part as JSON and safetensors, rebuild it, and compare what it answers, bit for bit.

    A part with modules inside whose class is not registered cannot be rebuilt: a copy of it is given the tensors.

    Args:
        part: a registered part, in any mode and number type.
        call: what to ask of it: a function of the part that returns tensors (alone, in tuples or in
            mappings). Both are asked with the same random numbers.

    Returns:
        The rebuilt part.

    Raises:
        AssertionError: if it is not a part, its document is not JSON, or the answers differ.
    """
    assert is_part(part), f"{type(part).__name__} is not a part: mark its class with vaekit.part('slot/name')"
    try:
        text = json.dumps(to_document(part))
    except TypeError as error:
        raise AssertionError(f"{type(part).__name__} cannot be written as JSON: {error}") from error
    document = json.loads(text)
    rebuilt = _emptied(copy.deepcopy(part)) if any(foreign_values(document)) else from_document(document)
    assert json.dumps(to_document(rebuilt)) == text, f"{type(part).__name__} writes another document once rebuilt"
    for ours, theirs in zip(_modules_of(part), _modules_of(rebuilt), strict=True):
        _carry_over(ours, theirs)
    with seeded(0):
        before = call(part)
    with seeded(0):
        after = call(rebuilt)
    _compare(after, before, f"{type(part).__name__} rebuilt")
    return rebuilt


@torch.no_grad()
def _emptied(part: Any) -> Any:
    """With all tensors that are saved at 0."""
    for module in _modules_of(part):
        for tensor in module.state_dict().values():
            tensor.zero_()
    return part


def _modules_of(part: Any) -> tuple[nn.Module, ...]:
    """What has tensors: the part itself, or the networks of an objective that is a value."""
    if isinstance(part, nn.Module):
        return (part,)
    return part.networks() if hasattr(part, "networks") else ()


def _carry_over(part: nn.Module, rebuilt: nn.Module) -> None:
    """Tensors by way of a file; mode and number type by hand, which are not a part's own."""
    floating = [tensor.dtype for tensor in (*part.parameters(), *part.buffers()) if tensor.is_floating_point()]
    if floating:
        rebuilt.to(floating[0])
    for ours, theirs in zip(part.modules(), rebuilt.modules(), strict=True):
        theirs.training = ours.training
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.safetensors"
        save_model(part, str(path))
        load_model(rebuilt, path)


def _compare(after: Any, before: Any, what: str) -> None:
    if isinstance(before, Tensor):
        assert isinstance(after, Tensor)
        assert_same(after, before, what)
    elif isinstance(before, Mapping):
        assert list(before) == list(after), f"{what}: the names differ: {list(before)} and {list(after)}"
        for key in before:
            _compare(after[key], before[key], f"{what}, {key}")
    elif isinstance(before, (tuple, list)):
        for index, (one, other) in enumerate(zip(after, before, strict=True)):
            _compare(one, other, f"{what}, item {index}")
    else:
        assert before == after or before is after, f"{what}: {before!r} became {after!r}"
