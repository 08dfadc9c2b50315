"""What OpenVINO cannot take of a Program: by converting it, or where OpenVINO is not installed by what is known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compiler.artifact import OnnxProgram, installed_version
from compiler.backends import Obstacle, facts
from compiler.backends.facts import read_facts
from compiler.backends.openvino.library import load, problem, reason

UNCONVERTED = re.compile(r"No conversion rule found for operations: (.+)")
WHY = "OpenVINO has no conversion for it"


def plan(program: OnnxProgram) -> tuple[Obstacle, ...]:
    """What stands in the way of building an engine from a Program."""
    known = read_facts("openvino")
    obstacles = facts.plan(program, known, installed_version("openvino"))
    if problem():
        return obstacles
    # Whether there is an operator at all, the conversion knows best; what is computed wrong, it does not say.
    limited = tuple(one for one in obstacles if one.operator in known.supported)
    return (*_unconverted(program), *limited)


def _unconverted(program: OnnxProgram) -> tuple[Obstacle, ...]:
    """What OpenVINO refuses to convert."""
    openvino = load()
    seen = f"OpenVINO {installed_version('openvino')}"
    try:
        openvino.Core().read_model(program.path)
    except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
        found = UNCONVERTED.search(str(error))
        if found is None:
            return (Obstacle("every operator", "the whole Program", reason(error), seen),)
        return tuple(_obstacles(program, set(found[1].split(", ")), seen))
    return ()


def _obstacles(program: OnnxProgram, operators: set[str], seen: str) -> Iterator[Obstacle]:
    """Yield what OpenVINO names as `Type-opset` or `domain.Type`, as an obstacle with the nodes of that type."""
    import onnx

    from compiler.graphs import is_standard, name_of

    nodes: dict[str, list[str]] = {}
    for node in onnx.load(program.path, load_external_data=False).graph.node:
        label = node.op_type if is_standard(node.domain) else f"{node.domain}.{node.op_type}"
        nodes.setdefault(label, []).append(name_of(node))
    for operator in sorted(operators):
        label = re.sub(r"-\d+$", "", operator)
        domain, _, kind = label.rpartition(".")
        names = ", ".join(nodes.get(label, ["in a subgraph"]))
        yield Obstacle(f"{domain}::{kind}" if domain else kind, names, WHY, seen)
