"""Running a bundle's files in a process of its own: ncnn believes what they say, and crashes where it is wrong.

What a layer reads depends on the shape that it is given, so each shape is tried before it is run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict

from compiler.artifact import Engine, TensorSpec
from compiler.backends.ncnn import network
from compiler.backends.ncnn.network import Options, Request
from compiler.backends.ncnn.param_file import PARAM_FILE, WEIGHTS_FILE
from compiler.config.limits import Limits, check_inputs
from compiler.config.sizes import Size
from compiler.errors import CompileError
from compiler.packages import package_folders

LAST_WORDS = 3
"""Lines of ncnn's that an error repeats."""


class Trials:
    """The shapes that an engine was run at in a process of its own: what it does depends on them.

    Args:
        engine: See `try_out`.
        options: See `try_out`.
        limits: See `try_out`.
    """

    def __init__(self, engine: Engine, options: Options, limits: Limits) -> None:
        self._engine, self._options, self._limits = engine, options, limits
        self._passed: set[tuple[tuple[str, Size], ...]] = set()

    def require(self, sample: Mapping[str, Size]) -> None:
        """Try the engine out at these shapes, where that was not done before.

        Raises:
            CompileError: See `try_out`.
        """
        shapes = tuple(sorted(sample.items()))
        if shapes not in self._passed:
            try_out(self._engine, sample, self._options, self._limits)
            self._passed.add(shapes)


def try_out(engine: Engine, sample: Mapping[str, Size], options: Options, limits: Limits) -> None:
    """Open an engine's files and run them once, on zeros, in a process with limits.

    Args:
        engine: Its files come from anybody.
        sample: The shape of each input, as ncnn takes it.
        options: How it is run.
        limits: What that may take.

    Raises:
        CompileError: That fails, crashes, or meets a limit.
    """
    inputs = [TensorSpec(spec.name, spec.dtype, sample[spec.name]) for spec in engine.inputs]
    check_inputs(inputs, str(engine.folder / PARAM_FILE), limits)
    request = Request(
        packages=package_folders(),
        param=str((engine.folder / PARAM_FILE).absolute()),
        weights=str((engine.folder / WEIGHTS_FILE).absolute()),
        options=asdict(options),
        inputs={spec.name: (list(sample[spec.name]), spec.dtype) for spec in inputs},
        outputs=[spec.name for spec in engine.outputs],
        memory=limits.memory,
    )
    try:
        done = subprocess.run(
            [sys.executable, "-I", network.__file__],
            input=request.to_json(),
            timeout=limits.seconds,
            check=False,
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
        f"{PARAM_FILE} cannot be run by ncnn",
        where=str(engine.folder / PARAM_FILE),
        why=why.strip(),
        fix="get the bundle again from where it came from, or compile it again with the ncnn that is installed here",
    )
