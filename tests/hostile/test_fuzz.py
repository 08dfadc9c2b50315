"""Hostile input of every kind leads to a result or to one message; `make fuzz` tries more of it."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.hostile.kinds.registry import KINDS

CASES, KILLS, SEED = 2 * len(KINDS), 3, 0
"""Of each kind two: as this user, and as one without rights where there is a choice."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are Linux's")
def test_hostile_input_does_no_harm_and_kills_leave_a_whole_bundle_and_a_whole_cache():
    counts = ["--cases", str(CASES), "--kills", str(KILLS), "--seed", str(SEED)]
    command = [sys.executable, "-m", "tests.hostile", *counts]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=360)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{KILLS} kills, " in run.stdout
