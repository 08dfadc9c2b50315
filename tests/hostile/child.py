"""Run a case in a forked child, with limits and a watch."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.hostile.case import INSIDE, OUTSIDE, SECRET, Case, Kind
from tests.hostile.outcome import Ended
from tests.hostile.seeds import Seeds
from tests.hostile.watch import Watch, recorder

CPU_SECONDS, WALL_SECONDS = 20, 120
MEMORY = 3 << 30
LARGEST_FILE = 1 << 30
NOBODY = 65534
LONG_AGO = 1_000_000_000


@dataclass
class Child:
    """A case that is running.

    Attributes:
        pid: Of its process, which leads a group of its own.
        folder: Of the case.
        started: When.
    """

    pid: int
    folder: Path
    started: float
    timed_out: bool = False

    def end_if_late(self) -> None:
        """Kill it, and whatever it started, where it takes too long."""
        if not self.timed_out and time.monotonic() - self.started > WALL_SECONDS:
            self.timed_out = True
            os.killpg(self.pid, signal.SIGKILL)

    def ended(self, status: int, usage: resource.struct_rusage) -> Ended:
        """How it ended, once it has."""

        def read(name: str) -> str:
            path = self.folder / name
            return path.read_text("utf-8", "backslashreplace") if path.exists() else ""

        grown = usage.ru_maxrss * 1024 - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        records = (read("records"), read("stdout"), read("stderr"))
        return Ended(status, records[1], records[2], records[0], grown, self.timed_out, touched(self.folder))


def start(folder: Path, kind: Kind, random: Random, seeds: Seeds, unprivileged: bool) -> Child:
    """Fork a child that makes a case and runs it."""
    prepare(folder)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _in_child(lambda: _run(folder, kind, random, seeds, unprivileged))
    return Child(pid, folder, time.monotonic())


def prepare(folder: Path) -> None:
    """Make the folder of a case, and what lies outside of it."""
    (folder / INSIDE / "tmp").mkdir(parents=True)
    (folder / OUTSIDE).mkdir()
    secret = folder / OUTSIDE / SECRET
    secret.write_text("a secret\n")
    # Read once, a file has a newer time of access than this, on file systems that keep one at all.
    os.utime(secret, (LONG_AGO - 1, LONG_AGO))


def touched(folder: Path) -> tuple[str, ...]:
    """What lies outside of a case's folder and was read, changed or made."""
    expected = {folder / OUTSIDE / SECRET}
    found = []
    for path in (folder / OUTSIDE).rglob("*"):
        if path not in expected or path.is_symlink():
            found.append(f"{path.name} was made")
    secret = folder / OUTSIDE / SECRET
    if not secret.is_file() or secret.stat().st_mtime != LONG_AGO:
        found.append("the secret was changed")
    elif secret.stat().st_atime != LONG_AGO - 1:
        found.append("the secret was read")
    return tuple(found)


def _in_child(run: Callable[[], int]) -> None:
    """Never come back: a child ends here, whatever happens."""
    code = 99
    try:
        code = run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _run(folder: Path, kind: Kind, random: Random, seeds: Seeds, unprivileged: bool) -> int:
    gc.disable()
    os.setsid()
    inside = folder / INSIDE
    os.chdir(inside)
    os.environ.update(TMPDIR=str(inside / "tmp"), HOME=str(inside), XDG_CACHE_HOME=str(inside / "tmp"))
    import tempfile

    tempfile.tempdir = None
    _redirect(folder)
    case = kind(random, seeds, inside)
    (folder / "words").write_text("\n".join(map(str, case.words)) + f"\n{case.said}\n", "utf-8", "backslashreplace")
    os.utime(folder / OUTSIDE / SECRET, (LONG_AGO - 1, LONG_AGO))
    record = recorder(os.open(folder / "records", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    if unprivileged:
        _drop(folder)
    _limit()
    sys.addaudithook(Watch(os.path.realpath(inside), case.reads_anywhere, record))
    return run_case(case)


def run_case(case: Case) -> int:
    """The exit status of a case, with its errors shown as a user sees them."""
    from compiler import __main__ as program

    if case.call is None:
        return program.main(list(case.words))
    from compiler.errors import as_compile_error

    try:
        case.call()
    except Exception as error:
        shown = as_compile_error(error)
        print(f"error: {shown}", file=sys.stderr)
        return shown.exit_code
    return 0


def _redirect(folder: Path) -> None:
    """Let everything that is said, by libraries of C too, go to files."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _drop(folder: Path) -> None:
    """Go on as a user who may do nothing: the case's folder is theirs."""
    for parent, _, files in os.walk(folder / INSIDE):
        for path in (parent, *(os.path.join(parent, name) for name in files)):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _limit() -> None:
    import psutil

    size = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
