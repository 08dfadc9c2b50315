"""ONNX Runtime: the one place that opens it. It runs engines, and on the CPU it is the reference of every proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import Tensors, require_file
from compiler.config.choices import require_choice
from compiler.errors import CompileError, UsageError, one_line
from compiler.graphs.providers import (
    CPU,
    PROVIDERS,
    OptionValue,
    as_text,
    missing_provider,
    nodes_on_the_cpu,
    require_provider,
)
from compiler.graphs.unsigned_weights import with_unsigned_weights

if TYPE_CHECKING:
    import onnx

OPTIMIZATIONS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}


@dataclass(frozen=True)
class RuntimeOptions:
    """How a graph is run.

    Attributes:
        optimization: Of the graph, when it is opened: one of `OPTIMIZATIONS`.
        threads: Within one operator; None for ONNX Runtime's own choice, one on each core.
        spinning: Whether threads wait actively for work: fastest alone, slow beside another session in one process.
        unsigned_weights: Whether 8-bit weights are taken as unsigned where sums of signed ones saturate (see
            `sums_saturate`). ONNX Runtime refuses a model in which two nodes read one such weight then.
        packing: Whether constant weights are put into the order that is fastest to multiply by, which rounds otherwise
            than what is done with the same numbers where they are computed.
        in_order: Whether nodes run in the order of the graph as soon as they can, so that what only looks at a tensor
            runs before the tensor after it is made. Layouts that ONNX Runtime chooses, of "all", put nodes elsewhere.
        provider: What runs it: one of `PROVIDERS`.
        provider_options: Of that provider, over those that it has here.
        fallback: Whether the CPU may run what the provider does not take.
    """

    optimization: str = "all"
    threads: int | None = None
    spinning: bool = True
    unsigned_weights: bool = False
    packing: bool = True
    in_order: bool = False
    provider: str = CPU
    provider_options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)
    fallback: bool = False

    def __post_init__(self) -> None:
        require_choice(self.optimization, OPTIMIZATIONS, "backend.optimization")
        require_choice(self.provider, PROVIDERS, "backend.provider")
        for name, value in self.provider_options.items():
            if not isinstance(value, OptionValue):
                where = f"backend.provider_options.{name}"
                raise UsageError(f"'{where}' must be a text or a number", where=where, why=f"it is {value!r:.80}")
        if self.provider == CPU and self.provider_options:
            raise UsageError(
                f"the provider {CPU} takes no options",
                where="backend.provider_options",
                fix="choose another by backend.provider, or leave them out",
            )

    @property
    def providers(self) -> list[tuple[str, dict[str, str]]]:
        """What ONNX Runtime is to try, in this order, with its options."""
        chosen = PROVIDERS[self.provider]
        first = (
            chosen.name,
            {**chosen.options, **{key: as_text(value) for key, value in self.provider_options.items()}},
        )
        return [first] if self.provider == CPU or not self.fallback else [first, (PROVIDERS[CPU].name, {})]


COMPILE_AGAIN = "run python -m compiler doctor, and compile again with this version of ONNX Runtime"
ANY_PROCESSOR = "compile for any processor: backend.cpu=portable"

FASTEST = RuntimeOptions()
"""A session that has the machine to itself."""
BESIDE_OTHERS = RuntimeOptions(spinning=False)
"""Many sessions are open at once: threads that wait actively would take the cores from each other."""
AS_WRITTEN = RuntimeOptions("disabled", spinning=False, packing=False)
"""Every node is run as the graph says, in float where it is dequantised: the proof compares graphs as they are, and
whether a weight stands in the file or is computed from one is no difference between them."""

LOOKED_AT = RuntimeOptions("extended", spinning=False, in_order=True)
"""Nodes that reduce what others compute run right behind those, and no tensor is kept for them."""


class OnnxRuntimeSession:
    """A model, open for running.

    Args:
        model: A file, or what is in memory; not changed.
        outputs: Of a model in memory, the tensors to return, graph inputs included; without any, its own outputs.
        options: How it is run.
        trace: A folder, where it is written what each node takes; see `finish_trace`.

    Raises:
        CompileError: ONNX Runtime is not installed, or refuses the model.
    """

    def __init__(
        self,
        model: Path | onnx.ModelProto,
        outputs: Sequence[str] = (),
        options: RuntimeOptions = FASTEST,
        trace: Path | None = None,
    ) -> None:
        self._session, inputs = _open(model, outputs, options, trace)
        self._computed = [output.name for output in self._session.get_outputs()]
        self._passed = [name for name in outputs if name in inputs]

    @classmethod
    def as_written(cls, path: Path) -> OnnxRuntimeSession:
        """A file that is run as it is, beside others; where sums of signed weights saturate, with unsigned ones.

        Raises:
            CompileError: See the class.
        """
        exact = _exact(path) if sums_saturate() else None
        return cls(exact or path, options=AS_WRITTEN)

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name.

        Raises:
            CompileError: ONNX Runtime refuses the input.
        """
        try:
            found = self._session.run(self._computed, dict(tensors))
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise CompileError(
                "the Program does not run on this input",
                why=one_line(error),
                fix="prove the Program in fp32 first: precision=fp32",
            ) from error
        passed = {name: tensors[name] for name in self._passed}
        return {**passed, **dict(zip(self._computed, found, strict=True))}

    @property
    def types(self) -> dict[str, str]:
        """What each output that is computed is, as ONNX Runtime says it, such as `tensor(float)`."""
        return {output.name: output.type for output in self._session.get_outputs()}

    def finish_trace(self) -> Path:
        """The file with what each node took in every run until now, where a trace is written: events of Chrome's."""
        return Path(self._session.end_profiling())


@cache
def sums_saturate() -> bool:
    """Whether this machine's kernels lose what pairs of 8-bit products exceed 16 bits by.

    Those for unsigned activations and signed weights do on x86-64 without VNNI. Measured, since no operating system
    says it in one way: two products of 255 and 127 are added, 32 times.
    """
    import onnx.parser
    import onnxruntime

    text = """<ir_version: 8, opset_import: ["": 13]>
        g (uint8[1, 64] a, int8[64, 16] b) => (int32[1, 16] y) { y = MatMulInteger (a, b) }"""
    session = onnxruntime.InferenceSession(
        onnx.parser.parse_model(text).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (sums,) = session.run(None, {"a": np.full((1, 64), 255, np.uint8), "b": np.full((64, 16), 127, np.int8)})
    return bool((sums != 64 * 255 * 127).any())


def _exact(path: Path) -> onnx.ModelProto | None:
    """What is in a file with weights that this processor multiplies right; None where it has those, or is no file."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return with_unsigned_weights(onnx.load(path))
    except (OSError, DecodeError):  # ONNX Runtime says what is wrong with it
        return None


def _open(
    model: Path | onnx.ModelProto, outputs: Sequence[str], options: RuntimeOptions, trace: Path | None
) -> tuple[Any, set[str]]:
    """A session of ONNX Runtime's own, and the names of the model's inputs where outputs are asked for."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise CompileError(
            "ONNX Runtime is not installed", where=_name(model), fix="pip install onnxruntime"
        ) from error
    inputs: set[str] = set()
    if not isinstance(model, Path):
        inputs = {value.name for value in model.graph.input}
        computed = [name for name in outputs if name not in inputs]
        model = with_outputs(model, computed) if computed else model
    if isinstance(model, Path):
        require_file(model, "the engine")
    if missing := missing_provider(options.provider):
        raise CompileError(
            f"{_name(model)} cannot be opened here", where=f"backend.provider={options.provider}", why=missing
        )
    try:
        session = _created(model, options, trace)
    except Exception as error:  # ONNX Runtime has no base class for its own exceptions
        raise _refused(model, options, error) from error
    require_provider(session, options.provider)
    return session, inputs


def _created(model: Path | onnx.ModelProto, options: RuntimeOptions, trace: Path | None = None) -> Any:
    import onnxruntime

    source = model if isinstance(model, Path) else model.SerializeToString()
    # Of its own it would try again without the provider, and print that.
    given = {"providers": options.providers, "enable_fallback": 0}
    chosen = _session_options(options)
    if trace is not None:
        chosen.enable_profiling, chosen.profile_file_prefix = True, str(trace / "trace")
    return onnxruntime.InferenceSession(source, chosen, **given)


def _refused(model: Path | onnx.ModelProto, options: RuntimeOptions, error: Exception) -> CompileError:
    if not options.fallback and "fallback to CPU EP has been explicitly disabled" in str(error):
        nodes = nodes_on_the_cpu(_created(model, replace(options, fallback=True)))
        return CompileError(
            f"{PROVIDERS[options.provider].name} does not take all of {_name(model)}",
            where=nodes or f"backend.provider={options.provider}",
            why="the CPU would run the rest, which costs copies and is not what was asked for",
            fix="allow it: backend.fallback=true",
        )
    return CompileError(
        f"ONNX Runtime refuses {_name(model)}",
        where=str(model) if isinstance(model, Path) else "",
        why=one_line(error),
        fix=ANY_PROCESSOR if options.unsigned_weights else COMPILE_AGAIN,
    )


def _session_options(options: RuntimeOptions) -> Any:
    import onnxruntime

    given = onnxruntime.SessionOptions()
    given.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, OPTIMIZATIONS[options.optimization])
    given.intra_op_num_threads = options.threads or 0
    given.add_session_config_entry("session.intra_op.allow_spinning", "1" if options.spinning else "0")
    given.add_session_config_entry("session.x64quantprecision", "1" if options.unsigned_weights else "0")
    given.add_session_config_entry("session.disable_prepacking", "0" if options.packing else "1")
    if options.provider != CPU:
        given.add_session_config_entry("session.disable_cpu_ep_fallback", "0" if options.fallback else "1")
        given.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if options.in_order:
        given.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    given.log_severity_level = 4  # what is wrong is raised
    return given


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """A copy of a model that gives these tensors, whose types ONNX Runtime infers, and no others."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _name(model: Path | onnx.ModelProto) -> str:
    return model.name if isinstance(model, Path) else "the Program"
