"""How much memory a process had at most."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil
import pytest

from compiler.profiling.memory import STATUS, peak_in, peak_memory

MEASURE = "from compiler.profiling.memory import peak_memory; print(peak_memory())"


def test_the_peak_stays_when_memory_is_given_back():
    size = 64 * 2**20
    array = np.ones(size, np.uint8)
    held = psutil.Process().memory_info().rss
    del array
    assert held > size
    assert (peak_memory() or 0) > 0.99 * held  # the system counts pages a few at a time


@pytest.mark.skipif(not STATUS.is_file(), reason="only Linux says it of the process alone")
def test_a_child_of_a_large_process_has_a_peak_of_its_own():
    array = np.ones(256 * 2**20, np.uint8)
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < array.nbytes


def test_the_peak_is_read_in_bytes():
    assert peak_in("Name:\tpython\nVmPeak:\t  9 kB\nVmHWM:\t  12 kB\nVmRSS:\t 8 kB\n") == 12 * 1024
    assert peak_in("Name:\tpython\n") is None
