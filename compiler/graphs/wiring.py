"""How the nodes of a graph hang together: who makes a tensor, and who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.graphs.walk import captured_names

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Wiring:
    """The nodes of a model's main graph, by their positions in it.

    Attributes:
        nodes: In the order they run in.
        producers: The node that makes a tensor; graph inputs and initializers have none.
        consumers: The nodes that read a tensor, and as which of their inputs.
        initializers: By name.
        captured: Tensors that the body of an If, Loop or Scan reads.
        outputs: Of the graph.
    """

    nodes: tuple[onnx.NodeProto, ...]
    producers: Mapping[str, int]
    consumers: Mapping[str, tuple[tuple[int, int], ...]]
    initializers: Mapping[str, onnx.TensorProto]
    captured: frozenset[str]
    outputs: frozenset[str]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> Wiring:
        """The wiring of a graph."""
        nodes = tuple(graph.node)
        consumers: dict[str, list[tuple[int, int]]] = {}
        for index, node in enumerate(nodes):
            for position, name in enumerate(node.input):
                if name:
                    consumers.setdefault(name, []).append((index, position))
        return cls(
            nodes=nodes,
            producers={name: index for index, node in enumerate(nodes) for name in node.output if name},
            consumers={name: tuple(readers) for name, readers in consumers.items()},
            initializers={tensor.name: tensor for tensor in graph.initializer},
            captured=frozenset(name for node in nodes for name in captured_names(node)),
            outputs=frozenset(value.name for value in graph.output),
        )

    @property
    def read_elsewhere(self) -> frozenset[str]:
        """The tensors that keep their names and types: others than nodes of the main graph read them."""
        return self.captured | self.outputs

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """The node that makes a tensor."""
        return self.nodes[self.producers[tensor]] if tensor in self.producers else None

    def neighbours(self, tensor: str) -> frozenset[int]:
        """The nodes that make and read a tensor."""
        makers = [self.producers[tensor]] if tensor in self.producers else []
        return frozenset([*makers, *(node for node, _ in self.consumers.get(tensor, ()))])

    def ahead(self, node: int) -> frozenset[int]:
        """The nodes that make what a node reads."""
        return frozenset(self.producers[name] for name in self.nodes[node].input if name in self.producers)

    def behind(self, node: int) -> frozenset[int]:
        """The nodes that read what a node makes."""
        return frozenset(reader for name in self.nodes[node].output for reader, _ in self.consumers.get(name, ()))
