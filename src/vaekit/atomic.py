"""Atomic writes, and safetensors files."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vaekit.errors import UserError

NEW = ".new"  # in a run folder: the run that is to take its place
ASIDE = "config.before.json"  # in there: the configuration of the run that is just being replaced


class NotWritten(UserError):
    """Something cannot be written; what stood at its place still does.

    Args:
        path: what.
        reason: why: no space, read-only …
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path} cannot be written: {reason}.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context that gives failed writes of a path their sentence.

    Raises:
        NotWritten: of ``path``, instead of any ``OSError`` inside or of what was said of a path below it.
    """
    try:
        yield
    except NotWritten as error:
        raise NotWritten(path, error.reason) from error
    except BrokenPipeError:
        raise  # that is stdout or stderr, and no file
    except OSError as error:
        # Making a folder where a file stands "exists" already.
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror or f"{error}"
        raise NotWritten(path, reason) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place at the end, if nothing went wrong.

    Raises:
        NotWritten: if it cannot be written; then nothing has changed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a path is a temporary one of :func:`replacing` that a killed process left."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def write_json(path: Path, document: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        UserError: if the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        new = path.parent / NEW
        if (new / ASIDE).exists():
            raise UserError(
                f"{path} is not there: a new run was just taking the place of the one before when it was killed.",
                hint=f"vaekit train --resume {shlex.quote(f'{new}')} finishes that.",
            ) from None
        raise UserError(f"{path} is not there: {path.parent} is not a run folder.") from None
    except RecursionError:
        raise UserError(f"{path} is damaged: it is nested too deep.") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, durable before it takes the place of the last one."""
    data = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata=dict(metadata or {})
    )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Raises:
        UserError: if the file is missing or damaged.
    """
    if not path.exists():
        raise UserError(f"{path} is not there.", hint="the run may have stopped before its first epoch ended.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is damaged: {error}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def module_tensors(module: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers, each once even if it is reached by several names."""
    seen: set[int] = set()
    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor
    return tensors


@torch.no_grad()
def load_module_tensors(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Copy tensors written from :func:`module_tensors` into a module of the same make.

    Raises:
        UserError: if names or shapes differ.
    """
    own = module_tensors(module)
    if own.keys() != tensors.keys():
        wrong = sorted(own.keys() ^ tensors.keys())
        raise UserError(f"{where} does not fit the model: {len(wrong)} tensors differ, such as '{wrong[0]}'.")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise UserError(
                f"{where} does not fit the model: '{name}' has shape {tuple(tensors[name].shape)}, "
                f"expected {tuple(tensor.shape)}."
            )
        tensor.copy_(tensors[name])
