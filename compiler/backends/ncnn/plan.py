"""What ncnn cannot take of a Program: by what is known of it before the build, and by what pnnx says of it then."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

from compiler.artifact import TorchScriptProgram
from compiler.backends import Obstacle
from compiler.backends.facts import read_facts
from compiler.backends.ncnn.converter import Converted
from compiler.backends.ncnn.param_file import Layer
from compiler.errors import CompileError

LIBRARY = "ncnn"


def plan(program: TorchScriptProgram) -> tuple[Obstacle, ...]:
    """The operators of a Program that are known to fail, one obstacle for each reason.

    What nothing is known of is no obstacle: pnnx will say.
    """
    facts = read_facts(LIBRARY)
    limits = {operator: limit for limit in facts.limits for operator in limit.operators}
    places: dict[str, list[str]] = {}
    for operator, place in _operators(program):
        if operator in limits:
            places.setdefault(operator, []).append(place)
    return tuple(
        Obstacle(name, ", ".join(dict.fromkeys(found)), limits[name].why, limits[name].seen, limits[name].fix)
        for name, found in places.items()
    )


def refuse_ignored(converted: Converted, layers: Sequence[Layer]) -> None:
    """Refuse what pnnx made of a Program where ncnn has no layer for something in it.

    Args:
        converted: What pnnx left out, it says.
        layers: What it handed on under its own name is of a type that is no word.

    Raises:
        CompileError: The operators are named.
    """
    left_out = [operator for operator, _ in dict.fromkeys(converted.ignored)]
    operators = Counter([*left_out, *(layer.kind for layer in layers if not layer.kind.isidentifier())])
    if not operators:
        return
    raise CompileError(
        "ncnn cannot take this Program",
        where=", ".join(f"{operator} ({count} times)" for operator, count in operators.items()),
        why="ncnn has no layer for it",
        fix="write a rewriter that removes it; the log of the run has what pnnx says of each",
    )


def _operators(program: TorchScriptProgram) -> Iterator[tuple[str, str]]:
    """Yield each call of an operator of torch, as `aten::topk`, with the module that makes it."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.load(program.path, map_location="cpu")  # type: ignore[no-untyped-call]
    for place, module in network.named_modules():
        # What was never called while the network was traced has no graph.
        blocks = [module.graph] if "forward" in module._c._method_names() else []
        while blocks:
            for node in blocks.pop().nodes():
                yield node.kind(), place or "the network"
                blocks.extend(node.blocks())
