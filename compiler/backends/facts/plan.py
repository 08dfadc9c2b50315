"""Plan before build: what a library cannot take of a Program, by what is known of it. It needs not be installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.artifact import Program
from compiler.backends.backend import Obstacle
from compiler.backends.facts.nodes import Place, places
from compiler.backends.facts.table import ANY_OPERATOR, Condition, Facts, Limit


def plan(program: Program, facts: Facts, version: str, capabilities: Sequence[str] = ()) -> tuple[Obstacle, ...]:
    """What stands in the way of building an engine from a Program, one obstacle for each reason.

    Args:
        program: Its precision applied.
        facts: What is known of the library.
        version: Of the library; empty where it is not installed, and the version that the facts are about is assumed.
        capabilities: The compute capabilities that the engine is for, such as `SM86`; empty for those of the device.
    """
    import onnx

    limits = [limit for limit in facts.limits if limit.when.holds_for(version or facts.version, capabilities)]
    met: dict[tuple[str, ...], list[str]] = {}
    for place in places(onnx.load(program.path), facts.supported):
        for limit in _met(place, facts, limits):
            met.setdefault((place.operator, limit.why, limit.seen, limit.fix), []).append(place.name)
    return tuple(Obstacle(operator, ", ".join(names), *rest) for (operator, *rest), names in met.items())


def _met(place: Place, facts: Facts, limits: Iterable[Limit]) -> list[Limit]:
    """The limits that a node meets; for an operator that nothing is known of, that this is so."""
    found = [
        limit
        for limit in limits
        if not {place.operator, ANY_OPERATOR}.isdisjoint(limit.operators) and limit.when.holds_at(place)
    ]
    if not found and place.operator not in facts.supported:
        return [Limit((place.operator,), f"{facts.library} has no such operator", Condition(), facts.seen)]
    return found
