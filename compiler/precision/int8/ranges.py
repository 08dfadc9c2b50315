"""A model that gives the ranges of its tensors, and not the tensors: they are reduced where they are computed, so that
a run needs no more memory than it does without being looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from compiler.artifact import Tensors

if TYPE_CHECKING:
    import onnx

_PLACES = ("smallest", "largest", "odd")


def with_ranges(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """A copy of a model whose outputs are the smallest and largest number of each of these float32 tensors, and whether
    any is not a number.

    Each is reduced right behind the node that computes it: ONNX Runtime runs nodes of one rank in their order.
    """
    import onnx

    copy, wanted = onnx.ModelProto(), set(names)
    copy.CopyFrom(model)
    graph = copy.graph
    nodes: list[onnx.NodeProto] = []
    for name in (value.name for value in graph.input):
        if name in wanted:
            nodes += _reduced(name)
    for node in graph.node:
        nodes.append(node)
        for name in node.output:
            if name in wanted:
                nodes += _reduced(name)
    ordered = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.output[:]
    graph.node.extend(ordered)
    kinds = {"smallest": onnx.TensorProto.FLOAT, "largest": onnx.TensorProto.FLOAT, "odd": onnx.TensorProto.INT32}
    for name in sorted(wanted):
        for place, kind in kinds.items():
            graph.output.append(onnx.helper.make_tensor_value_info(_output(name, place), kind, []))
    return copy


def ranges_in(outputs: Tensors, names: Iterable[str]) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the smallest and the largest number of each tensor; both are NaN where one number is none. Of an
    empty tensor the smallest is above the largest."""
    for name in names:
        smallest, largest, odd = (outputs[_output(name, place)] for place in _PLACES)
        yield (name, float("nan"), float("nan")) if odd > 0 else (name, float(smallest), float(largest))


def _reduced(name: str) -> list[onnx.NodeProto]:
    from onnx import TensorProto, helper

    smallest, largest, odd = (_output(name, place) for place in _PLACES)
    return [
        helper.make_node("ReduceMin", [name], [smallest], keepdims=0),
        helper.make_node("ReduceMax", [name], [largest], keepdims=0),
        helper.make_node("IsNaN", [name], [f"{odd}?"]),
        helper.make_node("Cast", [f"{odd}?"], [f"{odd} as numbers"], to=TensorProto.INT32),
        helper.make_node("ReduceMax", [f"{odd} as numbers"], [odd], keepdims=0),
    ]


def _output(name: str, place: str) -> str:
    return f"{place} of {name}"
