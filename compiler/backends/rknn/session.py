"""An engine of RKNN in the toolkit's simulator, which runs in another interpreter."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np

from compiler.artifact import Engine, Tensors, reading
from compiler.backends.backend import run_in_batches
from compiler.errors import CompileError

SCRIPT = Path(__file__).with_name("toolkit.py")
LENGTH = struct.Struct("<q")
"""As in `toolkit.py`, which can import nothing of ours."""


class SimulatedSession:
    """An engine that another process simulates, one sample at a time; it ends with this object.

    Args:
        python: The interpreter that has the toolkit.
        settings: For `toolkit.py`.
        engine: Whose inputs and outputs they are.

    Raises:
        CompileError: The toolkit refuses the engine, or its process ends.
    """

    def __init__(self, python: Path, settings: Mapping[str, Any], engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._folder = TemporaryDirectory(prefix="deploy-compiler-")
        self._log = Path(self._folder.name) / "simulator.log"
        command = [str(python), "-I", str(SCRIPT), "simulate", json.dumps({**settings, "log": str(self._log)})]
        pipe = subprocess.PIPE
        with reading(python, f"{python} cannot be run"):
            self._process = subprocess.Popen(command, cwd=self._folder.name, stdin=pipe, stdout=pipe, stderr=pipe)
        weakref.finalize(self, _end, self._process)
        self._answer()

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: The simulator refuses the input, or its process ends.
        """
        return run_in_batches(self._run_one, self._engine, tensors, 1)

    def _run_one(self, tensors: Tensors) -> Tensors:
        archive = io.BytesIO()
        np.savez(archive, allow_pickle=False, **tensors)
        content = archive.getvalue()
        with self._lock:
            try:
                _given(self._process.stdin).write(LENGTH.pack(len(content)) + content)
                _given(self._process.stdin).flush()
            except OSError:
                raise self._ended() from None
            answer = self._answer()
        return dict(np.load(io.BytesIO(answer), allow_pickle=False))

    def _answer(self) -> bytes:
        header = _given(self._process.stdout).read(LENGTH.size)
        if len(header) < LENGTH.size:
            raise self._ended()
        (length,) = LENGTH.unpack(header)
        content = _given(self._process.stdout).read(abs(length))
        if length < 0:
            raise CompileError("the simulator does not run this input", why=content.decode(errors="replace"))
        return content

    def _ended(self) -> CompileError:
        status = self._process.wait()
        said = _given(self._process.stderr).read().decode(errors="replace").rpartition("failed:\n")[2].strip()
        logged = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        told = [line for line in logged if line.startswith("E ")][-3:]
        return CompileError(
            "the simulator of RKNN ended",
            where=str(self._engine.path),
            why=" ".join([*said.splitlines()[1:], *told]) or f"its process ended with {status}",
            fix="run python -m compiler doctor, and compile the bundle again with the toolkit that is here",
        )


def _given(pipe: Any) -> BinaryIO:
    """A pipe of a process that was started with it."""
    assert pipe is not None
    return pipe  # type: ignore[no-any-return]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
