"""What the harness sees: each fault where there is one, and none where there is none."""

import collections
import ctypes
import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import cv2
import pytest

from compiler.errors import CompileError, UsageError
from tests.hostile.case import Case
from tests.hostile.child import Limits, start
from tests.hostile.outcome import Fault, faults_of, was_refused
from tests.hostile.seeds import Seeds

OUTSIDE = "../outside/secret.txt"


def ended(folder, call, limits=None, unprivileged=False):
    """How a case ends that calls something."""
    folder.chmod(0o755)
    child = start(folder / "case", lambda *_: Case(call=call), Random(0), Seeds(folder), unprivileged, limits)
    _, status, usage = os.wait4(child.pid, 0)
    return child.ended(status, usage)


def refuse(what="it cannot be used", why="a reason"):
    raise CompileError(what, where="a file", why=why, fix="another")


def raises(error):
    raise error


def say_first(text):
    os.write(2, text.encode())
    refuse()


def loop():
    while True:
        pass


def fill_memory():
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


FAULTS = {
    "an error that nobody foresaw": (lambda: raises(KeyError("x")), Fault.DEFECT),
    "a traceback": (lambda: raises(GeneratorExit()), Fault.TRACEBACK),
    "a signal": (os.abort, Fault.CRASH),
    "a null pointer": (lambda: ctypes.string_at(0), Fault.CRASH),
    "a loop": (loop, Fault.HANG),
    "memory": (fill_memory, Fault.MEMORY),
    "a warning of a library": (lambda: say_first("libpng warning: x\n"), Fault.MESSAGES),
    "two messages": (lambda: say_first("error: another\n"), Fault.MESSAGES),
    "a message with a line of another": (lambda: say_first("error: a\nb\n"), Fault.MESSAGES),
    "a message in colour": (lambda: say_first("error: \x1b[31m\n"), Fault.MESSAGES),
    "a message without end": (lambda: refuse(why="x" * 9000), Fault.MESSAGES),
    "a message on success": (lambda: os.write(2, b"x\n"), Fault.MESSAGES),
    "no message": (lambda: os._exit(1), Fault.MESSAGES),
    "a status of its own": (lambda: os._exit(77), Fault.MESSAGES),
    "a shell": (lambda: os.system("true"), Fault.EXECUTION),
    "a process": (lambda: subprocess.run(["true"], check=True), Fault.EXECUTION),
    "text that is run": (lambda: exec("x = 1"), Fault.EXECUTION),
    "text that is computed": (lambda: eval("1 + 1"), Fault.EXECUTION),
    "a pickle": (lambda: pickle.loads(b"cos\nsystem\n."), Fault.EXECUTION),
    "a module that is bait": (lambda: __import__("this"), Fault.EXECUTION),
    "a secret that is read": (lambda: Path(OUTSIDE).read_text(), Fault.ESCAPE),
    "a secret that C reads": (lambda: cv2.imread(OUTSIDE), Fault.ESCAPE),
    "a secret that a link leads to": (lambda: (Path("a").symlink_to(OUTSIDE), Path("a").read_text()), Fault.ESCAPE),
    "a secret that is changed": (lambda: Path(OUTSIDE).write_text("x"), Fault.ESCAPE),
    "a file outside": (lambda: Path("../outside/x").touch(), Fault.ESCAPE),
    "the system's users": (lambda: Path("/etc/passwd").read_text(), Fault.ESCAPE),
    "a folder that is removed": (lambda: Path("../outside/x").rmdir(), Fault.ESCAPE),
}
SOUND = {
    "a warning of ours": lambda: os.write(2, b"warning: the bundle was proven on another machine\n"),
    "nothing": lambda: None,
    "a file of its own": lambda: Path("a").write_text(Path("a").write_text("x") and Path("a").read_text()),
    "a file of the repository": lambda: Path(__file__).read_text(),
    "a module of the standard library": lambda: __import__("colorsys"),
    "a class that the standard library writes": lambda: collections.namedtuple("A", "b")(1),
    "a dataclass": lambda: dataclasses.make_dataclass("A", ["b"])(1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(tmp_path, name):
    call, fault = FAULTS[name]
    found = ended(tmp_path, call, Limits(seconds=1 if fault is Fault.HANG else 20, memory=1 << 28))
    assert fault in faults_of(found), (found.stderr, found.records)


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_no_fault(tmp_path, name):
    found = ended(tmp_path, SOUND[name])
    assert not faults_of(found)
    assert not was_refused(found)


@pytest.mark.parametrize("kind", [CompileError, UsageError])
def test_one_message_is_no_fault(tmp_path, kind):
    found = ended(tmp_path, lambda: raises(kind("it cannot be used", where="here", why="a reason", fix="another")))
    assert not faults_of(found)
    assert was_refused(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_case_can_run_without_rights(tmp_path):
    def call():
        Path("mine").touch()
        if os.geteuid() == 0 or os.access(sys.prefix, os.W_OK):
            raise AssertionError("the rights are there still")

    assert not faults_of(ended(tmp_path, call, unprivileged=True))
