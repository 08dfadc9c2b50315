"""What a process does that data must never make it do, as Python's audit hooks see it.

A hook cannot be removed: it is set in a process that runs one case and ends.
"""

from __future__ import annotations

import json
import os
import site
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

REPOSITORY = Path(__file__).parents[2]
EXECUTION, ESCAPE = "execution", "escape"

BAIT = ("this", "antigravity", "__hello__", "turtledemo", "idlelib", "ensurepip")
"""Modules of the standard library that nothing of ours imports: hostile data names them."""

_STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn", "subprocess.Popen")
_WAYS = ("/subprocess.py", "/os.py")
_STARTERS = ("/platform.py", "/compiler/backends/nvidia/child.py", "/compiler/graphs/trial.py")
"""What starts processes of its own accord: to ask which system this is, and to build and try where a crash does no
harm."""
_CHANGES = {
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.symlink": 0,
    "os.link": 2,
    "os.chmod": 1,
    "os.chown": 1,
    "os.truncate": 1,
    "os.utime": 1,
    "shutil.rmtree": 1,
}
"""Events of the file system, and how many of their first arguments are paths that change. Of `os.symlink` it is the
second."""
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request")
_GENERATORS = ("dataclasses.py", "collections/__init__.py", "typing.py", "enum.py", "functools.py", "ast.py", "re/")
"""Of the standard library: what compiles text of its own, or parses a literal."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/usr/", "/lib", "/etc/localtime", "/etc/ld.so", "/etc/mime.types", "/etc/host")
_DEVICES = ("/dev/null", "/dev/tty", "/dev/shm/")


def code_roots() -> tuple[str, ...]:
    """Where code may come from: the interpreter, its packages and this repository."""
    paths = (*sysconfig.get_paths().values(), *site.getsitepackages(), sys.prefix, sys.base_prefix, str(REPOSITORY))
    return tuple(sorted({os.path.realpath(path) for path in paths}))


@dataclass
class Watch:
    """An audit hook that records what is forbidden.

    Attributes:
        folder: The case's own: what is read and written lies in it.
        reads_anywhere: The user named the files, so that they may lie anywhere.
        record: Told the kind of a fault, the event and what it was about.
    """

    folder: str
    reads_anywhere: bool
    record: Callable[[str, str, str], None]
    roots: tuple[str, ...] = field(default_factory=code_roots)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._opened(*arguments)
        elif event in ("exec", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "import"):
            self._code(event, arguments, _caller())
        elif event in _STARTS:
            if not _starter().endswith(_STARTERS):
                self.record(EXECUTION, event, f"{arguments!r:.200}, by {_starter()}")
        elif event in _NETWORK:
            self.record(ESCAPE, event, repr(arguments)[:300])
        elif event in _CHANGES:
            self._changed(event, arguments)

    def _code(self, event: str, arguments: tuple[Any, ...], caller: str) -> None:
        """Record code that does not come from an installed module."""
        first = arguments[0] if arguments else None
        if event == "import":
            if str(first).partition(".")[0] in BAIT:
                self.record(EXECUTION, event, str(first))
        elif event == "exec":
            if isinstance(first, CodeType) and not self._installed(first.co_filename) and not _generates(caller):
                self.record(EXECUTION, event, f"{first.co_filename} {first.co_name}, by {caller}")
        elif event == "ctypes.dlopen":
            if first is not None and not self._installed(str(first)) and "/" in str(first):
                self.record(EXECUTION, event, str(first))
        elif event == "pickle.find_class" or not caller.startswith("<frozen importlib"):
            self.record(EXECUTION, event, f"{arguments!r:.200}, by {caller}")

    def _installed(self, name: str) -> bool:
        return name.startswith("<frozen") or _within(os.path.realpath(name), self.roots)

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        real = os.path.realpath(os.fsdecode(path))
        if _within(real, (self.folder,)):
            return
        if flags is not None and flags & _WRITES:
            if not real.startswith(_DEVICES):
                self.record(ESCAPE, "written", real)
        elif not (self.reads_anywhere or real.startswith(_SYSTEM) or _within(real, self.roots)):
            self.record(ESCAPE, "read", real)

    def _changed(self, event: str, arguments: tuple[Any, ...]) -> None:
        places = arguments[1:2] if event == "os.symlink" else arguments[: _CHANGES[event]]
        for place in places:
            if isinstance(place, str | bytes | os.PathLike):
                # What is changed is the entry, not what a link leads to.
                entry = Path(os.fsdecode(place))
                real = str(Path(os.path.realpath(entry.parent), entry.name))
                if not _within(real, (self.folder,)):
                    self.record(ESCAPE, event, real)


def recorder(descriptor: int) -> Callable[[str, str, str], None]:
    """Write each fault once to a file that outlives the process, as a line of JSON."""
    seen: set[tuple[str, str, str]] = set()

    def record(kind: str, event: str, detail: str) -> None:
        if (kind, event, detail) not in seen:
            seen.add((kind, event, detail))
            os.write(descriptor, json.dumps([kind, event, detail]).encode() + b"\n")

    return record


def _caller() -> str:
    """The file of whoever did what is audited: the frame below the hook's own."""
    frame = sys._getframe(2)
    return frame.f_code.co_filename


def _starter() -> str:
    """The file of whoever starts a process, by whichever way of the standard library."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.endswith(_WAYS):
        frame = frame.f_back
    return frame.f_code.co_filename


def _generates(caller: str) -> bool:
    """Tell whether a file compiles text of its own making, or parses it only."""
    return caller.endswith(_GENERATORS) or any(name in caller for name in _GENERATORS) or "/torch/" in caller


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)
