"""Which nodes go back to fp32 because an output of the network would be too far off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from compiler.precision.half.rules import MULTIPLYING
from compiler.precision.half.simulation import Growth, Simulation
from compiler.precision.half.wiring import HalfWiring

MOVING = {
    "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""What passes values on as they are."""


MOST = 0.5
"""The share of the nodes that may go back: beyond it the error is everywhere, and no node is to blame for it."""
WORTHWHILE = 4
"""How many times smaller the error has to become for nodes to go back that do not bring it within the tolerance."""
FEW = 16
"""So many nodes may go back in any case: in a small graph they are most of it."""


def too_inaccurate(
    wiring: HalfWiring, simulation: Simulation, half: frozenset[int], tolerance: float
) -> tuple[dict[int, str], dict[str, float]]:
    """The nodes to keep in fp32, and the error that is left.

    The nodes are ranked by how many times the error grows there, as one run shows. Each goes back together with what
    leads to it: a difference shows the error of what it was taken from. How many of them have to is searched by
    doubling and halving, in about twice the logarithm of the number of nodes in runs.

    Where `MOST` of the nodes do not suffice, as few go back as bring the error near the least that was found (see
    `WORTHWHILE`); often that is none. It is then beyond the tolerance, and whoever proves the Program has to say so.

    Args:
        wiring: Of the model.
        simulation: Of the same model.
        half: The nodes that could be in 16 bits.
        tolerance: The largest absolute error of any watched tensor, in standard deviations of it.

    Returns:
        Why a node is excluded, by its position; and the error of every watched tensor in standard deviations.
    """
    errors = simulation.errors(half)
    if _worst(errors) <= tolerance:
        return {}, errors
    growth = simulation.growth(half)
    ranked = sorted(half, key=lambda index: (-growth[index].factor(tolerance / 10), index))

    def excluded_with(count: int) -> dict[int, str]:
        excluded: dict[int, str] = {}
        for index in ranked[:count]:
            excluded[index] = _why(growth[index])
            for neighbour in _region(wiring, index) & half:
                excluded.setdefault(neighbour, f"leads to or reads {wiring.nodes[index].name}")
        return excluded

    @cache
    def errors_with(count: int) -> dict[str, float]:
        return simulation.errors(half - excluded_with(count).keys()) if count else errors

    most = max(MOST * len(half), FEW)
    enough = _fewest(
        # Once all are back, twice as many are the same.
        lambda count: count < 2 * len(ranked) and len(excluded_with(count)) <= most,
        lambda count: _worst(errors_with(count)),
        tolerance,
    )
    return excluded_with(enough), errors_with(enough)


def _fewest(is_allowed: Callable[[int], bool], error_with: Callable[[int], float], tolerance: float) -> int:
    """How many have to go back for the error to be within the tolerance, or else near the least possible."""
    tried = [0]
    while error_with(tried[-1]) > tolerance and is_allowed(max(2 * tried[-1], 1)):
        tried.append(max(2 * tried[-1], 1))
    least = min(map(error_with, tried))
    accepted = tolerance if least <= tolerance else WORTHWHILE * least
    enough = next(count for count in tried if error_with(count) <= accepted)
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if error_with(middle) <= accepted else (middle, enough)
    return enough


def _worst(errors: dict[str, float]) -> float:
    return max(errors.values(), default=0.0)


def _why(growth: Growth) -> str:
    verb = "cancels" if growth.after > 4 * growth.before else "rounds"
    return f"{verb}: error {growth.after:.2g} σ behind it, {growth.before:.2g} σ in front of it"


def _region(wiring: HalfWiring, index: int) -> set[int]:
    """A node, what leads to it from the last multiplication of matrices on, and what reads it.

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
