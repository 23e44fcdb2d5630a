"""Inductor: from a list of operations to compiled loops."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from vaekit.acceleration.program_cache import Library

OPTIONS: dict[str, Any] = {"fallback_random": True}  # torch's own numbers, in the order in which they are asked for
# What calls the loops is long in a deep model: it is not worth a compiler's efforts, and nobody looks into it.
AHEAD = {
    "aot_inductor.compile_wrapper_opt_level": "O0",
    "aot_inductor.enable_line_tables": False,
    "aot_inductor.enable_frame_pointer": False,
    "aot_inductor.precompile_headers": False,  # it pays only after several programs
}
CAREFUL = {"max_fusion_size": 8}  # with more than that it gives up on some steps, and is wrong on others


def inductor(graph: Any, inputs: Sequence[Tensor], careful: bool) -> Callable[..., Any]:
    """What does to the inputs what the list does; with few operations in a loop if the compiler is to be careful."""
    import torch._inductor as compiler
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    shapes = FakeTensorMode(shape_env=ShapeEnv())
    examples: list[Any] = [shapes.from_tensor(each, static_shapes=True) for each in inputs]
    for node, example in zip(graph.graph.nodes, examples, strict=False):
        node.meta["val"] = example
    logging.getLogger("torch._inductor").setLevel(logging.ERROR)  # it thinks aloud of what it finds slow
    options = OPTIONS | (CAREFUL if careful else {})
    if inputs[0].device.type != "cpu":
        return cast(Any, compiler.compile(graph, examples, options=options))
    # On a processor Python would take longer to call some loops than they take: they are called from the library.
    with warnings.catch_warnings(action="ignore"):  # it warns of itself
        library = compiler.aot_compile(graph, tuple(examples), options=options | AHEAD)
    return Library(Path(cast(str, library)))
