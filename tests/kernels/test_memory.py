"""Memory that a step frees is there for the next one: told by the page faults of a process of its own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from vaekit.kernels.memory import keep_pages
if sys.argv[1] == "keep":
    assert keep_pages()
def step():
    blocks = [torch.ones(500_000) for _ in range(8)]
for _ in range(20):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked")
def test_a_step_faults_in_no_pages_that_the_one_before_has_freed() -> None:
    def faults(word: str) -> int:
        # Left alone, glibc gives such blocks back or not by where they happen to lie; so it always does.
        variables = os.environ | {"OMP_NUM_THREADS": "2", "MALLOC_MMAP_THRESHOLD_": f"{128 << 10}"}
        command = [sys.executable, "-c", COUNT, word]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        return int(done.stdout)

    if faults("plain") <= 20 * 10:
        pytest.skip("here a step faults in few pages as it is: another allocator, or huge pages")
    assert faults("keep") < 20 * 10
