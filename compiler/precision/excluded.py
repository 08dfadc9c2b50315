"""What a pass leaves in fp32, though others like it are in a lower precision."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.errors import UsageError, nearest
from compiler.graphs import name_of

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Excluded:
    """A node that stays in fp32, though others like it do not.

    Attributes:
        node: Its name, or that of its first output where it has none.
        operator: Its type.
        why: The reason: `overflows`, with the figures; `asked for`; `its weight is computed`; and so on.
    """

    node: str
    operator: str
    why: str


def asked_for(nodes: Sequence[onnx.NodeProto], patterns: Sequence[str]) -> dict[int, str]:
    """The nodes that a user excludes, by their positions, each with the pattern that says so.

    Args:
        nodes: Of a graph.
        patterns: Names of nodes, operator types, or glob patterns of either.

    Raises:
        UsageError: A pattern matches nothing.
    """
    asked: dict[int, str] = {}
    for pattern in patterns:
        found = [index for index, node in enumerate(nodes) if any(_matches(text, pattern) for text in _labels(node))]
        if not found:
            names, operators = {name_of(node) for node in nodes}, {node.op_type for node in nodes}
            raise UsageError(
                f"'{pattern}' matches no node and no operator of the model",
                where="keep_fp32",
                fix=nearest(pattern, {*operators, *difflib.get_close_matches(pattern, names)}),
            )
        asked |= dict.fromkeys(found, pattern)
    return asked


def _labels(node: onnx.NodeProto) -> tuple[str, str]:
    return name_of(node), node.op_type


def _matches(text: str, pattern: str) -> bool:
    return text == pattern or fnmatch.fnmatchcase(text, pattern)
