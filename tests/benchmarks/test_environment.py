"""A peer's environment is made once, and again when what it is made of has changed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from vaekit.errors import UserError


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Stands for venv and pip: counts installations, and fails if it is told to."""
    environment = importlib.import_module("environment")
    state = SimpleNamespace(environment=environment, commands=[], code=0)

    def run(command, **_):
        state.commands.append(command)
        return SimpleNamespace(
            returncode=state.code, stderr="WARNING: old\nERROR: No matching distribution for peer.\n"
        )

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environment.venv, "create", lambda folder, with_pip: folder.mkdir(parents=True))
    monkeypatch.setattr(environment.subprocess, "run", run)
    return state


def test_it_is_made_once_under_the_cache_with_our_versions(pip, tmp_path: Path) -> None:
    first = pip.environment.python_with("peer", ("torch", "peer"))
    assert pip.environment.python_with("peer", ("torch", "peer")) == first
    assert first.is_relative_to(tmp_path / "vaekit" / "peers" / "peer")
    assert len(pip.commands) == 1
    assert pip.commands[0][-2:] == ["torch", "peer"]
    assert pip.commands[0][pip.commands[0].index("-c") + 1] == str(pip.environment.CONSTRAINTS)
    assert pip.environment.CONSTRAINTS.is_file()


def test_other_requirements_make_it_again(pip) -> None:
    pip.environment.python_with("peer", ("peer",))
    pip.environment.python_with("peer", ("peer", "more"))
    assert len(pip.commands) == 2


def test_a_failed_installation_is_tried_again(pip) -> None:
    pip.code = 1
    for _ in range(2):
        with pytest.raises(UserError, match=r"peer cannot be installed into .*: No matching distribution for peer\."):
            pip.environment.python_with("peer", ("peer",))
    assert len(pip.commands) == 2
