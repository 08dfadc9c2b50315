"""ONNX Runtime on the CPU. The engine is the Program itself, optimised when it is opened, for the CPU it is on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from compiler.artifact import Engine, OnnxProgram, Program, Tensors, installed_version
from compiler.backends import PROGRAM_FILE, Backend, BuildRequest, Obstacle, Probe
from compiler.errors import CompileError, UsageError, nearest

OPTIMIZATIONS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime(Backend):
    """ONNX Runtime's CPU execution provider.

    Attributes:
        optimization: Of the graph, when the engine is opened: one of `OPTIMIZATIONS`.
        threads: Within one operator; None for ONNX Runtime's own choice, one on each core.
        spinning: Whether threads wait actively for work: fastest alone, slow beside another engine in one process.
    """

    TITLE: ClassVar[str] = "ONNX Runtime"
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")
    QUANTIZATION: ClassVar[str] = "asymmetric"
    """Its kernels on the CPU are fast with uint8 activations."""

    optimization: str = "all"
    threads: int | None = None
    spinning: bool = True

    def __post_init__(self) -> None:
        if self.optimization not in OPTIMIZATIONS:
            raise UsageError(
                f"there is no optimization level '{self.optimization}'",
                where="backend.optimization",
                fix=nearest(self.optimization, OPTIMIZATIONS),
            )

    def probe(self) -> Probe:
        """Look for the `onnxruntime` distribution."""
        found = installed_version("onnxruntime")
        if not found:
            return Probe("", problem="onnxruntime is not installed: pip install onnxruntime")
        return Probe(found, devices=("CPU",))

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Return the nodes that have neither a CPU kernel nor a definition in terms of other operators."""
        import onnx
        from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

        kernels = {(kernel.domain, kernel.op_name) for kernel in get_all_opkernel_def()}
        kernels.add(("", "Constant"))  # becomes an initializer before there is anything to run
        program = OnnxProgram.of(program)
        model = onnx.load(program.path, load_external_data=False)
        local = {(function.domain, function.name) for function in model.functions}
        refused: dict[str, list[str]] = {}
        for node in model.graph.node:
            domain = _domain(node.domain)
            known = (domain, node.op_type) in kernels | local
            if not known and not _has_definition(node.op_type, domain, program.opset):
                operator = f"{domain}::{node.op_type}" if domain else node.op_type
                refused.setdefault(operator, []).append(node.name)
        seen = f"the kernels of ONNX Runtime {installed_version('onnxruntime')}"
        why = "it has no kernel on the CPU, and no definition in terms of others"
        return tuple(Obstacle(operator, ", ".join(names), why, seen) for operator, names in refused.items())

    def build(self, request: BuildRequest) -> Engine:
        """Copy the Program, and open it once so that what ONNX Runtime refuses is refused here."""
        program = OnnxProgram.of(request.program)
        shutil.copyfile(program.path, request.folder / PROGRAM_FILE)
        engine = Engine(request.folder, (PROGRAM_FILE,), self.node(), program.inputs, program.outputs)
        self.open(engine)
        engine.save()
        return engine

    def open(self, engine: Engine) -> OnnxRuntimeSession:
        """Open the engine with the configured threads and optimisation."""
        return OnnxRuntimeSession(
            engine.path, optimization=self.optimization, threads=self.threads, spinning=self.spinning
        )


class OnnxRuntimeSession:
    """An ONNX file, open on the CPU.

    Args:
        path: The file.
        optimization: One of `OPTIMIZATIONS`.
        threads: Within one operator; None for ONNX Runtime's own choice, one on each core.
        spinning: Whether threads wait actively for work.

    Raises:
        CompileError: ONNX Runtime is not installed, or refuses the file.
    """

    def __init__(
        self, path: Path, *, optimization: str = "all", threads: int | None = None, spinning: bool = True
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise CompileError(
                "ONNX Runtime is not installed", where=str(path), fix="pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, OPTIMIZATIONS[optimization])
        options.intra_op_num_threads = threads or 0
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise CompileError(
                f"ONNX Runtime refuses {path.name}",
                where=str(path),
                why=str(error).strip().splitlines()[0],
                fix="run python -m compiler doctor, and compile again with this version of ONNX Runtime",
            ) from error
        self._outputs = [output.name for output in self._session.get_outputs()]

    @classmethod
    def as_written(cls, path: Path) -> OnnxRuntimeSession:
        """Open a file that is not to be optimised, beside others: the proof compares graphs as they are.

        Raises:
            CompileError: See the class.
        """
        return cls(path, optimization="disabled", spinning=False)

    def run(self, tensors: Tensors) -> Tensors:
        """Return the outputs by name, for inputs by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(tensors)), strict=True))


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _has_definition(operator: str, domain: str, opset: int) -> bool:
    """Tell whether the ONNX standard defines an operator in terms of others, which ONNX Runtime then runs instead."""
    import onnx.defs

    try:
        schema: Any = onnx.defs.get_schema(operator, opset, _domain(domain))
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)
