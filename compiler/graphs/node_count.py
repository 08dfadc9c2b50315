"""What an ONNX file may stand for: functions that call functions can double it with every line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.graphs.external_data import invalid
from compiler.graphs.walk import bodies, schema_domain

if TYPE_CHECKING:
    import onnx

MOST_NODES = 1_000_000
"""Once each function stands where it is called. The largest networks have some ten thousand."""
DEEPEST_CALL = 100

_Key = tuple[str, str, str]


def check_node_count(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a model that has too many nodes once its functions are written out, or a function that calls itself.

    Raises:
        CompileError: It is.
    """
    counts = _Counts(model, path)
    if counts.of(model.graph.node, 0) > MOST_NODES:
        raise invalid(path, f"with its functions written out it has more than {MOST_NODES:,} nodes")


class _Counts:
    """How many nodes there are in functions, each counted once."""

    def __init__(self, model: onnx.ModelProto, path: Path) -> None:
        self._path = path
        self._functions = {_key(function.domain, function): function for function in model.functions}
        self._known: dict[_Key, int] = {}

    def of(self, nodes: Iterable[onnx.NodeProto], depth: int) -> int:
        """How many nodes these stand for."""
        if depth > DEEPEST_CALL:
            raise invalid(self._path, f"its functions call each other more than {DEEPEST_CALL} deep, or themselves")
        return sum(self._of_node(node, depth) for node in nodes)

    def _of_node(self, node: onnx.NodeProto, depth: int) -> int:
        inner = sum(self.of(body.node, depth + 1) for body in bodies(node))
        key = _key(node.domain, node)
        if key not in self._functions:
            return 1 + inner
        if key not in self._known:
            self._known[key] = self.of(self._functions[key].node, depth + 1)
        return self._known[key] + inner


def _key(domain: str, part: onnx.NodeProto | onnx.FunctionProto) -> _Key:
    name = getattr(part, "op_type", None) or part.name
    return schema_domain(domain), name, part.overload
