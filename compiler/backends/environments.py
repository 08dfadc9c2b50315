"""Environments for backends whose libraries ask for other versions than ours: an interpreter that has them.

Which one it is, is told by whoever runs it: `backend.python=` of a compile, a variable of the environment, or the one
that `python -m compiler doctor --make <backend>` has made. A bundle never names one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.artifact import installed_version
from compiler.backends.libraries import older_than
from compiler.errors import CompileError, one_line

MADE = "requirements.txt"
"""Is in an environment that was made to the end: what is in it."""
TORCH = "torch"
"""Where a library needs any PyTorch, it gets the version that is here."""


@dataclass(frozen=True)
class Environment:
    """What a backend needs beside the compiler.

    Attributes:
        backend: Its name.
        distribution: That the backend is about.
        requirements: Of pip's, tested together.
        alone: Requirements that are installed without what they ask for: they work with more than they say.
        newest_python: That the requirements have wheels for.
        oldest: The first version of the distribution that will do.
    """

    backend: str
    distribution: str
    requirements: tuple[str, ...]
    alone: tuple[str, ...]
    newest_python: tuple[int, int]
    oldest: str

    @property
    def variable(self) -> str:
        """The variable of the process's environment that names an interpreter."""
        return f"DEPLOY_COMPILER_{self.backend.upper()}_PYTHON"

    @property
    def folder(self) -> Path:
        """Where `make` makes it."""
        return environments_folder() / self.backend

    def interpreter(self, chosen: str | None) -> Path | None:
        """The interpreter that has the library: the one that is chosen, or the first that is there; None for none."""
        for named in (chosen, os.environ.get(self.variable)):
            if named:
                return Path(named).expanduser().absolute()
        if (self.folder / MADE).is_file():
            return _python(self.folder)
        return Path(sys.executable) if installed_version(self.distribution) else None

    def version(self, chosen: str | None) -> tuple[str, str]:
        """The version of the library, and why it cannot be used: empty where it can."""
        python = self.interpreter(chosen)
        make = f"python -m compiler doctor --make {self.backend}"
        if python is None:
            named = f"backend.python= or {self.variable}"
            return "", f"{self.distribution} is not installed: {make}, or name an interpreter that has it, by {named}"
        ask = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        try:
            run = subprocess.run(
                [str(python), "-I", "-c", ask], capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return "", f"{python} is no interpreter: {one_line(error)}"
        if run.returncode or not run.stdout.strip():
            return "", f"{python} has no {self.distribution}: {make}, or name another"
        found = run.stdout.strip()
        if older_than(found, self.oldest):
            why = f"{python} has {self.distribution} {found}, and {self.oldest} is the oldest that will do"
            return found, f"{why}: {make}, or name another"
        return found, ""

    def make(self, told: Callable[[str], None]) -> Path:
        """Make the environment anew, with pip; its interpreter.

        Args:
            told: Told what is done.

        Raises:
            CompileError: It cannot be made; what pip said last is in `why`.
        """
        if sys.version_info[:2] > self.newest_python:
            newest, here = (".".join(map(str, one)) for one in (self.newest_python, sys.version_info[:2]))
            raise CompileError(
                f"the environment for {self.backend} cannot be made",
                where=sys.executable,
                why=f"{self.distribution} is for Python {newest} and older, and this is {here}",
                fix=f"make one by hand with an older Python, and name its interpreter by {self.variable}",
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        python = _python(self.folder)
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        here = installed_version(TORCH).partition("+")[0]
        wanted = [f"{TORCH}=={here}" if name == TORCH and here else name for name in self.requirements]
        for step in (
            [sys.executable, "-m", "venv", str(self.folder)],
            [*pip, "--no-deps", *self.alone],
            [*pip, *wanted],
        ):
            told(" ".join(step))
            self._run(step)
        (self.folder / MADE).write_text("".join(f"{line}\n" for line in (*wanted, *self.alone)), encoding="utf-8")
        return python

    def _run(self, step: Sequence[str]) -> None:
        # The constraints of the environment that we run in are those that conflict.
        variables = {name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PYTHONPATH")}
        run = subprocess.run(step, capture_output=True, text=True, errors="replace", check=False, env=variables)
        if run.returncode:
            raise CompileError(
                f"the environment for {self.backend} cannot be made",
                where=str(self.folder),
                why=" ".join(run.stderr.split())[-500:] or f"{step[0]} ended with {run.returncode}",
                fix=f"make one by hand that has {self.distribution}, and name its interpreter by {self.variable}",
            )


def environments_folder() -> Path:
    """Where environments are made."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "deploy-compiler" / "environments"


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
