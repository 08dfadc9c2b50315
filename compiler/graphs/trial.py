"""Running a stranger's ONNX file once in a process of its own, with limits: what does not end there runs nowhere else.

The types of its tensors are inferred there; and it is read, checked, converted to the opset of the Program, its shapes
are inferred, and it is opened and run as every stage of a compile will do it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compiler.artifact import Dimension, Tensors, ended, isolated_command
from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.graphs.onnx_files import read_onnx_file, take_over
from compiler.graphs.opsets import with_opset
from compiler.graphs.program import ONNX_FILE
from compiler.graphs.runtime import AS_WRITTEN, FASTEST, OnnxRuntimeSession, RuntimeOptions
from compiler.graphs.tensor_types import tensor_types

Shapes = Mapping[str, tuple[int, ...]]
"""Of outputs, by name."""

OUTPUTS, TYPES = "outputs", "types"
"""What is asked."""
EXPORT_WITHOUT = "export the network again without what is refused there"
FAILURES = {
    OUTPUTS: (
        "the ONNX file fails on its inputs",
        "correct model.inputs; or where it takes no batch of another size, use shape=static",
    ),
    TYPES: ("the types in the ONNX file cannot be inferred", EXPORT_WITHOUT),
}
"""What fails with what is asked, and what to do about it."""
OUT_OF_MEMORY = (
    *("bad_alloc", "MemoryError", "Failed to allocate", "it asks for more memory than there is"),
    *("Cannot allocate memory", "Resource temporarily unavailable"),
)
"""What C++, Python, ONNX Runtime, we ourselves and the system say; the last of these where there is no room for the
stack of a thread."""
REQUEST, ANSWER = "request.json", "answer.json"
GIVEN_FILE = "given.onnx"
"""The file as ONNX Runtime reads it: whole, and in versions that it knows."""
FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "4"}
"""Threads take address space on a machine of many cores, which the network is to have."""
MOST_THREADS = 8


@dataclass(frozen=True)
class Trial:
    """One run of a file.

    Attributes:
        file: The ONNX file.
        shapes: Of its inputs: numbers, and names for what varies.
        inputs: What it is run on, one after the other.
        limits: What a run may cost.
        opset: What the Program is to be in at least.
        question: What is asked.
    """

    file: Path
    shapes: Mapping[str, tuple[Dimension, ...]]
    inputs: Sequence[Tensors]
    limits: Limits
    opset: int = 0
    question: str = OUTPUTS

    def types(self) -> dict[str, int]:
        """The types of its tensors by name, as `tensor_types` says them; its inputs are not looked at.

        Raises:
            CompileError: See `run`.
        """
        types: dict[str, int] = replace(self, question=TYPES)._answer()
        return types

    def run(self) -> list[Shapes]:
        """The shapes of the outputs for each of the inputs.

        Raises:
            CompileError: The file fails, or meets a limit, which the error names.
        """
        return [{output: tuple(shape) for output, shape in one.items()} for one in self._answer()]

    def _answer(self) -> Any:
        with TemporaryDirectory(prefix="deploy-compiler-") as name:
            folder = Path(name)
            self._write(folder)
            status = self._start(folder)
            answer = folder / ANSWER
            if status or not answer.is_file():
                raise self._ended(status)
            said = json.loads(answer.read_text(encoding="utf-8"))
        if "refused" in said:
            raise CompileError(**said["refused"])
        if "error" in said:
            raise self._failed(said["error"])
        return said[self.question]

    def _write(self, folder: Path) -> None:
        request = {"file": str(self.file.absolute()), "shapes": self.shapes, "runs": len(self.inputs)}
        request |= {"question": self.question, "opset": self.opset}
        request |= {"seconds": self.limits.seconds, "memory": self.limits.memory}
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        for index, tensors in enumerate(self.inputs):
            for place, tensor in enumerate(tensors.values()):
                np.save(folder / f"{index}_{place}.npy", tensor, allow_pickle=False)

    def _start(self, folder: Path) -> int:
        """The exit status of the child."""
        # What it imports lies where ours does, and never in the folder that it is started in.
        command = [*isolated_command("compiler.graphs.trial", sys.path), str(folder)]
        nothing = subprocess.DEVNULL
        try:
            return subprocess.run(
                command,
                env={**os.environ, **FRUGAL},
                timeout=self.limits.seconds,
                check=False,
                stdin=nothing,
                stdout=nothing,
                stderr=nothing,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise self._too_long() from error

    def _too_long(self) -> CompileError:
        seconds = self.limits.seconds
        why = f"it runs for longer than limits.seconds, which is {seconds:g}"
        return self._error(why, f"where you trust it, give limits.seconds={seconds * 4:g}")

    def _ended(self, status: int) -> CompileError:
        if -status == getattr(signal, "SIGXCPU", None):
            return self._too_long()
        memory = self.limits.memory
        why = f"the process that runs it ended with {ended(status)}; limits.memory is {memory:g} GiB"
        return self._error(why, f"where you trust it and it needs more, give limits.memory={memory * 4:g}")

    def _failed(self, said: str) -> CompileError:
        if not is_out_of_memory(said):
            return self._error(said, FAILURES[self.question][1])
        memory = self.limits.memory
        why = f"it needs more memory than limits.memory, which is {memory:g} GiB: {said}"
        return self._error(why, f"where you trust it, give limits.memory={memory * 4:g}")

    def _error(self, why: str, fix: str) -> CompileError:
        return CompileError(FAILURES[self.question][0], where=str(self.file), why=why, fix=fix)


def is_out_of_memory(said: str) -> bool:
    """Whether a library says that memory is short: in its own words, beside which stand a file's names."""
    return any(words in said for words in OUT_OF_MEMORY)


def main() -> None:
    """Do what the request in a folder says, and write the answer beside it."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    _limit(request["seconds"], request["memory"])
    write_answer(folder, request)


def write_answer(folder: Path, request: Mapping[str, Any]) -> None:
    """Do with the file what a request says, and write beside it what comes out, or why nothing does."""
    try:
        if request["question"] == TYPES:
            answer: dict[str, Any] = {TYPES: tensor_types(read_onnx_file(Path(request["file"])).model)}
        else:
            answer = {OUTPUTS: _outputs(request, folder)}
    except _RefusedError as refused:
        answer = {"refused": {part: getattr(refused.error, part) for part in ("what", "where", "why", "fix")}}
    except CompileError as error:
        answer = {"error": error.why or error.what}
    except Exception as error:  # whatever a library makes of the file
        answer = {"error": " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")}
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _limit(seconds: float, memory: float) -> None:
    """Limit this process; where the system has no such limits, whoever waits for it limits its time."""
    try:
        import resource
    except ImportError:
        return
    whole = int(memory * 2**30)
    processor = int(seconds * (os.cpu_count() or 1)) + 1
    for kind, most in ((resource.RLIMIT_AS, whole), (resource.RLIMIT_CPU, processor), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # the system's own limit is lower, or it knows none of that kind
            continue


def _outputs(request: Mapping[str, Any], folder: Path) -> list[dict[str, list[int]]]:
    """The shapes of what the file gives."""
    file = read_onnx_file(Path(request["file"]))
    names = [value.name for value in file.inputs]
    inputs = [
        {name: np.load(folder / f"{index}_{place}.npy") for place, name in enumerate(names)}
        for index in range(request["runs"])
    ]
    original = folder / GIVEN_FILE
    with _refusals():
        model = file.gathered()
    original.write_bytes(model.SerializeToString())
    with _refusals(f"ONNX Runtime refuses {file.path.name}", where=str(file.path), fix=EXPORT_WITHOUT):
        _open(original, AS_WRITTEN)
    found = list(_runs(original, inputs, AS_WRITTEN))
    try:
        shapes = {name: tuple(shape) for name, shape in request["shapes"].items()}
        program = take_over(with_opset(model, request["opset"], "precision"), shapes, folder / ONNX_FILE)
        for _ in _runs(program.path, inputs, FASTEST):
            pass
    except CompileError as error:
        # What else is wrong with it, the compile says itself, and where.
        if is_out_of_memory(error.why):
            raise
    return found


@contextmanager
def _refusals(what: str = "", where: str = "", fix: str = "") -> Iterator[None]:
    """Around what refuses a file whatever it is run on; that memory is short is said of another kind."""
    try:
        yield
    except CompileError as error:
        if is_out_of_memory(error.why):
            raise
        raise _RefusedError(
            CompileError(what or error.what, where=where or error.where, why=error.why, fix=fix or error.fix)
        ) from error


class _RefusedError(Exception):
    """A file is refused, in words that are whole."""

    def __init__(self, error: CompileError) -> None:
        super().__init__(error.what)
        self.error = error


def _open(path: Path, options: RuntimeOptions) -> OnnxRuntimeSession:
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    return OnnxRuntimeSession(path, options=replace(options, threads=threads, spinning=False))


def _runs(path: Path, inputs: Iterable[Tensors], options: RuntimeOptions) -> Iterator[dict[str, list[int]]]:
    session = _open(path, options)
    for tensors in inputs:
        try:
            yield {name: list(array.shape) for name, array in session.run(tensors).items()}
        except CompileError as error:
            given = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
            raise CompileError(error.what, why=f"{error.why}, given {given}") from error
