"""Building in a process of its own: a native builder that crashes takes nothing with it, and can be ended at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from compiler.artifact import ended
from compiler.errors import CompileError
from compiler.packages import package_folders

PROGRESS = re.compile(r" *([\d.]+)%  (.*)")
"""A line in which a script tells how far it is."""
FAILED = "failed:\n"
"""What a script writes in front of its own errors."""
TRACEBACK = "Traceback (most recent call last):"
LAST_WORDS = 5
"""Lines of the log that an error repeats."""


def run_script(
    script: str,
    arguments: Sequence[str],
    log: Path,
    report: Callable[[float, str], None],
    environment: Mapping[str, str] | None = None,
    python: Path | None = None,
) -> None:
    """Run a script that builds to the end, isolated: the folder that it works on may hold what is somebody else's.

    Args:
        script: Its text, as we have it. It takes `--packages FOLDER`, any number of times: where packages are.
        arguments: Of its command line; whole paths, since it runs in a folder that holds nothing else.
        log: What it writes beside the engine, such as `build.log`.
        report: Told what share is done, between 0 and 1, and the name of what is going on. What it raises ends the
            process; so does a signal that raises here.
        environment: Variables that it has beside those of this process.
        python: Another interpreter, with packages of its own: the script takes no `--packages` then.

    Raises:
        CompileError: It failed, or crashed. What it or the log said last is in `why`.
        BaseException: What `report` raised.
    """
    with (
        _alone(script) as file,
        TemporaryFile("w+", errors="replace") as said,
        subprocess.Popen(
            [
                *([sys.executable, "-I", str(file), *_packages()] if python is None else [python, "-I", file]),
                *arguments,
            ],
            cwd=file.parent,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                progress = PROGRESS.match(line)
                if progress:
                    report(float(progress[1]) / 100, progress[2].rstrip())
            status = process.wait()
        except BaseException:  # Control-C too
            process.kill()
            raise
        if status:
            said.seek(0)
            raise _failure(status, said.read(), log)


@contextmanager
def _alone(script: str) -> Iterator[Path]:
    """A script in a folder of its own."""
    with TemporaryDirectory(prefix="deploy-compiler-") as folder:
        file = Path(folder) / "build_engine.py"
        file.write_text(script, encoding="utf-8")
        yield file


def _packages() -> list[str]:
    """Options that let an isolated process find the library where this one does."""
    return [word for folder in package_folders() for word in ("--packages", folder)]


def _failure(status: int, said: str, log: Path) -> CompileError:
    _, refused, words = said.rpartition(FAILED)
    if refused:
        what, _, why = words.strip().partition("\n")
        return CompileError(what, why=why)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    # Where in the script it was says nothing to who runs it; Python indents those lines.
    told = [line for line in said.splitlines() if line.strip() and not line.startswith((TRACEBACK, " "))]
    words = "\n".join([*(line for line in lines[-LAST_WORDS:] if line.strip()), *told[-LAST_WORDS:]])
    return CompileError(f"the builder's process ended with {ended(status)}", why=words)
