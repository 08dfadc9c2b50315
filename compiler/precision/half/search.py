"""Which nodes go back to fp32 because an output of the network would be too far off."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compiler.precision.half.rules import MULTIPLYING
from compiler.precision.half.simulation import Growth, Simulation
from compiler.precision.half.wiring import Wiring

MOVING = {
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""What passes values on as they are."""


def too_inaccurate(
    wiring: Wiring, simulation: Simulation, half: frozenset[int], tolerance: float
) -> tuple[dict[int, str], dict[str, float]]:
    """Return the nodes to keep in fp32, and the error that is left.

    The nodes are ranked by how many times the error grows there, as one run shows. Each goes back together with what
    leads to it: a difference shows the error of what it was taken from. How many of them have to is searched by
    doubling and halving, in about twice the logarithm of the number of nodes in runs.

    Args:
        wiring: Of the model.
        simulation: Of the same model.
        half: The nodes that could be in 16 bits.
        tolerance: The largest absolute error of any watched tensor, in standard deviations of it.

    Returns:
        Why a node is kept, by its position; and the error of every watched tensor in standard deviations.
    """
    errors = simulation.errors(half)
    if _within(errors, tolerance):
        return {}, errors
    growth = simulation.growth(half)
    ranked = sorted(half, key=lambda index: (-growth[index].factor(tolerance / 10), index))

    def kept_with(count: int) -> dict[int, str]:
        kept: dict[int, str] = {}
        for index in ranked[:count]:
            kept[index] = _why(growth[index])
            for neighbour in _region(wiring, index) & half:
                kept.setdefault(neighbour, f"leads to or reads {wiring.nodes[index].name}")
        return kept

    def errors_with(count: int) -> dict[str, float]:
        return simulation.errors(half - kept_with(count).keys())

    too_few, enough = 0, 1
    while not _within(errors_with(enough), tolerance) and enough < len(ranked):
        too_few, enough = enough, min(2 * enough, len(ranked))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _within(errors_with(middle), tolerance) else (middle, enough)
    return kept_with(enough), errors_with(enough)


def _within(errors: dict[str, float], tolerance: float) -> bool:
    return all(error <= tolerance for error in errors.values())


def _why(growth: Growth) -> str:
    verb = "cancels" if growth.after > 4 * growth.before else "rounds"
    return f"{verb}: error {growth.after:.2g} σ behind it, {growth.before:.2g} σ in front of it"


def _region(wiring: Wiring, index: int) -> set[int]:
    """Return the node, what leads to it from the last multiplication of matrices on, and what reads it.

    Nodes that only move values are passed through: what is rounded on the border of fp32 is rounded all the same.
    """
    behind = _reached(index, wiring.behind, lambda node: wiring.nodes[node].op_type in MOVING)
    ahead = _reached(index, wiring.ahead, lambda node: wiring.nodes[node].op_type not in MULTIPLYING)
    return behind | ahead


def _reached(start: int, step: Callable[[int], Iterable[int]], passes: Callable[[int], bool]) -> set[int]:
    found, open_nodes = {start}, [start]
    while open_nodes:
        new = set(step(open_nodes.pop())) - found
        found |= new
        open_nodes += filter(passes, sorted(new))
    return found
