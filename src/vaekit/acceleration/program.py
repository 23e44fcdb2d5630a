"""Compiled programs: a step written down as a list of operations and compiled as a whole.

Python runs them two last times, and every operation that reaches torch is noted, those of a backward pass and of an
optimiser among them. What is neither an input nor made inside becomes an input too, so that nothing is remembered
as it was on that day; what Python itself counts or draws would be, and the two lists then differ. torch's inductor
turns the list into loops that go over memory once where torch goes over it for each operation. What was made before, by
any process of this machine, is found again by its list.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vaekit.acceleration.compiler import OPTIONS, inductor
from vaekit.acceleration.decompositions import plain
from vaekit.acceleration.program_cache import Library, kept, name_of
from vaekit.kernels.noise import same_noise_after
from vaekit.kernels.tracing import NUMBER_ASKED, tracing

FAR, NEAR, ROUNDING = 0.1, 1e-2, 1e-6  # what may differ: of a change; of that, of the largest change; of a number
# What torch says, and what it means.
MEANT = {
    "trying to get value out of a tracing tensor": NUMBER_ASKED,
    "No working C++ compiler": "no C++ compiler was found (install g++, or name one in the variable CXX)",
    "Python.h: No such file": "the headers of Python were not found (install python3-dev)",
}

Call = Callable[[], Any]


class NotWritable(Exception):
    """It cannot be written down or compiled; the message says why."""


def program(
    step: Callable[[], object], inputs: Sequence[Tensor], *, together: Sequence[Tensor] = (), far: float = FAR
) -> Call:
    """What does what the step does, to the same tensors.

    Args:
        step: what to do; it is run, for real, once or twice, and what was given is then put back.
        inputs: what it reads that changes between steps, and what it writes to; each must come out as without the
            compiler.
        together: the same, where this holds for all of them together. Adam makes a step of any gradient, however near
            to 0, and a single tensor may have no others: the bias before a batch norm.
        far: by what part of what it changes the program may miss what the step does.

    Raises:
        NotWritable: if the step asks for a number in the middle, or is not the same operations every time; if the
            compiler gives up, or if what it has made does something else: it is tried once before it is trusted.
    """
    given = [*inputs, *together]
    before = _copies(given)

    def listed() -> _List:
        try:
            return _List(step, given)
        except Exception as error:  # whatever a model may say
            raise NotWritable(_words(error)) from error

    one = listed()
    # The same memory, without a gradient to look after.
    everything = [each.detach() for each in (*given, *one.held)]
    _put_back(everything, before)

    def tried(make: Callable[[], Callable[..., Any] | None]) -> Callable[..., Any] | str:
        """What it makes, or why that is of no use."""
        try:
            made = make()
            if made is not None and _alike(one.graph, made, everything, len(inputs), len(given), far):
                return made
        except Exception as error:  # whatever a compiler may say
            logging.getLogger(__name__).debug("not compiled", exc_info=error)
            _put_back(everything, before)
            return _words(error)
        return "the compiler has made something else of them"

    name = name_of(f"{one.graph.code} {OPTIONS}", everything)
    found = tried(lambda: kept(name))  # that two steps have one list was seen when it was made
    if isinstance(found, str):
        _check(one, listed())
        _put_back(everything, before)
        first = tried(lambda: inductor(one.graph, everything, False))
        found = tried(lambda: inductor(one.graph, everything, True)) if isinstance(first, str) else first
        if isinstance(found, str):
            raise NotWritable(first)
        if isinstance(found, Library):
            found.keep(name)
    return partial(found, *everything)


class _List:
    """The operations of a step.

    Args:
        step: what is done; it is done for real.
        given: the inputs of the list.

    Attributes:
        graph: the list.
        held: tensors that it would remember; they are inputs too, behind those that are given.
    """

    def __init__(self, step: Callable[[], object], given: Sequence[Tensor]) -> None:
        from torch.fx.experimental.proxy_tensor import make_fx

        def written(*_: Tensor) -> tuple[()]:
            step()
            return ()

        with tracing():
            self.graph: Any = make_fx(written, decomposition_table=plain())(*given)
        self.held = _lift(self.graph, len(given))


def _check(one: _List, other: _List) -> None:
    """Check that the lists of two steps are the same.

    Raises:
        NotWritable: if the lists of two steps differ, or those of others could.
    """
    if any(_sized_by_numbers(node) for node in one.graph.graph.nodes):
        raise NotWritable("how long something in them is depends on its numbers")
    if one.graph.code != other.graph.code or not all(map(_same, one.held, other.held)):
        raise NotWritable("something in them is counted, drawn or kept by Python, and another one in each step")


def _sized_by_numbers(node: Any) -> bool:
    """Whether the shape of what comes out depends on numbers, as that of ``x[x > 0]`` does and that of ``x[0]`` not."""
    if node.target is torch.ops.aten.index.Tensor:
        return any(each is not None and each.meta["val"].dtype in (torch.bool, torch.uint8) for each in node.args[1])
    return torch.Tag.dynamic_output_shape in getattr(node.target, "tags", ())


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and not _apart(one, other).any())


def _words(error: Exception) -> str:
    """What it says, in a line: the first, or what the C++ compiler complains of."""
    said = str(error).strip()
    complaint = re.search(r"\b(fatal error|error): .*", said)
    words = (complaint[0] if complaint else said.partition("\n")[0]).rstrip(".") or type(error).__name__
    return next((meant for said, meant in MEANT.items() if said in words), words)


def _alike(
    graph: Any, compiled: Callable[..., Any], tensors: Sequence[Tensor], single: int, count: int, far: float
) -> bool:
    """Whether both do the same to the first ``count`` tensors, which afterwards are as they were."""
    moved = tensors[:count]

    def taken(way: Callable[..., Any]) -> list[Tensor]:
        before = _copies(moved)
        with same_noise_after(moved[0].device):
            way(*tensors)
        after = _copies(moved)
        _put_back(moved, before)
        return after

    def norms(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
        each = torch.stack([_apart(a, b).norm() for a, b in zip(one, other, strict=True)])
        return torch.cat([each[:single], each[single:].norm().unsqueeze(0)])

    right, told = taken(graph), taken(compiled)
    wrong, change = norms(right, told), norms(right, moved).nan_to_num()
    finite = [each.where(each.isfinite(), 0) for each in moved]
    size = norms(finite, [torch.zeros_like(each) for each in moved])
    return bool((wrong <= far * (change + NEAR * change[:single].max()) + ROUNDING * size).all())


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """The difference, 0 where both are the same infinity or no number."""
    same = (one == other) | (one.isnan() & other.isnan())
    return (one.double() - other.double()).where(~same, 0)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [each.detach().clone() for each in tensors]


def _put_back(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for each, value in zip(tensors, values, strict=False):
        each.copy_(value)


def _lift(graph: Any, count: int) -> list[Tensor]:
    """Make inputs of the tensors that the graph holds, behind the ``count`` that it has; they are returned."""
    nodes = graph.graph
    places = [node for node in nodes.nodes if node.op == "placeholder"]
    assert len(places) == count
    held: dict[str, Any] = {}
    tensors: list[Tensor] = []
    for node in [node for node in nodes.nodes if node.op == "get_attr"]:
        if node.target not in held:
            with nodes.inserting_after(places[-1] if places else None):
                held[node.target] = nodes.placeholder(f"held_{len(tensors)}")
            places.append(held[node.target])
            tensors.append(_named(graph, node.target))
        node.replace_all_uses_with(held[node.target])
        nodes.erase_node(node)
    for name in held:  # or the compiler would take each for an input once more
        delattr(graph, name)
    graph.recompile()
    return tensors


def _named(graph: Any, name: str) -> Tensor:
    for piece in name.split("."):
        graph = getattr(graph, piece)
    return graph
