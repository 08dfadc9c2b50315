"""Opening a bundle's files once in a process of its own: ncnn believes what they say, and crashes where it is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict

from compiler.artifact import Engine, package_folders
from compiler.backends.ncnn import network
from compiler.backends.ncnn.network import Options, Request
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.sizes import Size
from compiler.errors import CompileError

LAST_WORDS = 3
"""Lines of ncnn's that an error repeats."""


def try_out(engine: Engine, sample: Mapping[str, Size], options: Options, limits: Limits = DEFAULT_LIMITS) -> None:
    """Open an engine's files and run them once, on zeros, in a process with limits.

    Args:
        engine: Its files come from anybody.
        sample: The shape of each input, as ncnn takes it.
        options: How it is run.
        limits: What that may take.

    Raises:
        CompileError: That fails, crashes, or meets a limit.
    """
    param, weights = (str((engine.folder / name).absolute()) for name in engine.files)
    request = Request(
        packages=package_folders(),
        param=param,
        weights=weights,
        options=asdict(options),
        inputs={spec.name: (list(sample[spec.name]), spec.dtype) for spec in engine.inputs},
        outputs=[spec.name for spec in engine.outputs],
        memory=limits.memory,
    )
    try:
        done = subprocess.run(
            [sys.executable, "-I", network.__file__, request.to_json()],
            timeout=limits.seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal(engine, f"it runs for longer than {limits.seconds:g} s") from error
    if done.returncode:
        said = "\n".join(line for line in done.stdout.splitlines()[-LAST_WORDS:] if line.strip())
        raise _refusal(engine, f"{_ended(done.returncode)}{said}")


def _ended(status: int) -> str:
    """How a process ended that did not say why."""
    return f"the process that tried it was ended by {signal.Signals(-status).name}\n" if status < 0 else ""


def _refusal(engine: Engine, why: str) -> CompileError:
    return CompileError(
        f"{engine.file} cannot be run by ncnn",
        where=str(engine.path),
        why=why.strip(),
        fix="get the bundle again from where it came from, or compile it again with the ncnn that is installed here",
    )
