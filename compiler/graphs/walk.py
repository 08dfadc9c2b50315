"""Going through a graph, and through the graphs inside its nodes: what stands in it, and what it is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def parts_of(model: onnx.ModelProto) -> Iterator[Any]:
    """Everything in a model that can carry documentation or metadata: graphs, functions, values, weights and nodes."""
    yield model
    yield from model.functions
    yield from (value for function in model.functions for value in function.value_info)
    outer = [model.graph.node, *(function.node for function in model.functions)]
    inner = [graph for nodes in outer for graph in _all_bodies(nodes)]
    for graph in (model.graph, *inner):
        yield graph
        yield from (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    yield from (node for nodes in (*outer, *(graph.node for graph in inner)) for node in nodes)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node runs: the branches of an If, the body of a Loop or a Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of a model: of its graph, its functions, and the graphs inside of nodes."""
    import onnx

    yield from (part for part in parts_of(model) if isinstance(part, onnx.NodeProto))


def _all_bodies(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for node in nodes:
        for body in bodies(node):
            yield body
            yield from _all_bodies(body.node)


def captured_names(node: onnx.NodeProto) -> Iterator[str]:
    """Every name that the bodies of a node read or pass on, those of their own tensors included."""
    for body in bodies(node):
        yield from (value.name for value in body.output)
        for inner in body.node:
            yield from inner.input
            yield from captured_names(inner)


def is_standard(domain: str) -> bool:
    """Whether a domain is ONNX's own."""
    return domain in ("", "ai.onnx")


def schema_domain(domain: str) -> str:
    """A domain as ONNX's schemas spell it."""
    return "" if is_standard(domain) else domain


def default_opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model uses; 0 where it names none."""
    return next((entry.version for entry in model.opset_import if is_standard(entry.domain)), 0)


def name_of(node: onnx.NodeProto) -> str:
    """A node's name, or that of its first output where it has none."""
    return node.name or next(filter(None, node.output), node.op_type)


def attribute_of(node: onnx.NodeProto, name: str, default: float | str) -> float | str:
    """A node's number or text."""
    import onnx

    for entry in node.attribute:
        if entry.name == name:
            value = onnx.helper.get_attribute_value(entry)
            return value.decode() if isinstance(value, bytes) else value
    return default
