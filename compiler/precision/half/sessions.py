"""Running a model that has been instrumented: it has more outputs, which measure what is inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError

if TYPE_CHECKING:
    import onnx


class InstrumentedSession:
    """A model, open in ONNX Runtime as it is written.

    Raises:
        CompileError: ONNX Runtime refuses the model.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise _refusal("open", error) from error

    def run(self, names: Sequence[str], tensors: Tensors) -> dict[str, NDArray[Any]]:
        """Return the outputs of these names.

        Raises:
            CompileError: The model does not run on these inputs.
        """
        try:
            return dict(zip(names, self._session.run(list(names), dict(tensors)), strict=True))
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            raise _refusal("run", error) from error


def untyped_outputs(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
    """Return graph outputs whose types ONNX Runtime infers."""
    import onnx

    return [onnx.ValueInfoProto(name=name) for name in names]


def _refusal(verb: str, error: Exception) -> CompileError:
    return CompileError(
        f"ONNX Runtime does not {verb} the Program that is to be written in 16 bits",
        why=str(error).strip().splitlines()[0],
        fix="prove the Program in fp32 first: precision=fp32",
    )
