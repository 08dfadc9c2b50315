"""Writing a model in mixed precision: 16 bits inside the regions that were chosen, casts on their borders alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError, one_line
from compiler.graphs import without_unused
from compiler.precision.half.formats import Format
from compiler.precision.half.wiring import HalfWiring, element_types

if TYPE_CHECKING:
    import onnx


def write(wiring: HalfWiring, half: Collection[int], number_format: Format) -> onnx.ModelProto:
    """The model with some of its nodes in 16 bits; its inputs and outputs stay in fp32.

    Args:
        wiring: Of the model in fp32.
        half: The nodes that are in 16 bits.
        number_format: What they are in.

    Raises:
        CompileError: What was written is not valid ONNX.
    """
    import onnx

    writer = _Writer(wiring, frozenset(half), number_format)
    model = onnx.ModelProto()
    model.CopyFrom(wiring.model)
    graph = model.graph
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(writer.nodes())
    graph.initializer.extend(writer.initializers())
    graph.value_info.extend(writer.value_infos())
    try:
        model = onnx.shape_inference.infer_shapes(without_unused(model), check_type=True, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise CompileError(
            f"the Program is not valid in {number_format.name}",
            why=one_line(error),
            fix="this is a defect in the compiler; keep_fp32 leaves the node named above in fp32",
        ) from error
    return model


class _Writer:
    """Rewires nodes, and makes each cast and each constant in 16 bits once."""

    def __init__(self, wiring: HalfWiring, half: frozenset[int], number_format: Format) -> None:
        self._wiring = wiring
        self._half = half
        self._format = number_format
        self._born_half = {
            wiring.nodes[index].output[position] for index in half for position in wiring.slots[index].outputs
        }
        self._in_format = {self._short(name) for name in self._born_half}
        self._in_format.update(n for n, kind in element_types(wiring.model.graph) if kind == number_format.onnx_type)
        self._cast: set[str] = set()

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """Yield all nodes in order, each cast right before the first node that needs it."""
        import onnx

        for index, node in enumerate(self._wiring.nodes):
            rewired = onnx.NodeProto()
            rewired.CopyFrom(node)
            for position, name in enumerate(node.input):
                is_half = index in self._half and position in self._wiring.slots[index].inputs
                # Whatever a cast reads it may read in either precision.
                is_half |= node.op_type == "Cast" and name in self._born_half
                rewired.input[position] = self._short(name) if is_half else name
                yield from self._casts(name, is_half=is_half)
            for position in self._wiring.slots[index].outputs if index in self._half else ():
                rewired.output[position] = self._short(node.output[position])
            yield rewired
            for name in node.output:
                if name in self._wiring.read_elsewhere:
                    yield from self._casts(name, is_half=False)

    def initializers(self) -> Iterator[onnx.TensorProto]:
        """Yield every constant in every precision."""
        for tensor in self._wiring.model.graph.initializer:
            yield tensor
            if tensor.name in self._wiring.weights:
                yield self._constant(self._short(tensor.name), self._wiring.weights[tensor.name])

    def value_infos(self) -> Iterator[onnx.ValueInfoProto]:
        """Yield the shapes of what the fp32 model has, in the precision that it is in now."""
        import onnx

        for value in self._wiring.model.graph.value_info:
            if value.name not in self._born_half:
                yield value
                continue
            short = onnx.ValueInfoProto()
            short.CopyFrom(value)
            short.name = self._short(value.name)
            short.type.tensor_type.elem_type = self._format.onnx_type
            yield short

    def _short(self, name: str) -> str:
        return f"{name}__{self._format.name}"

    def _casts(self, name: str, *, is_half: bool) -> Iterator[onnx.NodeProto]:
        """Yield the cast that makes a tensor in one precision from the other, if there is none yet."""
        import onnx

        exists = name not in self._wiring.floats or name in self._wiring.weights
        result = self._short(name) if is_half else name
        if exists or is_half == (name in self._born_half) or result in self._cast:
            return
        self._cast.add(result)
        source = self._before_casts(name if is_half else self._short(name))
        if is_half and source in self._in_format:
            # Not a cast that changes nothing: with its optimiser off ONNX Runtime 1.23 refuses a file that has one.
            yield onnx.helper.make_node("Identity", [source], [result], f"{result}__same")
            return
        kind = self._format.onnx_type if is_half else onnx.TensorProto.FLOAT
        yield onnx.helper.make_node("Cast", [source], [result], f"{result}__cast", to=kind)

    def _before_casts(self, name: str) -> str:
        """What a tensor was cast from, as it is there, so that no cast follows another."""
        producer = self._wiring.producer(name)
        if producer is None or producer.op_type != "Cast":
            return name
        given = str(producer.input[0])
        if given in self._born_half:
            return self._short(given)
        return self._before_casts(given) if given in self._wiring.floats else given

    def _constant(self, name: str, values: NDArray[np.float32]) -> onnx.TensorProto:
        import onnx

        with np.errstate(over="ignore"):
            data = values.astype(self._format.dtype).tobytes()
        return onnx.helper.make_tensor(name, self._format.onnx_type, values.shape, data, raw=True)
