"""Which nodes stay in fp32 whatever the error is: by request, by their operator, and by the range of their values."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Sequence

import numpy as np

from compiler.errors import UsageError, nearest
from compiler.precision.half.formats import Format
from compiler.precision.half.intermediates import ROOTED
from compiler.precision.half.magnitudes import Magnitudes
from compiler.precision.half.wiring import Wiring

MULTIPLYING = {"Conv", "ConvTranspose", "DeformConv", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}
"""What is worth the most in 16 bits."""


def asked_for(wiring: Wiring, patterns: Sequence[str]) -> dict[int, str]:
    """Return the nodes that a user names.

    Args:
        wiring: Of the model.
        patterns: Names of nodes, operator types, or glob patterns of either.

    Raises:
        UsageError: A pattern matches nothing.
    """
    found: dict[int, str] = {}
    for pattern in patterns:
        matching = [
            index
            for index, node in enumerate(wiring.nodes)
            if fnmatch.fnmatchcase(node.name, pattern) or fnmatch.fnmatchcase(node.op_type, pattern)
        ]
        if not matching:
            known = {label for node in wiring.nodes for label in (node.name, node.op_type)}
            raise UsageError(f"nothing in the Program is called '{pattern}'", fix=nearest(pattern, known))
        found |= dict.fromkeys(matching, "asked for")
    return found


def by_operator(wiring: Wiring, format: Format) -> dict[int, str]:
    """Return the nodes that take no 16-bit format, or that stand where one would be of no use."""
    kept = {
        index: f"takes no {format.name}"
        for index in range(len(wiring.nodes))
        if not wiring.can_be_half(index) and wiring.reads_or_gives_floats(index)
    }
    kept |= {
        index: "the body of a branch or a loop reads it"
        for name, index in wiring.producers.items()
        if name in wiring.captured
    }
    # What follows a selection is small, and in the outputs' own unit: a rounded pixel is an error that a user sees.
    selected = wiring.after_selecting()
    kept |= dict.fromkeys(sorted(selected - kept.keys()), "follows a selection")
    return kept | dict.fromkeys(sorted(_leading_to(selected, wiring) - kept.keys()), "leads to a selection alone")


def _leading_to(selected: frozenset[int], wiring: Wiring) -> frozenset[int]:
    """Return the nodes behind the last multiplication whose results nothing but a selection and its followers read."""
    outputs = {value.name for value in wiring.model.graph.output}
    leading = set(selected)
    for index in reversed(range(len(wiring.nodes))):
        node = wiring.nodes[index]
        readers = wiring.behind(index)
        if node.op_type not in MULTIPLYING and readers and readers <= leading and not outputs & set(node.output):
            leading.add(index)
    return frozenset(leading - selected)


def by_range(wiring: Wiring, magnitudes: Magnitudes, format: Format, headroom: float) -> dict[int, str]:
    """Return the nodes whose values do not fit.

    Args:
        wiring: Of the model.
        magnitudes: What the model reaches on real input.
        format: What the values have to fit into.
        headroom: How many times larger than on the samples values may become on other input.
    """
    limit = format.largest / headroom
    kept: dict[int, str] = {}
    misfits = {name: _misfit(largest, format, limit) for name, largest in magnitudes.largest.items()}
    misfits |= {
        name: f"underflows: divides by {magnitude.smallest:.2g}"
        for name, magnitude in magnitudes.divisors.items()
        if magnitude.smallest < format.smallest
    }
    for name, why in misfits.items():
        if why:
            # A node that makes or reads such a tensor in 16 bits would round it.
            kept |= dict.fromkeys(wiring.neighbours(name), why)
    for index, magnitude in magnitudes.inside.items():
        why = _misfit(magnitude.largest, format, limit, verb="sums to", place=" inside")
        if not why and wiring.nodes[index].op_type in ROOTED:
            why = _misfit(magnitude.smallest, format, math.inf, verb="sums to", place=" inside")
        if why:
            kept[index] = why
    for index, why in _by_weight(wiring, format):
        kept[index] = why
    return kept


def _misfit(largest: float, format: Format, limit: float, *, verb: str = "reaches", place: str = "") -> str:
    if largest > limit:
        return f"overflows: {verb} {largest:.2g}{place}, {format.name} ends at {format.largest:.3g}"
    if 0 < largest < format.smallest:
        return f"underflows: {verb} {largest:.2g}{place}, {format.name} is exact from {format.smallest:.2g}"
    return ""


def _by_weight(wiring: Wiring, format: Format) -> Iterator[tuple[int, str]]:
    """Yield the nodes whose constants do not fit.

    An infinity fits into every format. A constant that is too small is there to bound something from below, such as the
    epsilon of a normalisation: what it was added to is as small on other input, so what reads that stays in fp32 too.
    """
    for name, values in wiring.weights.items():
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        why = _misfit(largest, format, format.largest)
        for reader, position in wiring.consumers.get(name, ()) if why else ():
            if position not in wiring.slots[reader].inputs:
                continue
            yield reader, f"{why}: {name}"
            if largest < format.smallest:
                yield from ((index, f"{why}: {name}") for index in sorted(wiring.behind(reader)))
