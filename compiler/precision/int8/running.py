"""Running a model that is only in memory, with any of its tensors as outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx

Run = Callable[[Tensors], dict[str, NDArray[Any]]]


def open_model(model: onnx.ModelProto, outputs: Sequence[str] = ()) -> Run:
    """Open a model in ONNX Runtime, on the CPU.

    Args:
        model: Not changed.
        outputs: The tensors to return, graph inputs included; without any, the model's own outputs.

    Raises:
        CompileError: ONNX Runtime refuses the model; or, when it is run, the input.
    """
    import onnx
    import onnxruntime

    inputs = {value.name for value in model.graph.input}
    computed = [name for name in outputs if name not in inputs]
    if computed:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        del shown.graph.output[:]
        # ONNX Runtime infers the types.
        shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
    else:
        shown = model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Many models are open at once: threads that wait actively would take the cores from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no base class for its own exceptions
        raise CompileError("ONNX Runtime refuses the model", why=_first_line(error)) from error
    computed = [output.name for output in session.get_outputs()]

    def run(tensors: Tensors) -> dict[str, NDArray[Any]]:
        try:
            found = session.run(computed, dict(tensors))
        except Exception as error:
            raise CompileError("the model does not run on this input", why=_first_line(error)) from error
        passed = {name: tensors[name] for name in outputs if name in inputs}
        return {**passed, **dict(zip(computed, found, strict=True))}

    return run


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
