"""Which nodes stay in fp32 whatever the error is: by their operator, and by the range of their values."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from compiler.precision.half.formats import Format
from compiler.precision.half.intermediates import ROOTED
from compiler.precision.half.magnitudes import Magnitudes
from compiler.precision.half.wiring import HalfWiring

MULTIPLYING = {"Conv", "ConvTranspose", "DeformConv", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}
"""What is worth the most in 16 bits."""


def by_operator(wiring: HalfWiring, number_format: Format) -> dict[int, str]:
    """The nodes that take no 16-bit format, or that stand where one would be of no use."""
    excluded = {
        index: f"takes no {number_format.name}"
        for index in range(len(wiring.nodes))
        if not wiring.can_be_half(index) and wiring.reads_or_gives_floats(index)
    }
    excluded |= {
        index: "the body of a branch or a loop reads it"
        for name, index in wiring.producers.items()
        if name in wiring.captured
    }
    # What follows a selection is small, and in the outputs' own unit: a rounded pixel is an error that a user sees.
    selected = wiring.following
    excluded |= dict.fromkeys(sorted(selected - excluded.keys()), "follows a selection")
    return excluded | dict.fromkeys(
        sorted(_leading_to(selected, wiring) - excluded.keys()), "leads to a selection alone"
    )


def _leading_to(selected: frozenset[int], wiring: HalfWiring) -> frozenset[int]:
    """The nodes behind the last multiplication whose results nothing but a selection and its followers read."""
    leading = set(selected)
    for index in reversed(range(len(wiring.nodes))):
        node = wiring.nodes[index]
        readers = wiring.behind(index)
        if (
            node.op_type not in MULTIPLYING
            and readers
            and readers <= leading
            and wiring.outputs.isdisjoint(node.output)
        ):
            leading.add(index)
    return frozenset(leading - selected)


def by_range(wiring: HalfWiring, magnitudes: Magnitudes, number_format: Format, headroom: float) -> dict[int, str]:
    """The nodes whose values do not fit.

    Args:
        wiring: Of the model.
        magnitudes: What the model reaches on real input.
        number_format: What the values have to fit into.
        headroom: How many times larger than on the samples values may become on other input.
    """
    limit = number_format.largest / headroom
    excluded: dict[int, str] = {}
    misfits = {name: _misfit(largest, number_format, limit) for name, largest in magnitudes.largest.items()}
    misfits |= {
        name: f"underflows: divides by {magnitude.smallest:.2g}"
        for name, magnitude in magnitudes.divisors.items()
        if magnitude.smallest < number_format.smallest
    }
    for name, why in misfits.items():
        if why:
            # A node that makes or reads such a tensor in 16 bits would round it.
            excluded |= dict.fromkeys(wiring.neighbours(name), why)
    for index, magnitude in magnitudes.inside.items():
        why = _misfit(magnitude.largest, number_format, limit, verb="sums to", place=" inside")
        if not why and wiring.nodes[index].op_type in ROOTED:
            why = _misfit(magnitude.smallest, number_format, math.inf, verb="sums to", place=" inside")
        if why:
            excluded[index] = why
    for index, why in _by_weight(wiring, number_format):
        excluded[index] = why
    return excluded


def _misfit(largest: float, number_format: Format, limit: float, *, verb: str = "reaches", place: str = "") -> str:
    if largest > limit:
        return f"overflows: {verb} {largest:.2g}{place}, {number_format.name} ends at {number_format.largest:.3g}"
    if 0 < largest < number_format.smallest:
        return (
            f"underflows: {verb} {largest:.2g}{place}, {number_format.name} is exact from {number_format.smallest:.2g}"
        )
    return ""


def _by_weight(wiring: HalfWiring, number_format: Format) -> Iterator[tuple[int, str]]:
    """Yield the nodes whose constants do not fit.

    An infinity fits into every format. A constant that is too small is there to bound something from below, such as the
    epsilon of a normalisation: what it was added to is as small on other input, so what reads that stays in fp32 too.
    """
    for name, values in wiring.weights.items():
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        why = _misfit(largest, number_format, number_format.largest)
        for reader, position in wiring.consumers.get(name, ()) if why else ():
            if position not in wiring.slots[reader].inputs:
                continue
            yield reader, f"{why}: {name}"
            if largest < number_format.smallest:
                yield from ((index, f"{why}: {name}") for index in sorted(wiring.behind(reader)))
