"""Channels whose number is not a multiple of four get some of zeros, so that ONNX Runtime takes its fast layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.tensors import constant_input, is_output, name_of

if TYPE_CHECKING:
    from rewriters import Skip

CHANNELS = 1
ALIGNMENT = 4
"""ONNX Runtime takes a convolution into its CPU's layout where its input has a multiple of so many channels."""
BLOCK = 16
"""They compute so many channels at once with AVX-512, and half as many with AVX2 and NEON."""
MOST_WORK = 1.2
"""Of channels in whole blocks for each channel that there is: beyond, the layout is no faster than what it replaces."""
KEEPS_CHANNELS = frozenset(
    {
        *(
            "Relu",
            "Clip",
            "LeakyRelu",
            "PRelu",
            "Elu",
            "Sigmoid",
            "Tanh",
            "HardSigmoid",
            "HardSwish",
            "Mish",
            "Softplus",
        ),
        *("Add", "Sub", "Mul", "Max", "Min", "Identity"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize"),
    }
)
"""Operators that give of finite numbers finite ones, each channel of its own."""
BESIDE_THE_FIRST = frozenset({"Clip", "Resize"})
"""Those whose further inputs are no tensors of channels."""


@dataclass
class Region:
    """Tensors that have the same channels, with what makes and reads them.

    Attributes:
        channels: How many.
        tensors: In the order they were found in.
        writers: Convolutions that give one of the tensors.
        readers: Convolutions that read one.
        depthwise: Convolutions that do both, each channel of its own.
        constants: Inputs with a number for each channel: the node, and which input.
    """

    channels: int
    tensors: list[gs.Variable] = field(default_factory=list)
    writers: list[gs.Node] = field(default_factory=list)
    readers: list[gs.Node] = field(default_factory=list)
    depthwise: list[gs.Node] = field(default_factory=list)
    constants: list[tuple[gs.Node, int]] = field(default_factory=list)


@graph_rewriter(backends={"onnxruntime"}, precisions={"fp32"}, contract=Contract.close(1e-5))
def pad_channels(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """Convolutions of a multiple of four channels run in blocks of channels, so 30 channels get two of zeros.

    Weights of zero make and read the new channels, whatever stands in between. Only where whole blocks are hardly more
    work: measured, six 3x3 convolutions of 30 channels need 23 % less time, and a whole HRNet-w30 15 %; 18 channels,
    which are computed as 24 or 32, gain nothing.
    """
    seen: set[int] = set()
    places: list[str] = []
    for node in list(graph.nodes):
        source = node.inputs[0] if _is_dense(node) else None
        channels = _channels(source)
        if source is None or id(source) in seen or channels is None or not _gains(channels):
            continue
        region = _Search(graph, channels).around(source)
        if region is None:
            seen.add(id(source))
            continue
        seen |= {id(tensor) for tensor in region.tensors}
        places += [name_of(reader) for reader in region.readers]
        _pad(region)
    return places


def _gains(channels: int) -> bool:
    """Whether whole blocks are hardly more work than the channels that there are."""
    whole = -(-channels // BLOCK) * BLOCK
    return channels % ALIGNMENT != 0 and whole <= MOST_WORK * channels


class _Search:
    """Looks for all that has the same channels as a tensor.

    Args:
        graph: Not changed.
        channels: How many.
    """

    def __init__(self, graph: gs.Graph, channels: int) -> None:
        self.graph, self.region = graph, Region(channels)
        self.nodes = {id(node) for node in graph.nodes}
        self.found: set[int] = set()
        self.visited: set[int] = set()

    def around(self, tensor: gs.Tensor) -> Region | None:
        """The region of a tensor; None where something in it cannot do with more channels."""
        waiting = [tensor]
        while waiting:
            current = waiting.pop()
            if id(current) in self.found:
                continue
            if not self._is_within(current):
                return None
            self.found.add(id(current))
            self.region.tensors.append(current)
            for node in (*current.inputs, *current.outputs):
                neighbours = self._beside(node, current)
                if neighbours is None:
                    return None
                waiting += neighbours
        return self.region

    def _is_within(self, tensor: gs.Tensor) -> bool:
        """Whether a node makes a tensor of these channels, and nothing but nodes reads it."""
        is_made = isinstance(tensor, gs.Variable) and len(tensor.inputs) == 1 and not is_output(tensor, self.graph)
        return is_made and _channels(tensor) == self.region.channels

    def _beside(self, node: gs.Node, tensor: gs.Tensor) -> list[gs.Tensor] | None:
        """The tensors that have the same channels because of a node; None where it needs as many as there are."""
        if id(node) not in self.nodes:  # within another node's graph
            return None
        if _is_dense(node):
            if any(source is tensor for source in node.inputs[1:]):
                return None
            side = self.region.readers if node.inputs[0] is tensor else self.region.writers
            side.append(node)
            return []
        if id(node) in self.visited:
            return []
        self.visited.add(id(node))
        if _is_depthwise(node, self.region.channels):
            self.region.depthwise.append(node)
            return [node.inputs[0], node.outputs[0]]
        return self._beside_elementwise(node) if _keeps_channels(node) else None

    def _beside_elementwise(self, node: gs.Node) -> list[gs.Tensor] | None:
        beside = [node.outputs[0]]
        for index, source in enumerate(node.inputs):
            if index and node.op in BESIDE_THE_FIRST:
                break
            if isinstance(source, gs.Constant):
                width = source.shape[-3] if len(source.shape) >= 3 else 1
                if source.values.size != 1 and (len(source.shape) < 3 or width not in (1, self.region.channels)):
                    return None
                if width == self.region.channels:
                    self.region.constants.append((node, index))
            elif _channels(source) != 1:  # one channel is the same for all
                beside.append(source)
        return beside


def _channels(tensor: gs.Tensor | None) -> int | None:
    """How many channels an image has; None for anything else, and where that varies."""
    if tensor is None or isinstance(tensor, gs.Constant) or tensor.shape is None or len(tensor.shape) != 4:
        return None
    return tensor.shape[CHANNELS] if isinstance(tensor.shape[CHANNELS], int) else None


def _has_weights(node: gs.Node) -> bool:
    """Whether a node is a convolution whose weights, and offsets, stand in the graph."""
    return node.op == "Conv" and all(isinstance(tensor, gs.Constant) for tensor in node.inputs[1:])


def _is_dense(node: gs.Node) -> bool:
    return _has_weights(node) and node.attrs.get("group", 1) == 1 and len(node.inputs[1].shape) == 4


def _is_depthwise(node: gs.Node, channels: int) -> bool:
    return _has_weights(node) and node.attrs.get("group", 1) == channels == node.inputs[1].shape[0]


def _keeps_channels(node: gs.Node) -> bool:
    if node.op not in KEEPS_CHANNELS or node.domain not in (None, "", "ai.onnx") or len(node.outputs) != 1:
        return False
    if node.op != "Resize":
        return True
    scales = constant_input(node, 2)
    return scales is not None and scales.size == 4 and scales[CHANNELS] == 1 and "axes" not in node.attrs


def _pad(region: Region) -> None:
    """Give the tensors of a region as many channels as the layout needs."""
    more = -region.channels % ALIGNMENT
    for node in (*region.writers, *region.depthwise):
        for index in range(1, len(node.inputs)):
            _pad_constant(node, index, 0, more)
    for node in region.readers:
        _pad_constant(node, 1, 1, more)
    for node in region.depthwise:
        node.attrs["group"] = region.channels + more
    for node, index in region.constants:
        _pad_constant(node, index, -3, more)
    for tensor in region.tensors:
        tensor.shape = [region.channels + more if axis == CHANNELS else size for axis, size in enumerate(tensor.shape)]


def _pad_constant(node: gs.Node, index: int, axis: int, more: int) -> None:
    """Zeros behind a constant; it may be read by others too, and so is replaced and not changed."""
    constant = node.inputs[index]
    widths = [(0, more if place == axis % constant.values.ndim else 0) for place in range(constant.values.ndim)]
    name = f"{constant.name}__{index}_{axis}_of__{node.outputs[0].name}"
    node.inputs[index] = gs.Constant(name, np.pad(constant.values, widths))
