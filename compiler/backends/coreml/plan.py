"""What coremltools cannot take of a TorchScript archive, known without it being installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.version import Version

from compiler.artifact import TorchScriptProgram, installed_version
from compiler.backends.backend import Obstacle
from compiler.backends.facts import read_facts

INLINED = frozenset({"prim::GetAttr", "prim::CallMethod", "prim::CallFunction"})
"""What is gone before anything is translated: it is put in place."""


def plan(program: TorchScriptProgram) -> tuple[Obstacle, ...]:
    """The operators of an archive that nothing is translated from, one obstacle for each.

    Of another version than the facts are about, what it translates is not known: it says so when it converts.
    """
    facts = read_facts("coreml")
    version = installed_version("coremltools") or facts.version
    is_known = Version(version).release[:2] == Version(facts.version).release[:2]
    here = [limit for limit in facts.limits if limit.when.holds_for(version, ())]
    limits = {operator: limit for limit in here for operator in limit.operators}
    obstacles = {}
    for kind in _operators(program):
        name = registered_name(kind)
        if name in limits:
            obstacles[kind] = Obstacle(kind, program.path.name, limits[name].why, limits[name].seen, limits[name].fix)
        elif is_known and name not in facts.supported:
            obstacles[kind] = Obstacle(kind, program.path.name, f"{facts.library} has no translation of it", facts.seen)
    return tuple(obstacles.values())


def registered_name(kind: str) -> str:
    """An operator as coremltools looks for it: `aten::add_` is `add`, and `aten::__and__` is `and`."""
    name = kind.partition("::")[2].lower()
    if name.startswith("__") and name.endswith("__"):
        return name.strip("_")
    return name.removesuffix("_")


def _operators(program: TorchScriptProgram) -> Iterator[str]:
    """Yield what an archive calls, that of its inner blocks too."""
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Any = torch.jit.load(program.path, map_location="cpu")  # type: ignore[no-untyped-call]
    blocks = [module.inlined_graph]
    while blocks:
        for node in blocks.pop().nodes():
            if node.kind() not in INLINED:
                yield str(node.kind())
            blocks.extend(node.blocks())
