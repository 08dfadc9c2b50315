"""TorchScript: an archive that PyTorch opens, in Python and in C++, for those who stay there.

It computes in fp32 alone: without AMX or AVX-512 for 16 bits, PyTorch's convolutions in fp16 and bf16 are a hundred
times slower on a processor (torch 2.13, an AVX2 processor), and one archive serves them all.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import ClassVar

from compiler.artifact import Engine, Program, TorchScriptProgram, installed_version
from compiler.backends import BuildRequest, Obstacle, Probe
from compiler.backends.in_torch import PyTorchBackend, ThreadedSession, require_torch, torch_problem

ARCHIVE = "end2end.pt"
"""The name that MMDeploy's users know."""


@dataclass(frozen=True, kw_only=True)
class TorchScript(PyTorchBackend):
    """PyTorch's TorchScript, on the CPU."""

    TITLE: ClassVar[str] = "TorchScript"
    PROGRAM: ClassVar[type[Program]] = TorchScriptProgram
    TRITON: ClassVar[str] = "pytorch"

    def probe(self) -> Probe:
        """Look for the `torch` distribution."""
        version = installed_version("torch")
        return Probe(
            version, ("CPU",) if version else (), problem=torch_problem(), machine=self.machine() if version else {}
        )

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Nothing stands in the way of what could be traced."""
        TorchScriptProgram.of(program)
        return ()

    def build(self, request: BuildRequest) -> Engine:
        """Copy the archive, and open it once."""
        program = TorchScriptProgram.of(request.program)
        shutil.copyfile(program.path, request.folder / ARCHIVE)
        specs = program.inputs, program.outputs
        engine = Engine(request.folder, (ARCHIVE,), self.node(), *specs, machine=self.machine())
        self.open(engine)
        engine.save()
        return engine

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The archive, whatever the sidecar calls it."""
        return (ARCHIVE,)

    def open(self, engine: Engine) -> ThreadedSession:
        """Open the archive with the configured threads."""
        path = engine.folder / ARCHIVE
        require_torch(path)
        from compiler.export import TracedSession

        return ThreadedSession(TracedSession(TorchScriptProgram(path, engine.inputs, engine.outputs)), self.threads)
