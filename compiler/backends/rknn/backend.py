"""RKNN's adapter. The engine is a file for one kind of chip, which computes in fp16 or int8.

The toolkit asks for versions of NumPy, ONNX and PyTorch that nothing else here runs with, and ends the whole process
where it does not like a graph: it is run by an interpreter of its own, for the build and for the simulation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from compiler.artifact import Engine, OnnxProgram, Program
from compiler.backends import PROGRAM_FILE, Backend, BuildRequest, Obstacle, Probe
from compiler.backends.child import run_script
from compiler.backends.environments import Environment
from compiler.backends.rknn.session import SCRIPT, SimulatedSession
from compiler.config.backend_facts import StandIn
from compiler.config.choices import require_choice
from compiler.config.ranges import between
from compiler.errors import CompileError
from compiler.graphs.self_contained import require_self_contained

ENGINE_FILE, LOG_FILE = "end2end.rknn", "build.log"
MEASURED = "simulator"
"""What the files are called that the simulation of an int8 engine is built from, before their ends."""
MEASURED_FILES = tuple(f"{MEASURED}{end}" for end in (".model", ".data", ".quantization.cfg"))
TARGETS = (
    "rk3562", "rk3566", "rk3568", "rk3576", "rk3588", "rv1103", "rv1103b", "rv1106", "rv1106b", "rv1126b", "rk2118",
)  # fmt: skip
"""The chips that the toolkit 2.3 to 2.5 builds for."""
ALGORITHMS = ("normal", "mmse", "kl_divergence")
METHODS = ("channel", "layer")
NEWEST_OPSET = 19
"""That the toolkit reads."""
SEEN = "rknn-toolkit2 2.5.0, its refusals here"


@dataclass(frozen=True, kw_only=True)
class RKNN(Backend):
    """rknn-toolkit2, 2.3 and newer.

    Attributes:
        python: The interpreter that has the toolkit; None for the one that `Environment.interpreter` finds. A bundle
            does not hold it.
        target: The chip: one of `TARGETS`.
        optimization_level: Of the toolkit, 0 to 3.
        quantized_algorithm: How ranges are taken from the calibration data: one of `ALGORITHMS`.
        quantized_method: What weights share a scale: one of `METHODS`.
    """

    TITLE: ClassVar[str] = "RKNN"
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16", "int8")
    OWN_PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16", "int8")
    TAIL: ClassVar[str] = "host"
    STAND_IN: ClassVar[StandIn | None] = StandIn(
        "simulated", "what it was built from was run by the toolkit's simulator, which proves that and no device"
    )
    LOCAL: ClassVar[tuple[str, ...]] = ("python",)
    ENVIRONMENT: ClassVar[Environment] = Environment(
        backend="rknn",
        distribution="rknn-toolkit2",
        requirements=(
            "torch",
            "numpy==1.26.4",
            "onnx==1.18.0",
            "protobuf==4.25.4",
            "onnxruntime<1.27",
            "opencv-python-headless<4.12",
            "scipy<1.16",
            "setuptools<81",
            "psutil",
            "ruamel.yaml",
            "tqdm",
            "fast-histogram",
        ),
        alone=("rknn-toolkit2==2.5.0",),
        newest_python=(3, 12),
        oldest="2.5",
    )

    python: str | None = None
    target: str = "rk3588"
    optimization_level: int = between(0, 3, default=3)
    quantized_algorithm: str = "normal"
    quantized_method: str = "channel"

    def __post_init__(self) -> None:
        known = {"target": TARGETS, "quantized_algorithm": ALGORITHMS, "quantized_method": METHODS}
        for key, choices in known.items():
            require_choice(getattr(self, key), choices, f"backend.{key}")

    def probe(self) -> Probe:
        """Ask the interpreter that has the toolkit for its version."""
        version, problem = self.ENVIRONMENT.version(self.python)
        return Probe(version, problem=problem, run_problem=f"there is no {self.target} here", machine=self.machine())

    def machine(self) -> dict[str, str]:
        """The toolkit, which simulates the engine wherever it is opened."""
        return {"rknn-toolkit2": self.ENVIRONMENT.version(self.python)[0]}

    @property
    def engine_holds_code(self) -> bool:
        """It does: what a simulation in int8 is built from are pickles of the toolkit's."""
        return True

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Axes that vary; the operators are the toolkit's to refuse."""
        varying = [spec.name for spec in program.inputs if not all(isinstance(size, int) for size in spec.shape)]
        if varying:
            why, fix = "an engine is for one shape", "shape=static, or static_<height>x<width>"
            return (Obstacle("input", ", ".join(varying), why, SEEN, fix),)
        opset = OnnxProgram.of(program).opset
        if opset > NEWEST_OPSET:
            why = f"the toolkit reads opsets up to {NEWEST_OPSET}, and this is {opset}"
            return (Obstacle("opset", "the Program", why, SEEN, f"export.opset={NEWEST_OPSET}"),)
        return ()

    def build(self, request: BuildRequest) -> Engine:
        """Build `end2end.rknn`, beside what its simulation is built from: the toolkit cannot simulate the file."""
        program = OnnxProgram.of(request.program)
        folder = request.folder.absolute()
        shutil.copyfile(program.path, folder / PROGRAM_FILE)
        measured = MEASURED_FILES if request.precision == "int8" else ()
        files = (ENGINE_FILE, PROGRAM_FILE, *measured)
        engine = Engine(folder, files, self.node(), program.inputs, program.outputs, machine=self.machine())
        with TemporaryDirectory(prefix="deploy-compiler-") as scratch:
            dataset = _written(request, Path(scratch)) if measured else None
            settings = {**self._settings(engine), "dataset": dataset, "calibration": bool(dataset)}
            self._run(settings, folder / LOG_FILE, request)
        engine = replace(engine, folder=request.folder)
        engine.save()
        return engine

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The engine, and what its simulation is built from, whatever the sidecar names."""
        return (ENGINE_FILE, PROGRAM_FILE, *(MEASURED_FILES if _is_int8(engine) else ()))

    def open(self, engine: Engine) -> SimulatedSession:
        """Simulate what the engine was built from: the file itself is for the chip alone."""
        require_self_contained(engine.folder / PROGRAM_FILE)
        return SimulatedSession(self._interpreter(str(engine.path)), self._settings(engine), engine)

    def stand_in(self, engine: Engine) -> SimulatedSession:
        """The same: see `open`."""
        return self.open(engine)

    def _settings(self, engine: Engine) -> Mapping[str, Any]:
        """What `toolkit.py` is told."""
        options = {name: value for name, value in asdict(self).items() if name not in ("name", "python", "target")}
        folder = engine.folder.absolute()
        return {
            "program": str(folder / PROGRAM_FILE),
            "engine": str(folder / ENGINE_FILE),
            "measured": str(folder / MEASURED) if _is_int8(engine) else "",
            "config": {"target_platform": self.target, **options},
            "inputs": [spec.name for spec in engine.inputs],
            "outputs": [spec.name for spec in engine.outputs],
        }

    def _run(self, settings: Mapping[str, Any], log: Path, request: BuildRequest) -> None:
        python = self._interpreter(str(request.program.path))
        arguments = ["build", json.dumps({**settings, "log": str(log)})]
        try:
            run_script(SCRIPT.read_text(encoding="utf-8"), arguments, log, request.progress, python=python)
        except CompileError as error:
            kept = request.cache / LOG_FILE
            request.cache.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, kept) if log.is_file() else kept.touch()
            raise CompileError(
                f"RKNN cannot build this Program: {error.what}",
                where=str(request.program.path),
                why=error.why,
                fix=f"read {kept}",
            ) from error

    def _interpreter(self, where: str) -> Path:
        """The interpreter that has the toolkit.

        Raises:
            CompileError: There is none.
        """
        python = self.ENVIRONMENT.interpreter(self.python)
        if python is None:
            _, problem = self.ENVIRONMENT.version(self.python)
            raise CompileError("RKNN's toolkit is not here", where=where, why=problem)
        return python


def _is_int8(engine: Engine) -> bool:
    return not set(MEASURED_FILES).isdisjoint(engine.files)


def _written(request: BuildRequest, folder: Path) -> str:
    """The calibration data as the toolkit reads it: a list of samples, each the files of its inputs."""
    assert request.calibration is not None
    lines: list[str] = []
    names = [spec.name for spec in request.program.inputs]
    for batch in request.calibration():
        for index in range(len(batch[names[0]])):
            files = [f"{len(lines)}_{place}.npy" for place in range(len(names))]
            for file, name in zip(files, names, strict=True):
                np.save(folder / file, batch[name][index : index + 1])
            lines.append(" ".join(files))
    dataset = folder / "dataset.txt"
    dataset.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(dataset)
