"""Numbers too small to be normal become zero, in every thread, and only inside."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vaekit.kernels import flushing_denormals

SMALL = 1e-30


def denormal() -> bool:
    return bool(torch.tensor(SMALL) * 1e-10 != 0)


def can_flush() -> bool:
    torch.set_flush_denormal(True)
    flushed = not denormal()
    torch.set_flush_denormal(False)
    return flushed


needs_flushing = pytest.mark.skipif(not can_flush(), reason="this processor cannot take denormal numbers for zero")


@needs_flushing
def test_inside_and_outside() -> None:
    assert denormal()
    with flushing_denormals():
        assert not denormal()
        with flushing_denormals():
            assert not denormal()
        assert not denormal()
    assert denormal()


@needs_flushing
def test_an_error_inside_changes_nothing() -> None:
    with pytest.raises(KeyError), flushing_denormals():
        raise KeyError
    assert denormal()


def test_a_processor_that_cannot_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_flush_denormal", lambda mode: False)
    with flushing_denormals():
        assert denormal()
    assert denormal()


THREADS = """
import torch
from vaekit.kernels import flushing_denormals
torch.set_num_threads(2)
with flushing_denormals():
    print(int((torch.full((1_000_000,), 1e-30) * 1e-10).count_nonzero()))
"""


@needs_flushing
def test_threads_that_begin_afterwards_do_the_same() -> None:
    said = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "0"
