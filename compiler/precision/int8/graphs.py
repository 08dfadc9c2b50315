"""Reading an ONNX graph: who reads a tensor, who makes it, which are constant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Wiring:
    """How the nodes of a model's main graph hang together.

    Attributes:
        readers: Of a tensor: nodes of the main graph, each once.
        producers: Of a tensor: the node that makes it.
        constants: The initializers.
        kept: Tensors that are read from elsewhere: the graph's outputs, and what subgraphs read.
    """

    readers: Mapping[str, list[onnx.NodeProto]]
    producers: Mapping[str, onnx.NodeProto]
    constants: Mapping[str, onnx.TensorProto]
    kept: frozenset[str]


def wiring(graph: onnx.GraphProto) -> Wiring:
    """Return how the nodes of a graph hang together."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for tensor in dict.fromkeys(node.input):
            readers[tensor].append(node)
    return Wiring(
        readers=readers,
        producers={tensor: node for node in graph.node for tensor in node.output},
        constants={initializer.name: initializer for initializer in graph.initializer},
        kept=frozenset([*(output.name for output in graph.output), *_read_in_subgraphs(graph)]),
    )


def is_standard(node: onnx.NodeProto) -> bool:
    """Tell whether a node is one of ONNX's own operators."""
    return node.domain in ("", "ai.onnx")


def name_of(node: onnx.NodeProto) -> str:
    """Return a node's name; one without a name goes by its first output."""
    return node.name or node.output[0]


def attribute(node: onnx.NodeProto, name: str, default: float | str) -> float | str:
    """Return a node's number or text."""
    import onnx

    for entry in node.attribute:
        if entry.name == name:
            value = onnx.helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default


def _read_in_subgraphs(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        for entry in node.attribute:
            for subgraph in (entry.g, *entry.graphs):
                yield from (name for inner in subgraph.node for name in inner.input)
                yield from (output.name for output in subgraph.output)
                yield from _read_in_subgraphs(subgraph)
