"""Options that several verbs share, spelled once."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import math
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vaekit.checks import check_whole
from vaekit.errors import UserError

if TYPE_CHECKING:
    from vaekit.data import Dataset
    from vaekit.training import Run


def given(metavar: str) -> Any:
    """How an option looks that is ``None`` unless it is given; its own text says what holds otherwise."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


RunFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder")]
Data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA", help="a data set: its name or path")]
OptionalData = Annotated[
    str | None,
    tyro.conf.Positional,
    tyro.conf.arg(
        metavar="[DATA]", help="a data set: its name or path (default: that of the run)", help_behavior_hint=""
    ),
]
ClassName = Annotated[
    str | None,
    tyro.conf.arg(
        metavar="CLASS",
        help="of a model that knows labels: which class, as it is called in the data (default: all in turn)",
        help_behavior_hint="",
    ),
]
OutFile = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
SplitName = Annotated[
    Literal["train", "validation", "test", "all"] | None,
    tyro.conf.arg(
        metavar="SPLIT",
        help="train, validation, test or all (default: test; all rows of a file without such parts)",
        help_behavior_hint="",
    ),
]

Json = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(name="json", help="print one JSON object")]
Parts = Annotated[
    tuple[Path, ...],
    tyro.conf.arg(
        metavar="FILE.py …", help="Python files of your own that define parts; they are run", help_behavior_hint=""
    ),
]


def compiling(asked: bool, refused: bool) -> bool | None:
    """What --compile and --no-compile say together; ``None`` where neither is given.

    Raises:
        UserError: if both are.
    """
    if asked and refused:
        raise UserError("--compile and --no-compile cannot both be given: leave one of them out.")
    return asked if asked or refused else None


def import_parts(files: tuple[Path, ...]) -> None:
    """Run the user's files, so that the parts in them are registered.

    Raises:
        UserError: if a file is not there or fails.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is not there (--parts).")
        loader = importlib.machinery.SourceFileLoader(file.stem, str(file))
        specification = importlib.util.spec_from_loader(file.stem, loader)
        assert specification is not None
        try:
            loader.exec_module(importlib.util.module_from_spec(specification))
        except Exception as error:
            own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
            line = error.lineno if isinstance(error, SyntaxError) else own[-1] if own else "?"
            raise UserError(f"{file} (--parts) failed in line {line}: {type(error).__name__}: {error}.") from error


def open_run(folder: Path, device: str = "auto") -> Run:
    """A run with its model on the device.

    Raises:
        UserError: if the folder is not a run folder or the device is not there.
    """
    from vaekit.distributed.device import choose_device
    from vaekit.training import load

    return load(folder).to(choose_device(device))


def data_for(run: Run, text: str | None, split: str | None) -> tuple[Dataset, str]:
    """The data asked for, checked against the model, and the split of it.

    Without ``text`` it is the run's own data. The split is ``test`` unless another is asked for; of a
    file that brings no parts of its own it is ``all``: its rows, in their order.

    Raises:
        UserError: if it cannot be had, has no such split or does not fit the model.
    """
    from vaekit.data import load_rows

    chosen = run.read(None if text is None else load_rows(text, run.kind))
    undivided = chosen.train.x is chosen.test.x
    if split not in (None, "all") and not chosen.has(split):
        raise UserError(
            f"{text} has no {split} split of its own.",
            hint=f"leave --split out; without DATA it is the {split} split of the run's own data.",
        )
    return chosen, split or ("all" if undivided else "test")


def print_json(document: Any) -> None:
    """One JSON object on stdout; what is infinite or not a number is ``null``."""
    print(json.dumps(_finite(document)))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_numbers(**numbers: int | None) -> None:
    """Range check of options that count something.

    Raises:
        UserError: if one that is given is not at least 1 (``seed``: 0).
    """
    for name, value in numbers.items():
        if value is None:
            continue
        try:
            check_whole(f"--{name}", value, 0 if name == "seed" else 1)
        except ValueError as error:
            raise UserError(f"{error}.") from None
