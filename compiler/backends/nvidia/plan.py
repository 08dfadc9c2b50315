"""Plan before build: what TensorRT or TensorRT-RTX cannot take of a Program, known without either being installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from compiler.artifact import Program
from compiler.backends import Obstacle
from compiler.backends.nvidia.facts import ANY_OPERATOR, Condition, Facts, Limit, read_facts
from compiler.backends.nvidia.nodes import Place, places


def plan(program: Program, library: str, version: str, capabilities: Sequence[str]) -> tuple[Obstacle, ...]:
    """Return what stands in the way of building an engine from a Program, one obstacle for each reason.

    Args:
        program: Its precision applied.
        library: `tensorrt` or `tensorrt_rtx`.
        version: Of the library; empty where it is not installed, and the version that the facts are about is assumed.
        capabilities: The compute capabilities that the engine is for, such as `SM86`; empty for those of the device.
    """
    import onnx

    facts = read_facts(library)
    limits = [limit for limit in facts.limits if limit.when.holds_for(version or facts.version, capabilities)]
    met: dict[tuple[str, ...], list[str]] = {}
    for place in places(onnx.load(program.path), facts.supported):
        for limit in _met(place, facts, limits):
            met.setdefault((place.operator, limit.why, limit.seen, limit.fix), []).append(place.name)
    obstacles = (Obstacle(operator, ", ".join(names), *rest) for (operator, *rest), names in met.items())
    return (*_unknown_capabilities(facts, capabilities), *obstacles)


def _met(place: Place, facts: Facts, limits: Iterable[Limit]) -> list[Limit]:
    """Return the limits that a node meets; for an operator that nothing is known of, that this is so."""
    found = [
        limit
        for limit in limits
        if not {place.operator, ANY_OPERATOR}.isdisjoint(limit.operators) and limit.when.holds_at(place)
    ]
    if not found and place.operator not in facts.supported:
        return [Limit((place.operator,), f"{facts.library} has no such operator", Condition(), facts.seen)]
    return found


def _unknown_capabilities(facts: Facts, capabilities: Sequence[str]) -> Iterator[Obstacle]:
    for capability in capabilities:
        if facts.capabilities and capability not in facts.capabilities:
            why = f"{facts.library} builds for {', '.join(facts.capabilities)}, and not for {capability}"
            yield Obstacle("every operator", "the whole Program", why, facts.seen, "backend=tensorrt")
