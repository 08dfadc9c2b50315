"""The backend: converts in a process of its own, runs on macOS, and interprets elsewhere."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from compiler.artifact import Engine, Program, TensorSpec, TorchScriptProgram, installed_version, write_json
from compiler.artifact.machine import this_machine
from compiler.backends import Backend, BuildRequest, Obstacle, Probe, Profile, Session
from compiler.backends.child import run_script
from compiler.backends.coreml.narrow import narrowed_type
from compiler.backends.coreml.session import CoreMLSession
from compiler.backends.libraries import library_problem
from compiler.config.backend_facts import StandIn
from compiler.config.choices import require_choice
from compiler.errors import CompileError

PACKAGE = "end2end.mlpackage"
"""The name that MMDeploy's users know. It is a folder."""
SCRIPT = Path(__file__).with_name("convert_package.py")
SETTINGS_FILE = "convert.json"
EXTRA = "coreml"
OLDEST, BEFORE = "9.0", "10"
"""The versions that were measured: the conversion mends functions inside them."""
TARGETS = ("iOS16", "iOS17", "iOS18", "macOS13", "macOS14", "macOS15")
SHAPES = ("range", "enumerated")
COMPUTE_UNITS = ("all", "cpu_only", "cpu_and_gpu", "cpu_and_ne")


@dataclass(frozen=True, kw_only=True)
class CoreML(Backend):
    """Apple's Core ML, by coremltools.

    Attributes:
        target: The oldest system that opens an engine: one of `TARGETS`.
        shapes: How what varies is written: one of `SHAPES`.
        compute_units: What runs an engine on macOS: one of `COMPUTE_UNITS`.
    """

    TITLE: ClassVar[str] = "Core ML"
    PROGRAM: ClassVar[type[Program]] = TorchScriptProgram
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")
    TAIL: ClassVar[str] = "host"
    """A traced archive has no operator that suppresses boxes."""
    PROFILED: ClassVar[bool] = True
    STAND_IN: ClassVar[StandIn | None] = StandIn(
        "interpreted", "the operations that its files hold were interpreted, which proves them and no device"
    )

    target: str = "iOS16"
    shapes: str = "range"
    compute_units: str = "all"

    def __post_init__(self) -> None:
        for key, choices in (("target", TARGETS), ("shapes", SHAPES), ("compute_units", COMPUTE_UNITS)):
            require_choice(getattr(self, key), choices, f"backend.{key}")

    def probe(self) -> Probe:
        """Look for the `coremltools` distribution, and for macOS."""
        problem = library_problem("coremltools", EXTRA, OLDEST, BEFORE)
        return Probe(
            installed_version("coremltools"),
            devices=() if problem or run_problem() else (self.compute_units,),
            problem=problem,
            run_problem=run_problem(),
            machine={} if problem else self.machine(),
        )

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """The operators that coremltools has no translation of; it needs not be installed."""
        from compiler.backends.coreml.plan import plan

        return plan(TorchScriptProgram.of(program))

    def build(self, request: BuildRequest) -> Engine:
        """Convert the archive in a process of its own."""
        if problem := library_problem("coremltools", EXTRA, OLDEST, BEFORE):
            raise CompileError(f"{self.TITLE} cannot build an engine here", where=self.name, why=problem)
        program = TorchScriptProgram.of(request.program)
        self._convert(program, request)
        specs = program.inputs, program.outputs
        engine = Engine(request.folder, (PACKAGE,), self.node(), *specs, machine=self.machine())
        engine.save()
        return engine

    def machine(self) -> dict[str, str]:
        """The processor and the system, whose Core ML it is, and the library."""
        system = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else platform.system()
        return {**this_machine("coremltools"), "system": system}

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The package, whatever the sidecar calls it."""
        return (PACKAGE,)

    def open(self, engine: Engine) -> CoreMLSession:
        """Open the package with Core ML, on macOS."""
        path = engine.folder / PACKAGE
        if problem := library_problem("coremltools", EXTRA, OLDEST, BEFORE) or run_problem():
            raise CompileError(f"{PACKAGE} cannot be run here", where=str(path), why=problem)
        return CoreMLSession(path, engine, self.compute_units)

    def stand_in(self, engine: Engine) -> Session:
        """What computes the operations that the package holds, one by one."""
        from compiler.backends.coreml.interpreter import InterpretedPackage

        return InterpretedPackage(engine.folder / PACKAGE, engine)

    def _convert(self, program: TorchScriptProgram, request: BuildRequest) -> None:
        settings = {
            "precision": request.precision,
            "target": self.target,
            "shapes": self.shapes,
            "inputs": [_input(spec, request.profiles) for spec in program.inputs],
            "outputs": [{"name": spec.name, "dtype": narrowed_type(spec.dtype)} for spec in program.outputs],
        }
        folder = request.folder.absolute()
        write_json(folder / SETTINGS_FILE, settings)
        files = {
            "--program": program.path.absolute(),
            "--output": folder / PACKAGE,
            "--settings": folder / SETTINGS_FILE,
        }
        arguments = [word for option, path in files.items() for word in (option, str(path))]
        try:
            run_script(SCRIPT.read_text(encoding="utf-8"), arguments, folder / "build.log", request.progress)
        except CompileError as error:
            fix = "python -m compiler plan, with the same overrides, says what is known to stand in the way"
            raise CompileError(error.what, where=str(program.path), why=error.why, fix=fix) from error


def run_problem() -> str:
    """Why no engine can be run here; empty on macOS."""
    return "" if sys.platform == "darwin" else f"Core ML is a part of macOS, and this is {platform.system()}"


def _input(spec: TensorSpec, profiles: Sequence[Profile]) -> Mapping[str, Any]:
    """An input as the script is told of it: a side that varies by its smallest, usual and largest length."""
    (profile,) = profiles
    bounds = zip(*(shapes[spec.name] for shapes in (profile.smallest, profile.usual, profile.largest)), strict=True)
    sides = [side if isinstance(side, int) else list(lengths) for side, lengths in zip(spec.shape, bounds, strict=True)]
    return {"name": spec.name, "dtype": narrowed_type(spec.dtype), "shape": sides}
