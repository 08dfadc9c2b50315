"""What ncnn cannot take of a Program: by what is known of it before the build, and by what pnnx says of it then."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

from compiler.artifact import TensorSpec, TorchScriptProgram
from compiler.backends import Obstacle
from compiler.backends.facts import read_facts
from compiler.backends.ncnn.converter import Converted
from compiler.backends.ncnn.param_file import Layer
from compiler.errors import CompileError

LIBRARY = "ncnn"
NUMBERS = "float32"
"""What goes into a network and comes out of it."""
WHY_NUMBERS = f"ncnn's networks take and give {NUMBERS} alone, and would read anything else as that"


def plan(program: TorchScriptProgram) -> tuple[Obstacle, ...]:
    """The inputs and outputs that are no float32, and the operators that are known to fail, one for each reason.

    What nothing is known of is no obstacle: pnnx will say.
    """
    facts = read_facts(LIBRARY)
    limits = {operator: limit for limit in facts.limits for operator in limit.operators}
    places: dict[str, list[str]] = {}
    for operator, place in _operators(program):
        if operator in limits:
            places.setdefault(operator, []).append(place)
    seen = "pnnx 20261020 and ncnn 1.0.20261020: int64 and float64 end in a segmentation fault, int32 is misread"
    fix = f"let the network take and give {NUMBERS}"
    ports = (*program.inputs, *program.outputs)
    of_other_types = (Obstacle(spec.dtype, spec.name, WHY_NUMBERS, seen, fix) for spec in _of_other_types(ports))
    operators_that_fail = (
        Obstacle(name, ", ".join(dict.fromkeys(found)), limits[name].why, limits[name].seen, limits[name].fix)
        for name, found in places.items()
    )
    return (*of_other_types, *operators_that_fail)


def require_float32(specs: Sequence[TensorSpec], where: str) -> None:
    """Refuse inputs and outputs that ncnn would misread, or crash on.

    Raises:
        CompileError: One is no float32.
    """
    found = _of_other_types(specs)
    if found:
        what = f"ncnn has no {', '.join(map(str, found))}"
        raise CompileError(what, where=where, why=WHY_NUMBERS, fix=f"let the network take and give {NUMBERS}")


def _of_other_types(specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    return [spec for spec in specs if spec.dtype != NUMBERS]


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
