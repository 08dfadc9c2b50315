"""What TensorRT or TensorRT-RTX cannot take of a Program, known without either being installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.artifact import OnnxProgram, Program
from compiler.backends import Obstacle, facts
from compiler.backends.facts import Facts, read_facts


def plan(program: Program, library: str, version: str, capabilities: Sequence[str]) -> tuple[Obstacle, ...]:
    """What stands in the way of building an engine from a Program, one obstacle for each reason.

    Args:
        program: Its precision applied.
        library: `tensorrt` or `tensorrt_rtx`.
        version: Of the library; empty where it is not installed, and the version that the facts are about is assumed.
        capabilities: The compute capabilities that the engine is for, such as `SM86`; empty for those of the device.
    """
    known = read_facts(library)
    obstacles = facts.plan(OnnxProgram.of(program), known, version, capabilities)
    return (*_unknown_capabilities(known, capabilities), *obstacles)


def _unknown_capabilities(known: Facts, capabilities: Sequence[str]) -> Iterator[Obstacle]:
    for capability in capabilities:
        if known.capabilities and capability not in known.capabilities:
            why = f"{known.library} builds for {', '.join(known.capabilities)}, and not for {capability}"
            yield Obstacle("every operator", "the whole Program", why, known.seen, "backend=tensorrt")
