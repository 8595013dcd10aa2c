"""Freed memory is kept: counted in page faults, which a busy machine does not change."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
from adaptgan.training.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def take_and_free():
    return len([b"x" * (8 << 20) for _ in range(4)])

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    take_and_free()
before = faults()
for _ in range(10):
    take_and_free()
print(faults() - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", ROUNDS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no C library with this switch")
def test_memory_that_was_freed_is_taken_again_without_page_faults() -> None:
    assert faults("keep") < 100 < faults("leave")
