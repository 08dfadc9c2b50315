"""ONNX Runtime. The engine is the Program itself, optimised when it is opened, for what runs it there.

On the CPU its 8-bit kernels depend on the processor. On x86-64 without VNNI those for signed weights add pairs of
products up in 16 bits, and what does not fit is lost; whoever opens the file, MMDeploy's SDK for one, gets wrong
numbers and no error. So int8 is written for a processor, and by default so that every processor computes it right.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from compiler.artifact import Engine, OnnxProgram, Program, Tensors, installed_version
from compiler.artifact.machine import this_machine, usable_processors
from compiler.backends import PROGRAM_FILE, Backend, BuildRequest, LayerTime, Obstacle, Probe
from compiler.backends.libraries import version_problem
from compiler.config.choices import require_choice
from compiler.config.ranges import between
from compiler.graphs import (
    OnnxRuntimeSession,
    RuntimeOptions,
    save_model,
    schema_domain,
    sums_saturate,
    with_unsigned_weights,
)
from compiler.graphs.providers import CPU, DIRECTML, OPENVINO, PROVIDERS, available_providers, missing_provider
from compiler.graphs.self_contained import require_self_contained
from compiler.precision.int8 import (
    ONNX_RUNTIME_AVX2,
    ONNX_RUNTIME_PORTABLE,
    ONNX_RUNTIME_VNNI,
    QuantizationScheme,
)

EXTRA = "'deploy-compiler[onnxruntime]'"
OLDEST = "1.20"
AUTO = "auto"
PROCESSORS = {"portable": ONNX_RUNTIME_PORTABLE, "avx2": ONNX_RUNTIME_AVX2, "vnni": ONNX_RUNTIME_VNNI}
"""How int8 is written for a processor."""


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime(Backend):
    """ONNX Runtime, on the CPU or by another execution provider.

    Attributes:
        optimization: Of the graph, when the engine is opened: one of `OPTIMIZATIONS`.
        threads: Within one operator; None for ONNX Runtime's own choice, one on each core.
        spinning: Whether threads wait actively for work: fastest alone, slow beside another engine in one process.
        cpu: What int8 is written for: one of `PROCESSORS`, or `AUTO` for the one that this machine is.
        provider: What runs the engine: one of `PROVIDERS`.
        provider_options: Of that provider, as ONNX Runtime documents them.
        fallback: Whether the CPU may run the nodes that the provider does not take.
    """

    TITLE: ClassVar[str] = "ONNX Runtime"
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")
    TIMED: ClassVar[bool] = True
    TRITON: ClassVar[str] = "onnxruntime"

    optimization: str = "all"
    threads: int | None = between(1, 1024, default=None)
    spinning: bool = True
    cpu: str = "portable"
    provider: str = CPU
    provider_options: dict[str, Any] = field(default_factory=dict)
    fallback: bool = False

    def __post_init__(self) -> None:
        _ = RuntimeOptions(self.optimization, provider=self.provider, provider_options=self.provider_options)
        require_choice(self.cpu, (AUTO, *PROCESSORS), "backend.cpu")

    def node(self) -> dict[str, Any]:
        """The config node that builds this backend again, on this machine and elsewhere."""
        return {**super().node(), "cpu": self.processor}

    @property
    def processor(self) -> str:
        """What int8 is written for: one of `PROCESSORS`."""
        if self.cpu != AUTO:
            return self.cpu
        return "avx2" if sums_saturate() else "vnni"

    @property
    def quantization(self) -> QuantizationScheme:
        """Unsigned activations, and weights as the processor needs them."""
        return PROCESSORS[self.processor]

    @property
    def engine_holds_code(self) -> bool:
        """Whether an option of the provider's may name a file, a library or an address."""
        return not PROVIDERS[self.provider].harmless.issuperset(self.provider_options)

    @property
    def simulation(self) -> RuntimeOptions:
        """What runs the engine. One for other processors is slower here, and right."""
        return RuntimeOptions(
            self.optimization,
            self.threads,
            self.spinning,
            unsigned_weights=self.processor == "vnni",
            provider=self.provider,
            provider_options=self.provider_options,
            fallback=self.fallback,
        )

    def beside_others(self) -> OnnxRuntime:
        """The same without spinning: two sessions that do slow each other down several times."""
        return replace(self, spinning=False)

    def probe(self) -> Probe:
        """Look for a distribution of ONNX Runtime, and for the provider in it."""
        found = installed_version("onnxruntime")
        installs = EXTRA if self.provider == CPU else PROVIDERS[self.provider].wheel
        if problem := version_problem("onnxruntime", found, installs, OLDEST):
            return Probe(found, problem=problem)
        # What is made for this very processor is made again on another.
        cpu = CPU if self.cpu != AUTO else f"{CPU} ({self.processor})"
        devices = tuple(cpu if name == CPU else name for name in available_providers())
        return Probe(found, devices, missing_provider(self.provider), machine=self.machine())

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """The nodes that have neither a CPU kernel nor a definition in terms of other operators.

        Another build of ONNX Runtime says what it does not take when it opens the Program.
        """
        if OPENVINO in available_providers():
            return ()  # asked for its kernels, this build crashes (seen in 1.24.1)
        import onnx
        from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

        kernels = {(kernel.domain, kernel.op_name) for kernel in get_all_opkernel_def()}
        kernels.add(("", "Constant"))  # becomes an initializer before there is anything to run
        program = OnnxProgram.of(program)
        model = onnx.load(program.path, load_external_data=False)
        local = {(function.domain, function.name) for function in model.functions}
        refused: dict[str, list[str]] = {}
        for node in model.graph.node:
            domain = schema_domain(node.domain)
            known = (domain, node.op_type) in kernels | local
            if not known and not _has_definition(node.op_type, domain, program.opset):
                operator = f"{domain}::{node.op_type}" if domain else node.op_type
                refused.setdefault(operator, []).append(node.name)
        seen = f"the kernels of ONNX Runtime {installed_version('onnxruntime')}"
        why = "it has no kernel on the CPU, and no definition in terms of others"
        return tuple(Obstacle(operator, ", ".join(names), why, seen) for operator, names in refused.items())

    def build(self, request: BuildRequest) -> Engine:
        """Copy the Program, and open it once so that what ONNX Runtime refuses is refused here.

        What somebody else quantised may have signed weights that only some processors multiply right.
        """
        program = OnnxProgram.of(request.program)
        shutil.copyfile(program.path, request.folder / PROGRAM_FILE)
        if request.precision == "int8" and self.provider == CPU and self.processor != "vnni":
            make_weights_unsigned(request.folder / PROGRAM_FILE)
        specs = program.inputs, program.outputs
        engine = Engine(request.folder, (PROGRAM_FILE,), self.node(), *specs, machine=self.machine())
        self.open(engine)
        engine.save()
        return engine

    def machine(self) -> dict[str, str]:
        """The processor, whose features decide which kernels run, and the library."""
        return this_machine("onnxruntime")

    def graph_of(self, engine: Engine) -> Path:
        """The engine's file."""
        return engine.path

    def open(self, engine: Engine) -> OnnxRuntimeSession:
        """Open the engine with the configured threads and optimisation."""
        require_self_contained(engine.path)
        return OnnxRuntimeSession(engine.path, options=self.simulation)

    def in_streams(self, streams: int) -> Backend:
        """One session that several threads run: those within an operator are fewer, and shared. See `Backend`."""
        if self.provider == DIRECTML:  # its sessions are run by one thread at a time
            return super().in_streams(streams)
        return replace(self, threads=max(1, (self.threads or usable_processors()) - streams + 1), spinning=False)

    def layers(self, engine: Engine, tensors: Tensors, iterations: int) -> tuple[LayerTime, ...]:
        """The nodes of the optimised graph, of which some stand for several of the file; see `Backend.layers`."""
        require_self_contained(engine.path)
        with TemporaryDirectory(prefix="deploy-compiler-") as folder:
            session = OnnxRuntimeSession(engine.path, options=self.simulation, trace=Path(folder))
            for _ in range(1 + iterations):
                session.run(tensors)
            return node_times(json.loads(session.finish_trace().read_text(encoding="utf-8")))


KERNEL = "_kernel_time"
"""What ONNX Runtime puts behind a node's name in a trace."""


def node_times(events: Iterable[Mapping[str, Any]]) -> tuple[LayerTime, ...]:
    """The nodes of a graph with what they take, from a trace of several runs, of which the first does not count.

    What runs within another node, as the body of a loop, is a part of that one's time, and not told apart.
    """
    nodes = [event for event in events if event["cat"] == "Node" and event["name"].endswith(KERNEL)]
    end, taken = 0, dict[tuple[str, str, str], list[float]]()
    for node in sorted(nodes, key=lambda node: (node["ts"], -node["dur"])):
        if node["ts"] < end:
            continue
        end = node["ts"] + node["dur"]
        key = node["args"]["node_index"], node["name"].removesuffix(KERNEL), node["args"]["op_name"]
        taken.setdefault(key, []).append(node["dur"] / 1e6)
    return tuple(LayerTime(name, operator, fmean(runs[1:])) for (_, name, operator), runs in taken.items())


def make_weights_unsigned(path: Path) -> None:
    """Let an ONNX file have unsigned 8-bit weights where it has large signed ones: see `with_unsigned_weights`."""
    import onnx

    portable = with_unsigned_weights(onnx.load(path))
    if portable is not None:
        save_model(portable, path)


def _has_definition(operator: str, domain: str, opset: int) -> bool:
    """Tell whether the ONNX standard defines an operator in terms of others, which ONNX Runtime then runs instead."""
    import onnx.defs

    try:
        schema: Any = onnx.defs.get_schema(operator, opset, domain)
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)
