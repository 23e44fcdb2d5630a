"""Programs that are kept are found again, and only where they are the right ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from vaekit.acceleration import program as programs
from vaekit.acceleration import program_cache as library
from vaekit.acceleration.program import program

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")

Asked = list[bool]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """One entry for each time that the compiler is asked."""
    asked: Asked = []
    inductor = programs.inductor

    def noting(graph: Any, inputs: Any, careful: bool) -> Callable[..., Any]:
        asked.append(careful)
        return inductor(graph, inputs, careful)

    monkeypatch.setattr(programs, "inductor", noting)
    return asked


def doubled(x: Tensor, out: Tensor) -> Callable[[], object]:
    return lambda: out.copy_(2 * x)


def tripled(x: Tensor, out: Tensor) -> Callable[[], object]:
    return lambda: out.copy_(3 * x)


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "vaekit/programs").glob("*.so"))


def check(step: Callable[[Tensor, Tensor], Callable[[], object]], factor: float, size: int = 5) -> None:
    x, out = torch.arange(float(size)), torch.zeros(size)
    run = program(step(x, out), [x, out])
    x += 1
    run()
    torch.testing.assert_close(out, factor * x)


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with the program of ``doubled``: a second of the compiler's time is ten of the tests'."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        check(doubled, 2)
    return folder


@pytest.fixture
def ready(compiled_once: Path, own_cache: Path) -> Path:
    """The test's own cache folder, which holds that program."""
    shutil.copytree(compiled_once, own_cache, dirs_exist_ok=True)
    return own_cache


def test_a_kept_program_needs_no_compiler(asked: Asked, own_cache: Path) -> None:
    check(doubled, 2)
    check(doubled, 2)
    assert asked == [False]
    assert len(kept(own_cache)) == 1


@pytest.mark.parametrize("other", ["nothing", "operations", "shape", "threads", "torch", "processor"])
def test_another_program_is_another(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(programs, "kept", names.append)  # and none is
    monkeypatch.setattr(programs, "inductor", lambda graph, *_: graph)
    threads = torch.get_num_threads()
    check(doubled, 2)
    try:
        if other == "threads":
            torch.set_num_threads(threads + 1)
        if other == "torch":
            monkeypatch.setattr(torch, "__version__", "2.99.0")
        if other == "processor":
            monkeypatch.setattr(library, "instructions", lambda: "none at all")
        step, factor = (tripled, 3) if other == "operations" else (doubled, 2)
        check(step, factor, size=6 if other == "shape" else 5)
    finally:
        torch.set_num_threads(threads)
    assert len(set(names)) == (1 if other == "nothing" else 2)


def test_a_file_that_is_no_library_is_replaced(asked: Asked, ready: Path) -> None:
    (path,) = kept(ready)
    whole = path.stat().st_size
    path.write_bytes(b"no library")
    check(doubled, 2)
    assert asked == [False]
    assert path.stat().st_size == whole


@pytest.mark.slow
def test_a_library_that_does_something_else_is_not_trusted(asked: Asked, own_cache: Path) -> None:
    check(doubled, 2)
    (path,) = kept(own_cache)
    check(tripled, 3)
    (other,) = set(kept(own_cache)) - {path}
    path.unlink()
    shutil.copy(other, path)
    check(doubled, 2)
    assert asked == [False] * 3


def test_a_step_that_changes_is_never_kept(asked: Asked, own_cache: Path) -> None:
    x, out, times = torch.arange(5.0), torch.zeros(5), [0.0]

    def counting() -> None:
        times[0] += 1
        out.copy_(times[0] * x)

    for _ in range(2):
        with pytest.raises(programs.NotWritable, match="counted"):
            program(counting, [x, out])
    assert not asked
    assert not kept(own_cache)


@pytest.mark.slow
def test_operations_without_a_call_of_their_own_are_kept_too(asked: Asked, own_cache: Path) -> None:
    """torch writes down beside the library how they are called."""
    concentration, out = torch.full((200,), 2.0), torch.zeros(200)

    def step() -> None:
        out.copy_(cast(Any, torch)._standard_gamma(concentration))

    drawn = []
    for _ in range(2):
        run = program(step, [concentration, out])
        torch.manual_seed(3)
        run()
        drawn.append(out.clone())
    assert asked == [False]
    assert {path.suffix for path in (own_cache / "vaekit/programs").iterdir()} == {".json", ".so"}
    torch.manual_seed(3)
    step()
    torch.testing.assert_close(drawn[0], out)
    torch.testing.assert_close(drawn[1], out)
    (beside,) = (own_cache / "vaekit/programs").glob("*.json")
    beside.unlink()
    program(step, [concentration, out])
    assert asked == [False, False]
    assert beside.exists()


def test_those_not_asked_for_the_longest_go(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(doubled, 2)
    (path,) = kept(ready)
    made = library.Library(path)
    for age, name in enumerate(["young", "older", "oldest"]):
        made.keep(name)
        os.utime(path.with_stem(name), (1e9 - age, 1e9 - age))
    path.with_name("older.json").touch()
    path.unlink()
    monkeypatch.setattr(library, "MOST", 3)
    assert library.kept("oldest") is not None  # asked for
    library.Library(path.with_stem("young")).keep("another")
    assert {each.stem for each in kept(ready)} == {"oldest", "young", "another"}
    assert not path.with_name("older.json").exists()


def test_what_others_have_kept_may_be_read(asked: Asked, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder that this process cannot write to."""
    check(doubled, 2)

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    check(doubled, 2)
    assert not asked
    assert len(kept(ready)) == 1


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    check(doubled, 2)
    check(doubled, 2)
    assert asked == [False, False]
