"""Running a model that is only in memory, with any of its tensors as outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx

Run = Callable[[Tensors], dict[str, NDArray[Any]]]


def open_model(model: onnx.ModelProto, outputs: Sequence[str] = (), *, as_written: bool = False) -> Run:
    """Open a model in ONNX Runtime, on the CPU.

    Args:
        model: Not changed.
        outputs: The tensors to return, graph inputs included; without any, the model's own outputs.
        as_written: Whether every node has to be run: the optimiser takes a cast to 16 bits and back for nothing.

    Raises:
        CompileError: ONNX Runtime refuses the model; or, when it is run, the input.
    """
    import onnx
    import onnxruntime

    inputs = {value.name for value in model.graph.input}
    computed = [name for name in outputs if name not in inputs]
    shown = model
    if computed:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        del shown.graph.output[:]
        shown.graph.output.extend(untyped_outputs(computed))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised
    # Many models are open at once: threads that wait actively would take the cores from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no base class for its own exceptions
        raise _refusal("ONNX Runtime does not open the Program", error) from error
    computed = [output.name for output in session.get_outputs()]

    def run(tensors: Tensors) -> dict[str, NDArray[Any]]:
        try:
            found = session.run(computed, dict(tensors))
        except Exception as error:
            raise _refusal("the Program does not run on this input", error) from error
        passed = {name: tensors[name] for name in outputs if name in inputs}
        return {**passed, **dict(zip(computed, found, strict=True))}

    return run


def untyped_outputs(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
    """Return graph outputs whose types ONNX Runtime infers."""
    import onnx

    return [onnx.ValueInfoProto(name=name) for name in names]


def _refusal(what: str, error: Exception) -> CompileError:
    return CompileError(
        what, why=str(error).strip().splitlines()[0], fix="prove the Program in fp32 first: precision=fp32"
    )
