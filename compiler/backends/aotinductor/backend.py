"""The backend: compiles in a process of its own, and opens what was compiled for this processor."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Engine, Program, TorchExportProgram, installed_version
from compiler.backends import BuildRequest, Obstacle, Probe
from compiler.backends.aotinductor.compiler_of_cpp import compiler_problem, cpp_compiler
from compiler.backends.aotinductor.session import PackageSession
from compiler.backends.child import run_script
from compiler.backends.in_torch import PyTorchBackend, ThreadedSession, require_torch, torch_problem
from compiler.errors import CompileError

PACKAGE = "end2end.pt2"
SCRIPT = Path(__file__).with_name("compile_package.py")


@dataclass(frozen=True, kw_only=True)
class AOTInductor(PyTorchBackend):
    """PyTorch's ahead-of-time compiler, on the CPU."""

    TITLE: ClassVar[str] = "AOTInductor"
    PROGRAM: ClassVar[type[Program]] = TorchExportProgram

    def probe(self) -> Probe:
        """Look for the `torch` distribution, and for a C++ compiler."""
        version = installed_version("torch")
        problem = torch_problem() or compiler_problem()
        return Probe(version, ("CPU",) if version else (), problem=problem, machine=self.machine() if version else {})

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Nothing stands in the way of what could be traced: an operator without code of its own calls PyTorch's."""
        TorchExportProgram.of(program)
        return ()

    def build(self, request: BuildRequest) -> Engine:
        """Compile the archive in a process of its own, and open the package once."""
        if problem := torch_problem() or compiler_problem():
            raise CompileError(f"{self.TITLE} cannot build an engine here", where=self.name, why=problem)
        program = TorchExportProgram.of(request.program)
        self._compile(program.path.absolute(), request)
        specs = program.inputs, program.outputs
        engine = Engine(request.folder, (PACKAGE,), self.node(), *specs, machine=self.machine())
        self.open(engine)
        engine.save()
        return engine

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The package, whatever the sidecar calls it."""
        return (PACKAGE,)

    def open(self, engine: Engine) -> ThreadedSession:
        """Load the package with the configured threads, where the processor is one that it is compiled for."""
        _check_processor(engine, self.machine())
        path = engine.folder / PACKAGE
        require_torch(path)
        return ThreadedSession(PackageSession(path, engine.inputs, engine.outputs), self.threads)

    def _compile(self, program: Path, request: BuildRequest) -> None:
        cache = request.cache.absolute() / "aotinductor"
        shutil.rmtree(cache, ignore_errors=True)  # what is left of one that was killed
        cache.mkdir(parents=True)
        arguments = ["--program", str(program), "--output", str(request.folder.absolute() / PACKAGE)]
        environment = {"CXX": cpp_compiler(), "TORCHINDUCTOR_CACHE_DIR": str(cache)}
        log = request.folder / "build.log"
        try:
            run_script(SCRIPT.read_text(encoding="utf-8"), arguments, log, request.progress, environment)
        except CompileError as error:
            fix = "compile for backend=torchscript, which runs in PyTorch too and compiles nothing"
            raise CompileError(error.what, where=str(program), why=error.why, fix=fix) from error
        finally:
            shutil.rmtree(cache, ignore_errors=True)


def _check_processor(engine: Engine, here: Mapping[str, str]) -> None:
    """Refuse native code for another processor: it would end the process.

    Raises:
        CompileError: This one lacks something that it was compiled for.
    """
    kind, *features = engine.machine.get("processor", "").split() or [""]
    own_kind, *own = here["processor"].split()
    missing = sorted(set(features) - set(own))
    if not kind or (kind == own_kind and not missing):
        return
    lacks = f"lacks {', '.join(missing)}" if kind == own_kind else f"is {own_kind}, not {kind}"
    raise CompileError(
        f"{PACKAGE} was compiled for another processor, and is not opened",
        where=str(engine.folder / PACKAGE),
        why=f"this one {lacks}",
        fix="compile it again on this machine",
    )
