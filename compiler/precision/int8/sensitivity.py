"""Which layers suffer most from 8 bits, and how few of them have to stay in float."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError
from compiler.graphs import AS_WRITTEN, BESIDE_OTHERS, OnnxRuntimeSession, name_of
from compiler.numerics import difference
from compiler.precision.excluded import Excluded
from compiler.precision.int8.layers import Layer, choose_layers
from compiler.precision.int8.quantize import Quantized, check_quantizable, quantize, with_pairs
from compiler.precision.int8.schemes import QuantizationScheme
from compiler.precision.int8.table import CalibrationTable

if TYPE_CHECKING:
    import onnx

TAPPED_AT_ONCE = 16
"""Layers whose input and output are held in memory together."""


@dataclass(frozen=True)
class LayerError:
    """What quantising one layer alone does to what the model gives.

    Attributes:
        node: Its name.
        operator: Its type.
        relative_error: The largest absolute error of any tensor, in the yardstick of that tensor.
        yardstick: Its name: see `compiler.numerics.Yardstick`.
        cosine_similarity: The smallest of any tensor.
    """

    node: str
    operator: str
    relative_error: float
    cosine_similarity: float
    yardstick: str = "σ"


def rank(
    model: onnx.ModelProto,
    table: CalibrationTable,
    scheme: QuantizationScheme,
    samples: Sequence[Tensors],
    judged: Sequence[str] = (),
    most: int | None = None,
) -> tuple[LayerError, ...]:
    """The error that each layer causes when it alone is quantised; the first lowers the cosine most.

    A layer is run by itself, in float and quantised, on what it reads in the float model; the difference is added to
    its output in the float model, which is opened once for all layers. So each layer costs a run of the model on each
    sample, and every `TAPPED_AT_ONCE` layers one more. What only moves values is not ranked: it follows its readers.

    Args:
        model: In float32; not changed.
        table: What `calibrate` found for this very model.
        scheme: What the target takes.
        samples: Few: the time is in proportion to their number.
        judged: The tensors whose error counts; without any, the model's outputs.
        most: Ranks so many layers at most: those whose own output is noisiest on the first sample, which costs two
            runs for every `TAPPED_AT_ONCE` layers to find.

    Raises:
        CompileError: The table is another model's, the opset is too old, or the model is quantised already.
    """
    check_quantizable(model)
    table.check(model)
    layers = [
        layer for layer in choose_layers(model, table, scheme).layers if layer.node.op_type not in scheme.carriers
    ]
    if most is not None and len(layers) > most:
        layers = _noisiest(model, layers, scheme, samples[0], most)
    disturbed = OnnxRuntimeSession(_disturbable(model, layers), judged, BESIDE_OTHERS)
    references = [disturbed.run(sample) for sample in samples]
    found: dict[str, list[tuple[float, str, float]]] = {layer.name: [] for layer in layers}
    for layer, position, _, error in _disturbances(model, layers, scheme, samples):
        reference = references[position]
        outputs = disturbed.run({**samples[position], _disturbance_name(layer): error})
        found[layer.name].append(_compared(reference, outputs))
    errors = [_layer_error(layer, found[layer.name]) for layer in layers]
    return tuple(sorted(errors, key=lambda error: (error.cosine_similarity, -error.relative_error)))


def auto_quantize(
    model: onnx.ModelProto,
    table: CalibrationTable,
    scheme: QuantizationScheme,
    ranked: Callable[[], Sequence[LayerError]],
    passes: Callable[[onnx.ModelProto], bool],
    exclude: Sequence[str] = (),
) -> Quantized:
    """Quantise all but the fewest of the worst layers with which a proof holds.

    Args:
        model: In float32; not changed.
        table: What `calibrate` found for this very model.
        scheme: What the target takes.
        ranked: Ranks the layers, as `rank` does; called only where not everything can be quantised.
        passes: The proof. It is called at most 2 + log2(layers) times; it is taken to hold for every larger number of
            layers left out once it holds for one.
        exclude: What stays in float in any case.

    Returns:
        The quantised model, whose `excluded` names what was left out and the error that it would cause.

    Raises:
        CompileError: The proof fails with nothing quantised, or needs nearly everything in float.
    """

    def without(errors: Sequence[LayerError]) -> Quantized:
        worst = {error.node: error for error in errors}
        quantized = quantize(model, table, scheme, [*exclude, *worst])
        return replace(quantized, excluded=tuple(_explained(entry, worst) for entry in quantized.excluded))

    quantized = without(())
    if passes(quantized.model):
        return quantized
    if not passes(model):
        raise CompileError(
            "the proof fails with nothing quantised",
            why="the float model is beyond the tolerance that the quantised one is held to",
            fix="look at the float model first, or raise the tolerance",
        )
    ranking = ranked()
    failing, holding, best = 0, len(ranking), None
    while holding - failing > 1:
        middle = (failing + holding) // 2
        quantized = without(ranking[:middle])
        if passes(quantized.model):
            holding, best = middle, quantized
        else:
            failing = middle
    if best is None:
        raise CompileError(
            "no layer can be quantised within the tolerance",
            why=f"the proof fails with {failing} of {len(ranking)} layers left in float",
            fix="compile in fp16, calibrate by another method, or raise the tolerance",
        )
    return best


def _explained(entry: Excluded, worst: dict[str, LayerError]) -> Excluded:
    error = worst.get(entry.node)
    if error is None:
        return entry
    return replace(entry, why=f"alone it moves an output by {error.relative_error:.3g} {error.yardstick}")


def _disturbable(model: onnx.ModelProto, layers: Sequence[Layer]) -> onnx.ModelProto:
    """A copy of a model in which something can be added to the output of each layer; by default, nothing."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {layer.node.output[0]: layer for layer in layers}
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        nodes.append(node)
        layer = outputs.get(node.output[0])
        if layer is not None:
            output, disturbance = node.output[0], _disturbance_name(layer)
            node.output[0] = f"{output}_undisturbed"
            nodes.append(onnx.helper.make_node("Add", [node.output[0], disturbance], [output]))
            copy.graph.input.append(onnx.helper.make_tensor_value_info(disturbance, onnx.TensorProto.FLOAT, None))
            copy.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), disturbance))
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _alone(
    model: onnx.ModelProto, layer: Layer, scheme: QuantizationScheme
) -> tuple[OnnxRuntimeSession, OnnxRuntimeSession]:
    """A layer by itself, in float and quantised; on any processor exactly."""
    import onnx

    constants = [entry for entry in model.graph.initializer if entry.name in layer.node.input]
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in _read(model, layer)]
    output = onnx.helper.make_tensor_value_info(layer.node.output[0], onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([layer.node], layer.name, inputs, [output], constants)
    single = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    written = (single, with_pairs(single, [layer], scheme))
    in_float, quantized = (OnnxRuntimeSession(model, options=AS_WRITTEN) for model in written)
    return in_float, quantized


def _read(model: onnx.ModelProto, layer: Layer) -> list[str]:
    constants = {entry.name for entry in model.graph.initializer}
    return list(dict.fromkeys(name for name in layer.node.input if name and name not in constants))


def _disturbances(
    model: onnx.ModelProto, layers: Sequence[Layer], scheme: QuantizationScheme, samples: Sequence[Tensors]
) -> Iterator[tuple[Layer, int, NDArray[Any], NDArray[Any]]]:
    """Yield each layer, a sample's position, what the layer gives in float, and what quantising it adds to that."""
    for start in range(0, len(layers), TAPPED_AT_ONCE):
        group = layers[start : start + TAPPED_AT_ONCE]
        read = [name for layer in group for name in _read(model, layer)]
        tapped_model = OnnxRuntimeSession(model, read, BESIDE_OTHERS)
        alone = [(layer, *_alone(model, layer, scheme)) for layer in group]
        for position, sample in enumerate(samples):
            tapped = tapped_model.run(sample)
            for layer, in_float, quantized in alone:
                inputs = {name: tapped[name] for name in layer.node.input if name in tapped}
                output = layer.node.output[0]
                expected = in_float.run(inputs)[output]
                yield layer, position, expected, quantized.run(inputs)[output] - expected


def _noisiest(
    model: onnx.ModelProto, layers: Sequence[Layer], scheme: QuantizationScheme, sample: Tensors, most: int
) -> list[Layer]:
    """The layers whose own output is noisiest in 8 bits, in the order of the graph."""
    noise = {
        layer.name: float(np.linalg.norm(error) / (np.linalg.norm(expected) or 1.0))
        for layer, _, expected, error in _disturbances(model, layers, scheme, [sample])
    }
    noisiest = sorted(noise, key=lambda name: -noise[name])[:most]
    return [layer for layer in layers if layer.name in noisiest]


def _disturbance_name(layer: Layer) -> str:
    return f"{layer.node.output[0]}_disturbance"


def _compared(reference: Tensors, found: Tensors) -> tuple[float, str, float]:
    """The largest relative error with its yardstick, and the smallest cosine similarity, of the tensors of floats."""
    pairs = [
        (expected, found[name])
        for name, expected in reference.items()
        if expected.dtype == np.float32 and expected.size
    ]
    if any(expected.shape != actual.shape for expected, actual in pairs):
        return math.inf, "σ", 0.0
    apart = [difference(expected, actual) for expected, actual in pairs]
    relative, yardstick = max(((one.relative, one.yardstick.name) for one in apart), default=(0.0, "σ"))
    return relative, yardstick, min((one.cosine for one in apart), default=1.0)


def _layer_error(layer: Layer, found: Sequence[tuple[float, str, float]]) -> LayerError:
    """A layer's error: the worst over the samples."""
    relative, yardstick, _ = max(found)
    return LayerError(name_of(layer.node), layer.node.op_type, relative, min(one[2] for one in found), yardstick)
