"""The engine that a backend makes of a Program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Program
from compiler.backends import Backend, BuildRequest, Obstacle, Probe, Profile
from compiler.errors import CompileError
from compiler.stages.calibrate import CalibrationData
from compiler.stages.programs import ProgramArtifact
from compiler.stages.stage import Stage


@dataclass(frozen=True)
class Build(Stage):
    """The engine; or what one is built from elsewhere, where it cannot be built here.

    Attributes:
        program: Its precision applied.
        backend: What builds.
        probe: What it can do on this machine.
        precision: What the Program is in.
        profiles: The shapes that the engine takes; none where the backend does not ask for them.
        calibration: What a backend calibrates int8 on that quantises by itself; None where the Program says it.
        keep_fp32: What stays in fp32, where the backend lowers the precision by itself.
        measurements: Where builders keep what they measured: it makes a build faster.
        progress: Told what share of the build is done, and what is going on.
    """

    NAME: ClassVar[str] = "build"

    program: ProgramArtifact
    backend: Backend
    probe: Probe
    precision: str
    profiles: tuple[Profile, ...]
    calibration: CalibrationData | None
    keep_fp32: tuple[str, ...]
    measurements: Path = field(compare=False)
    progress: Callable[[float, str], None] = field(compare=False)

    def run(self, folder: Path) -> str:
        """Let the backend plan, and build."""
        program = self.program.program
        check_plan(self.backend, self.backend.plan(program))
        request = self.request(program, folder)
        if self.probe.build_problem:
            engine = self.backend.deferred_build(request)
            return f"{engine.file} is left to build, {', '.join(map(str, engine.inputs))}"
        engine = self.backend.build(request)
        return f"{engine.file} by {self.backend.name}, {', '.join(map(str, engine.inputs))}"

    def request(self, program: Program, folder: Path) -> BuildRequest:
        """What the backend is asked to build into a folder."""
        return BuildRequest(
            program=program,
            folder=folder,
            precision=self.precision,
            profiles=self.profiles,
            calibration=self.calibration.batches if self.calibration else None,
            keep_fp32=self.keep_fp32,
            cache=self.measurements,
            progress=self.progress,
        )


def check_plan(backend: Backend, obstacles: Sequence[Obstacle]) -> None:
    """Refuse to build what cannot be built.

    Raises:
        CompileError: There are obstacles; the first one is named.
    """
    if not obstacles:
        return
    first, *others = obstacles
    more = f", and {len(others)} more" if others else ""
    raise CompileError(
        f"{backend.name} cannot take this Program",
        where=f"{first.operator} ({first.node.partition(', ')[0]}){more}",
        why=first.why,
        fix=f"{first.fix or 'write a graph rewriter that removes it'}; python -m compiler plan lists everything",
    )
