"""Signed weights in 8 bits as unsigned ones of the same value, where sums of them would be lost.

On x86-64 without VNNI, ONNX Runtime's kernels for unsigned activations and signed weights add pairs of products up in
16 bits: see `compiler.graphs.sums_saturate`. Those for unsigned weights lose nothing, on any processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

LARGEST_EXACT = 64
"""In magnitude: two products of 255 and this fit 16 bits."""
SHIFT = 128


@dataclass(frozen=True)
class Slot:
    """Where an operator reads a weight: positions among its inputs.

    Attributes:
        weight: Of its integers.
        zero_point: Of what stands for zero in it; it may be left out.
        scale: Of its scale, which has the zero point's shape; None where the zero point is one number.
        activation: Of what stands for zero in what the weight is multiplied by; None where that is not said here.
    """

    weight: int
    zero_point: int
    scale: int | None = None
    activation: int | None = None


SLOTS = {
    "ConvInteger": Slot(1, 3, activation=2),
    "DequantizeLinear": Slot(0, 2, scale=1),
    "DynamicQuantizeMatMul": Slot(1, 3, scale=2),
    "MatMulInteger": Slot(1, 3, activation=2),
    "MatMulIntegerToFloat": Slot(1, 5, scale=3, activation=4),
    "QGemm": Slot(3, 5, scale=4, activation=2),
    "QLinearConv": Slot(3, 5, scale=4, activation=2),
    "QLinearMatMul": Slot(3, 5, scale=4, activation=2),
}
"""By operator, of ONNX and of ONNX Runtime. The latter multiplies signed activations by signed weights only, right."""


def with_unsigned_weights(model: onnx.ModelProto, beside_signed: bool = False) -> onnx.ModelProto | None:
    """A copy of a model whose 8-bit weights any processor multiplies right; None where there is nothing to change.

    Every number is what it was. Weights that are small enough stay, and so does what is no constant of the main graph.

    Args:
        model: Quantised already.
        beside_signed: Whether signed activations are multiplied wrong by signed weights too, as OpenVINO does it.
    """
    import onnx

    if not any(node.op_type in SLOTS for node in model.graph.node):
        return None
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    shifting = _Shifting(copied.graph, beside_signed)
    for node in copied.graph.node:
        shifting.shift(node)
    copied.graph.initializer.extend(shifting.added)
    return copied if shifting.added else None


class _Shifting:
    """Adds the unsigned weights of a graph, each once."""

    def __init__(self, graph: onnx.GraphProto, beside_signed: bool) -> None:
        self._beside_signed = beside_signed
        self.added: list[onnx.TensorProto] = []
        self._names: set[str] = set()
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._large = dict(self._large_weights())
        # Weights may be quantised in the graph itself, as training with simulated rounding leaves them.
        self._quantizers = {
            node.output[0]: node
            for node in graph.node
            if node.op_type == "QuantizeLinear"
            and node.input[0] in self._constants
            and self._only_dequantized(node, graph)
        }

    def shift(self, node: onnx.NodeProto) -> None:
        """Let a node read its weight unsigned."""
        slot = SLOTS.get(node.op_type)
        if slot is None or slot.weight >= len(node.input):
            return
        weight, zero_point = node.input[slot.weight], self._zero_point(node, slot)
        if zero_point is None or not (self._beside_signed or self._is_multiplied_by_unsigned(node, slot)):
            return
        if weight in self._large:
            node.input[slot.weight] = self._stored(weight, self._large[weight])
        elif weight in self._quantizers:
            self._give_zero_point(self._quantizers[weight], 2, weight, zero_point)
        else:
            return
        self._give_zero_point(node, slot.zero_point, weight, zero_point)

    def _large_weights(self) -> Iterator[tuple[str, NDArray[np.int8]]]:
        for name in self._constants:
            values = self._signed(name)
            if values is not None and np.abs(values.astype(np.int16)).max(initial=0) > LARGEST_EXACT:
                yield name, values

    def _only_dequantized(self, node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
        """Tell whether what a node gives are signed integers that nothing reads but what turns them back."""
        readers = [reader for reader in graph.node if node.output[0] in reader.input]
        is_signed = len(node.input) > 2 and self._signed(node.input[2]) is not None
        return is_signed and all(
            reader.op_type == "DequantizeLinear" and list(reader.input[1:]) == list(node.input[1:])
            for reader in readers
        )

    def _zero_point(self, node: onnx.NodeProto, slot: Slot) -> NDArray[np.int8] | None:
        """What stands for zero in a weight; None where it is computed."""
        given = node.input[slot.zero_point] if slot.zero_point < len(node.input) else ""
        if given:
            return self._signed(given)
        if slot.scale is None:
            return np.zeros((), np.int8)
        scale = self._constants.get(node.input[slot.scale])
        return None if scale is None else np.zeros(tuple(scale.dims), np.int8)

    def _is_multiplied_by_unsigned(self, node: onnx.NodeProto, slot: Slot) -> bool:
        """Tell whether activations are unsigned, which they are where nothing is said of them."""
        if slot.activation is None or slot.activation >= len(node.input) or not node.input[slot.activation]:
            return True
        return self._signed(node.input[slot.activation]) is None

    def _signed(self, name: str) -> NDArray[np.int8] | None:
        """The values of a constant in signed 8 bits; None for anything else."""
        import onnx

        tensor = self._constants.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.INT8:
            return None
        values: NDArray[np.int8] = onnx.numpy_helper.to_array(tensor)
        return values

    def _give_zero_point(self, node: onnx.NodeProto, position: int, weight: str, values: NDArray[np.int8]) -> None:
        node.input.extend([""] * (position + 1 - len(node.input)))
        node.input[position] = self._stored(f"{weight}_zero_point", values)

    def _stored(self, stem: str, values: NDArray[np.int8]) -> str:
        import onnx

        name = f"{stem}_unsigned"
        if name not in self._names:
            self._names.add(name)
            unsigned = (values.astype(np.int16) + SHIFT).astype(np.uint8)
            self.added.append(onnx.numpy_helper.from_array(unsigned, name))
        return name
