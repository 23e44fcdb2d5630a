"""A full disk or a folder that cannot be written: one sentence, and whatever was there before survives."""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_cases import assert_same_run, metrics, small_plan, train

from vaekit import training
from vaekit.cli import main
from vaekit.errors import UserError

FULL = "No space left on device"
OPTIONS = ["--network", "mlp:hidden=16", "--latent-dim", "2", "--batch-size", "16", "--quiet"]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class HalfWritten:
    """A file that takes half of what it is given, and then the disk is full.

    Args:
        file: the real one.
    """

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: Any) -> None:
        self.file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, FULL)

    def __enter__(self) -> HalfWritten:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()


@contextmanager
def full_at(number: int, what: str) -> Iterator[list[str]]:
    """The disk is full at the write, rename or new folder of that number; the list says what was done until then."""
    done: list[str] = []

    def counted(call: Callable[..., Any], counts: Callable[..., bool], broken: Callable[..., Any]) -> Any:
        def instead(*arguments: Any, **options: Any) -> Any:
            if not counts(*arguments, **options):
                return call(*arguments, **options)
            done.append(Path(arguments[0]).name)
            return broken(*arguments, **options) if len(done) == number + 1 else call(*arguments, **options)

        return instead

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, FULL, f"{arguments[0]}")

    def writes(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> bool:
        return bool(set(mode) & set("wax"))

    def changes(path: Any, *arguments: Any, **options: Any) -> bool:
        return what != "mkdir" or not os.path.exists(path)

    def half(*arguments: Any, **options: Any) -> HalfWritten:
        return HalfWritten(opened(*arguments, **options))

    opened = builtins.open
    with pytest.MonkeyPatch.context() as patch:
        if what == "write":
            for module in (builtins, io):
                patch.setattr(module, "open", counted(opened, writes, half))
        else:
            patch.setattr(os, what, counted(getattr(os, what), changes, full))
        yield done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that has room."""
    return train(small_plan(), tmp_path_factory.mktemp("whole") / "run").folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of another run, which is there before."""
    return files_of(train(small_plan(epochs=1), tmp_path_factory.mktemp("other") / "run", seed=5).folder)


def put(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("what, places", [("write", 2 + 2 * 3), ("replace", 2 + 2 * 2), ("mkdir", 2)])
def test_a_new_run(what: str, places: int, whole: Path, tmp_path: Path) -> None:
    for number in range(places):
        folder = tmp_path / f"{number}"
        with full_at(number, what) as done, pytest.raises(UserError) as refused:
            train(small_plan(), folder)
        assert len(done) == number + 1
        assert refused.value.message == f"{folder} cannot be written: {FULL}."
        if folder.exists():
            assert refused.value.hint == (
                "the last state saved is kept: make room or make it writable, then "
                f"vaekit train --resume {folder} goes on from there."
            )
            assert not training.load(folder).model.training
            assert not list(folder.rglob("*.tmp"))
        else:
            assert refused.value.hint in (
                "",  # before there was a folder
                "nothing was saved yet: make room or make it writable, then start again.",
            )
        train(small_plan(), folder, resume=True)
        assert_same_run(folder, whole)
    with full_at(places, what) as done:
        train(small_plan(), tmp_path / "room")
    assert len(done) == places


# Half a file is only ever met beside the old run or, in the second epoch, beside the new one.
FOUND = {
    "write": {"the old run", "the new run"},
    "replace": {"the old run", "a sentence", "the new run"},
    "mkdir": {"the old run"},
}


@pytest.mark.parametrize("what, places", [("write", 2 + 2 * 3), ("replace", 2 + 2 * 2 + 5), ("mkdir", 2)])
def test_a_run_that_replaces_another(
    what: str, places: int, other: dict[str, bytes], whole: Path, tmp_path: Path
) -> None:
    found = set()
    for number in range(places):
        folder = put(other, tmp_path / f"{number}")
        with full_at(number, what), pytest.raises(UserError) as refused:
            train(small_plan(), folder, overwrite=True)
        assert refused.value.message.startswith(f"{folder}")
        assert refused.value.message.endswith(f" cannot be written: {FULL}.")
        assert not list(folder.rglob("*.tmp"))
        hint = refused.value.hint
        left = {name: content for name, content in files_of(folder).items() if not name.startswith(".new")}
        if left == other:
            found.add("the old run")
            assert training.load(folder).config["settings"]["seed"] == 5
        elif "config.json" in left:
            found.add("the new run")
            assert training.load(folder).config["settings"]["seed"] == 0
        else:
            found.add("a sentence")
            with pytest.raises(UserError) as unread:
                training.load(folder)
            assert unread.value.hint == f"vaekit train --resume {folder / '.new'} finishes that."
        if "--resume" in hint:
            named = hint.partition("--resume ")[2].removesuffix(" goes on from there.")
            assert Path(named) in (folder, folder / ".new")
            train(small_plan(), Path(named), resume=True)
        else:
            train(small_plan(), folder, overwrite=True)
        assert_same_run(folder, whole)
    assert found == {
        "the old run",
        *(["the new run"] if what != "mkdir" else []),
        *(["a sentence"] * (what == "replace")),
    }


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own at ``folder``, and how to mount it again with other options; root can make one."""
    folder.mkdir()
    make = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(make, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root and its leave")

    def again(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.npy"
    np.save(path, np.random.RandomState(0).randn(100, 6).astype(np.float32))
    return path


def said_by(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line says of something that cannot be written: no traceback, nothing on stdout."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err[said.err.index("error: ") :]


def room_of(files: dict[str, bytes]) -> int:
    """KiB that the files take on a disk."""
    return sum(-(-len(content) // 4096) for content in files.values()) * 4


# In KiB: too small for config.json, the weights, the state, and (0) the second state beside the first.
@pytest.mark.parametrize("size", [4, 12, 24, 0])
def test_a_disk_that_is_full(size: int, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", vectors, *OPTIONS, "--epochs", "2"]
    assert main([*map(str, command), "--out", str(tmp_path / "whole")]) == 0
    (tmp_path / "whole" / "report.html").unlink(missing_ok=True)  # the page is drawn afterwards, and may fail
    everything = files_of(tmp_path / "whole")
    state = everything["state/training.safetensors"]
    with disk(tmp_path / "disk", f"{size or room_of(everything | {'more': state[:-4096]})}k") as again:
        run = tmp_path / "disk" / "run"
        said = said_by(capsys, *command, "--out", run)
        assert said.splitlines()[0] == f"error: {run} cannot be written: {FULL}."
        assert not list((tmp_path / "disk").rglob("*.tmp"))
        resumable = (
            f"hint: the last state saved is kept: make room or make it writable, then vaekit train --resume {run}"
        )
        assert run.exists() == said.splitlines()[-1].startswith(resumable)
        assert run.exists() == (size == 0)
        again("size=1m")
        assert main([*map(str, command), "--resume", str(run)]) == 0
        (run / "report.html").unlink(missing_ok=True)
        assert_same_run(run, tmp_path / "whole")


def test_the_run_before_on_a_disk_that_is_full(
    vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", vectors, *OPTIONS, "--epochs", "2"]
    with disk(tmp_path / "disk", "1m") as again:
        run = tmp_path / "disk" / "run"
        assert main([*map(str, command), "--out", str(run)]) == 0
        before = files_of(run)
        used = room_of(before)
        for more in (0, 8, 24):
            again(f"size={used + more}k")
            said = said_by(capsys, *command, "--out", run, "--overwrite", "--seed", "1")
            assert said.splitlines()[0].startswith(f"error: {run}")
            assert said.splitlines()[0].endswith(f" cannot be written: {FULL}.")
            assert files_of(run) == before
        again("size=1m")
        assert main([*map(str, command), "--out", str(run), "--overwrite", "--seed", "1"]) == 0
        assert training.load(run).config["settings"]["seed"] == 1


WRITERS = {
    "sample": ["-n", "4000", "-o", "{out}/x.npz"],
    "reconstruct": ["{data}", "-n", "3000", "-o", "{out}/x.npz"],
    "encode": ["{data}", "-o", "{out}/x.npz"],
    "score": ["{data}", "-o", "{out}/x.csv", "--samples", "2"],
    "report": ["{data}", "--samples", "2"],
}


@pytest.fixture(scope="module")
def run_of_vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    np.save(folder / "vectors.npy", np.random.RandomState(0).randn(3000, 6).astype(np.float32))
    command = ["train", f"{folder / 'vectors.npy'}", *OPTIONS, "--epochs", "1", "--out", f"{folder / 'run'}"]
    assert main(command) == 0
    return folder / "run"


@pytest.mark.parametrize("verb", WRITERS)
def test_results_on_a_disk_that_is_full(
    verb: str, run_of_vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk(tmp_path / "disk", "200k") as again:
        run = put(files_of(run_of_vectors), tmp_path / "disk" / "run")
        names = {"out": f"{tmp_path / 'disk'}", "data": f"{run_of_vectors.parent / 'vectors.npy'}"}
        options = [option.format(**names) for option in WRITERS[verb]]
        path = run / "report.html" if verb == "report" else Path(options[options.index("-o") + 1])
        path.write_bytes(b"what was there")
        before = files_of(tmp_path / "disk")
        again(f"size={room_of(before) + 12}k")
        said = said_by(capsys, verb, run, *options)
        assert said == f"error: {path} cannot be written: {FULL}.\n"
        assert files_of(tmp_path / "disk") == before


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing below the folder can be changed meanwhile, not even by root."""
    if os.geteuid():
        inside = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in inside:
            path.chmod(0o555)
        yield
        for path in inside:
            path.chmod(0o755)
        return
    for step in (["--bind"], ["-o", "remount,bind,ro"]):
        if subprocess.run(["mount", *step, str(folder), str(folder)], capture_output=True, check=False).returncode:
            pytest.skip("this root may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_folder_that_is_read_only(run_of_vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk").mkdir()
    run = put(files_of(run_of_vectors), tmp_path / "disk" / "run")
    data = run_of_vectors.parent / "vectors.npy"
    reason = "Permission denied" if os.geteuid() else "Read-only file system"
    with read_only(tmp_path / "disk"):
        before = files_of(tmp_path)
        train_it = ["train", data, *OPTIONS, "--epochs", "2"]
        for options, named in (
            (["--out", run.parent / "new"], run.parent / "new"),
            (["--out", run, "--overwrite"], run),
            (["--resume", run], run),
        ):
            assert said_by(capsys, *train_it, *options) == f"error: {named} cannot be written: {reason}.\n"
        said = said_by(capsys, "report", run, "--samples", "2")
        assert said == f"error: {run / 'report.html'} cannot be written: {reason}.\n"
        said = said_by(capsys, "sample", run, "-o", run.parent / "x.npy")
        assert said == f"error: {run.parent / 'x.npy'} cannot be written: {reason}.\n"
        assert files_of(tmp_path) == before
        out = tmp_path / "out"
        for command in (
            ["evaluate", run, "--samples", "2"],
            ["doctor", run],
            ["cite", run],
            ["compare", run, run, "--samples", "2"],
            ["sample", run, "-n", "2", "-o", out / "x.npy"],
            ["reconstruct", run, "-o", out / "r.npz"],
            ["encode", run, "-o", out / "z.npy"],
            ["decode", run, out / "z.npy", "-o", out / "d.npy"],
            ["score", run, "--samples", "2", "-o", out / "s.csv"],
            ["traverse", run, "-o", out / "t.npz"],
        ):
            assert main([str(word) for word in command]) == 0, command


def test_a_limit_on_the_size_of_files(vectors: Path, tmp_path: Path) -> None:
    """What any user can have: the system itself refuses in the middle of a file."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "vaekit", "train", vectors, *OPTIONS, "--epochs", "1", "--out", run]
    ended = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)),
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr == (
        f"error: {run} cannot be written: File too large.\n"
        "hint: nothing was saved yet: make room or make it writable, then start again.\n"
    )
    assert not run.exists()


def test_half_a_line_of_metrics(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(small_plan(), tmp_path / "whole")
    with full_at(5, "write") as done, pytest.raises(UserError):
        train(small_plan(), tmp_path / "run")
    assert done[-1] == "metrics.jsonl"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().split("\n")
    assert len(lines) == 2
    assert lines[1]
    assert not lines[1].endswith("}")
    assert training.load(tmp_path / "run").best["epochs"] == 1
    train(small_plan(), tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert len(metrics(tmp_path / "run")) == 2
