"""Engines are built in a process of its own, which may crash, be ended, or say something that nobody expects."""

import json
import os
import signal
import subprocess
import sys
from subprocess import PIPE

import pytest

from compiler.backends.child import run_script
from compiler.errors import CompileError

CRASHING = """
import os, sys
open(sys.argv[-1], "w").write("INFO     Input filename\\nWARNING  last words\\n")
print(" 12.5%  Building engine", flush=True)
print("double free", file=sys.stderr, flush=True)
os.abort()
"""
ENDLESS = """
import os, time
print("pid", os.getpid(), flush=True)
print("  1.0%  Building engine", flush=True)
time.sleep(600)
"""


def ignore(share: float, phase: str) -> None:
    pass


@pytest.fixture
def run(tmp_path):
    """Run the text of a script, which is told where its log goes."""

    def run(text: str, progress=ignore, environment=None) -> None:
        log = tmp_path / "build.log"
        run_script(text, [str(log)], log, progress, environment)

    return run


def test_a_crash_is_one_error_that_names_the_signal_and_repeats_the_end_of_the_log(run):
    with pytest.raises(CompileError, match="ended with SIGABRT") as caught:
        run(CRASHING)
    assert "last words" in caught.value.why
    assert "double free" in caught.value.why


def test_what_the_script_says_itself_is_the_error(run):
    text = "import sys\nprint('noise', file=sys.stderr)\nsys.exit('failed:\\ncannot build it\\nConv: no\\nRelu: no')"
    with pytest.raises(CompileError, match="cannot build it") as caught:
        run(text)
    assert caught.value.why == "Conv: no\nRelu: no"


def test_an_error_that_nobody_foresaw_is_told_with_its_last_lines(run):
    with pytest.raises(CompileError, match="ended with exit status 1") as caught:
        run("raise AttributeError('no such name')")
    assert caught.value.why == "AttributeError: no such name"


def test_progress_is_what_looks_like_it(run):
    told = []
    text = "print('noise')\nprint('  0.0%  Parsing')\nprint('100.0%  50% of it')\nprint('wrote it')"
    run(text, lambda share, phase: told.append((share, phase)))
    assert told == [(0.0, "Parsing"), (1.0, "50% of it")]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_what_progress_raises_ends_the_process(run, raised, tmp_path):
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    text = f"import os\npipe = os.open({str(alive)!r}, os.O_WRONLY)\n{ENDLESS}"
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)

    def interrupt(share: float, phase: str) -> None:
        raise raised

    with pytest.raises(raised):
        run(text, interrupt)
    assert os.read(reader, 1) == b""  # the end of the file: nobody holds the other end


WAITING = """
import signal, sys
from pathlib import Path
from compiler.backends.child import run_script

def say(share, phase):
    print(phase, flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
run_script(sys.argv[1], [sys.argv[2]], Path(sys.argv[2]), say)
"""


def test_a_signal_ends_the_process_also_while_it_says_nothing(tmp_path):
    log, alive = tmp_path / "build.log", tmp_path / "alive"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    text = f"import os\npipe = os.open({str(alive)!r}, os.O_WRONLY)\n{ENDLESS}"
    # In a session of its own, so that nothing but it is interrupted.
    command = [sys.executable, "-c", WAITING, text, str(log)]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True) as waiting:
        assert waiting.stdout.readline() == "Building engine\n"
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
    assert waiting.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert os.read(reader, 1) == b""  # the end of the file: nobody holds the other end


def test_it_has_the_variables_that_it_is_given_beside_those_of_this_process(run, monkeypatch, tmp_path):
    monkeypatch.setenv("OURS", "here")
    monkeypatch.setenv("CHANGED", "before")
    text = "import os, pathlib, sys\npathlib.Path(sys.argv[-1]).write_text(os.environ['OURS'] + os.environ['CHANGED'])"
    run(text, environment={"CHANGED": "after"})
    assert (tmp_path / "build.log").read_text() == "hereafter"


def test_it_runs_alone_and_nothing_of_the_folder_that_it_works_on_or_of_the_current_one_is_a_module(
    run, tmp_path, monkeypatch
):
    for name in ("json.py", "argparse.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('executed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # an empty entry is the current folder
    text = """
import argparse, json, os, pathlib, sys
pathlib.Path(sys.argv[-1]).write_text(json.dumps([sys.flags.isolated, os.listdir(), sys.path, sys.argv]))
"""
    run(text)
    isolated, files, places, arguments = json.loads((tmp_path / "build.log").read_text())
    assert isolated
    assert files == ["build_engine.py"]
    assert str(tmp_path) not in [*places, *arguments]
