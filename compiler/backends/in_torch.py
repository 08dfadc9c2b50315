"""What backends share whose engines PyTorch runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Tensors
from compiler.artifact.machine import this_machine
from compiler.backends.backend import Backend, Session
from compiler.backends.libraries import library_problem
from compiler.config.ranges import between
from compiler.errors import CompileError

EXTRA = "torch"
"""Of ours, which installs PyTorch and nothing else."""
OLDEST = "2.9"


def torch_problem() -> str:
    """Why PyTorch cannot be used here; empty where it can."""
    return library_problem("torch", EXTRA, OLDEST)


def require_torch(path: Path) -> None:
    """Refuse to open a file without PyTorch.

    Raises:
        CompileError: It is not installed, or too old.
    """
    if problem := torch_problem():
        raise CompileError(f"{path.name} is opened by PyTorch, which cannot be used here", where=str(path), why=problem)


@dataclass(frozen=True, kw_only=True)
class PyTorchBackend(Backend):
    """A backend whose engines PyTorch runs, on the CPU.

    Attributes:
        threads: Within one operator; None for as many as PyTorch uses in the process.
    """

    TAIL: ClassVar[str] = "host"
    """PyTorch has no operator that suppresses boxes."""

    threads: int | None = between(1, 1024, default=None)

    @property
    def engine_holds_code(self) -> bool:
        """A TorchScript archive calls operators that read and write files; a package is native code."""
        return True

    def machine(self) -> dict[str, str]:
        """The processor, whose features decide which code runs, and the library."""
        return this_machine("torch")


@dataclass(frozen=True)
class ThreadedSession:
    """An engine that runs with a number of threads of its own.

    Attributes:
        session: The open engine.
        threads: Within one operator; None for as many as PyTorch uses in this process.
    """

    session: Session
    threads: int | None

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        with _threads(self.threads):
            return self.session.run(tensors)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let PyTorch, which has one number of threads for a process, use another for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
