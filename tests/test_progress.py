"""A suite that is ended from outside says what it was doing."""

import subprocess
import sys

from tests.conftest import REPOSITORY

SUITE = """
import os, signal, time

def test_that_ends():
    pass

def test_that_waits_while_the_suite_is_ended():
    os.kill(os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


def test_the_test_that_runs_is_named(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (tmp_path / "test_two.py").write_text(SUITE)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", ".", "test_two.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ended by SIGTERM after 1 of 2 tests" in run.stdout
    assert "test_two.py::test_that_waits_while_the_suite_is_ended" in run.stdout
