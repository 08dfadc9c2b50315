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


CRASHING = """
import os, pathlib, signal

def test_before():
    pass

def test_that_ends_its_process():
    with pathlib.Path("ended").open("a") as file:
        file.write("once ")
    os.kill(os.getpid(), signal.SIGKILL)

def test_after():
    pass
"""
QUIET = "import time, pytest\n@pytest.mark.parametrize('i', range(4))\ndef test(i): time.sleep(0.05)\n"


def run_suite(folder, *options):
    (folder / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", ".", *options],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_a_test_that_ends_its_process_fails_once_and_all_others_run(tmp_path):
    for number in range(8):
        (tmp_path / f"test_{number}.py").write_text(QUIET)
    (tmp_path / "test_crashing.py").write_text(CRASHING)
    run = run_suite(tmp_path, "-n", "2", "--dist=loadfile", "--max-worker-restart=1")
    assert "1 failed, 34 passed" in run.stdout
    assert (tmp_path / "ended").read_text() == "once "


def test_the_test_that_runs_is_named(tmp_path):
    (tmp_path / "test_two.py").write_text(SUITE)
    run = run_suite(tmp_path, "test_two.py")
    assert "ended by SIGTERM after 1 of 2 tests" in run.stdout
    assert "test_two.py::test_that_waits_while_the_suite_is_ended" in run.stdout
