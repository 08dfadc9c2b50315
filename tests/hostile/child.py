"""Run a case in a forked child, with limits and a watch."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.hostile.case import INSIDE, OUTSIDE, SECRET, Case, Kind
from tests.hostile.outcome import Ended
from tests.hostile.seeds import Seeds
from tests.hostile.watch import Watch, recorder

NOBODY = 65534
NOT_MADE = 98
"""The exit status where a case could not be made: a mistake of ours, not the compiler's."""
LONG_AGO = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: Of a processor.
        patience: Seconds until it has to end, on a machine that does much else.
        memory: Bytes of address space beyond what the process starts with.
        file: Bytes of one file that it writes.
    """

    seconds: int = 20
    patience: int = 120
    memory: int = 3 << 30
    file: int = 1 << 30

    def apply(self) -> None:
        """Limit this process."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        space = pages * resource.getpagesize() + self.memory
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
        resource.setrlimit(resource.RLIMIT_CPU, (self.seconds, self.seconds + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file, self.file))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(self.patience)


@dataclass
class Child:
    """A case that is running.

    Attributes:
        pid: Of its process, which leads a group of its own.
        folder: Of the case.
    """

    pid: int
    folder: Path

    def ended(self, status: int, usage: resource.struct_rusage) -> Ended:
        """How it ended, once it has."""
        with suppress(ProcessLookupError):  # what it started ends with it
            os.killpg(self.pid, signal.SIGKILL)
        grown = usage.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Ended(
            status=status,
            stdout=_text(self.folder / "stdout"),
            stderr=_text(self.folder / "stderr"),
            records=_text(self.folder / "records"),
            grown=grown * 1024,
            touched=touched(self.folder),
            seconds=usage.ru_utime + usage.ru_stime,
        )


def start(
    folder: Path, kind: Kind, random: Random, seeds: Seeds, unprivileged: bool, limits: Limits | None = None
) -> Child:
    """Fork a child that makes a case, and runs it within limits and under a watch."""

    def work() -> int:
        inside = folder / INSIDE
        (limits or Limits()).apply()
        try:
            case = kind(random, seeds, inside)
        except Exception:
            traceback.print_exc()
            return NOT_MADE
        (folder / "words").write_text("\n".join([*case.words, case.said]), "utf-8", "backslashreplace")
        os.utime(folder / OUTSIDE / SECRET, (LONG_AGO - 1, LONG_AGO))
        record = recorder(os.open(folder / "records", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        watch = Watch(os.path.realpath(inside), case.reads_anywhere, record)
        if unprivileged:
            drop_privileges(inside)
        sys.addaudithook(watch)
        return run_case(case)

    prepare(folder)
    return Child(forked(folder, work), folder)


def forked(folder: Path, work: Callable[[], int]) -> int:
    """Fork a child that works in a case's folder, where what it says is kept too; its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        _enter(folder)
        code = work()
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


def prepare(folder: Path) -> None:
    """Make the folder of a case, and what lies outside of it."""
    (folder / INSIDE / "tmp").mkdir(parents=True)
    (folder / OUTSIDE).mkdir()
    secret = folder / OUTSIDE / SECRET
    secret.write_text("a secret\n")
    # Once read, a file has a newer time of access than this, on file systems that keep one at all.
    os.utime(secret, (LONG_AGO - 1, LONG_AGO))


def touched(folder: Path) -> tuple[str, ...]:
    """What lies outside of a case's folder and was made, changed or read."""
    secret = folder / OUTSIDE / SECRET
    found = [f"{path.name} was made" for path in (folder / OUTSIDE).rglob("*") if path != secret]
    if not secret.is_file() or secret.stat().st_mtime != LONG_AGO:
        found.append("the secret was changed")
    elif secret.stat().st_atime != LONG_AGO - 1:
        found.append("the secret was read")
    return tuple(found)


def run_case(case: Case) -> int:
    """The exit status of a case, with its errors shown as a user sees them."""
    from compiler import __main__ as program
    from compiler.errors import as_compile_error

    if case.call is None:
        return program.main(list(case.words))
    try:
        case.call()
    except Exception as error:
        shown = as_compile_error(error)
        print(f"error: {shown}", file=sys.stderr)
        return shown.exit_code
    return 0


def can_drop_privileges(starts: bool) -> bool:
    """Tell whether a case can go on as another user; one that starts an interpreter has to reach it then."""
    interpreter = Path(sys.executable).resolve()
    return os.geteuid() == 0 and (not starts or all(path.stat().st_mode & 0o001 for path in interpreter.parents))


def drop_privileges(inside: Path) -> None:
    """Go on as a user who may do nothing; the folder is theirs."""
    for parent, _, files in os.walk(inside):
        for path in (parent, *(Path(parent, name) for name in files)):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _enter(folder: Path) -> None:
    """Make a process one of its own that is at home in a case's folder; what C says goes to files, too."""
    gc.disable()
    os.setsid()
    inside = folder / INSIDE
    os.chdir(inside)
    os.environ.update(TMPDIR=str(inside / "tmp"), HOME=str(inside), XDG_CACHE_HOME=str(inside / "tmp"))
    tempfile.tempdir = None
    for number, name in ((1, "stdout"), (2, "stderr")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _text(path: Path) -> str:
    return path.read_text("utf-8", "backslashreplace") if path.exists() else ""
