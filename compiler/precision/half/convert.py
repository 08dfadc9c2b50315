"""fp16 and bf16 as a pass over the Program: mixed precision, written into the graph.

Everything that bears it is in 16 bits; what does not is measured on real input, and stays in fp32 with a reason:

1. The range of every tensor, and of the sums that reductions and normalisations keep inside (`magnitudes`,
   `intermediates`): what comes near the format's end, or is below its smallest numbers, stays (`rules`).
2. The error at the outputs, with every node's inputs and outputs rounded (`simulation`): while it is beyond the
   tolerance, the nodes behind which it grows most go back (`search`). Where an output is not a number, none do.

The rounding is simulated in fp32, for on a CPU ONNX Runtime has few kernels in fp16 and hardly any in bf16: sums are
taken to be added up in fp32, as GPUs do in convolutions and matrix products. What an engine computes in 16 bits within
an operator is covered by step 1 alone; the proof of the engine has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Tensors
from compiler.errors import CompileError
from compiler.precision.excluded import Excluded, asked_for
from compiler.precision.half.formats import find_format
from compiler.precision.half.magnitudes import measure
from compiler.precision.half.rules import by_operator, by_range
from compiler.precision.half.search import too_inaccurate
from compiler.precision.half.simulation import Simulation
from compiler.precision.half.wiring import wire
from compiler.precision.half.write import write

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class HalfOptions:
    """How a Program is written in 16 bits.

    Attributes:
        kind: `fp16` or `bf16`.
        exclude: What stays in fp32: names of nodes, operator types, or glob patterns of either.
        tolerance: The largest absolute error of an output, in standard deviations of it; None for the format's own.
        headroom: How many times larger than on the samples values may become on other input.
    """

    kind: str = "fp16"
    exclude: tuple[str, ...] = ()
    tolerance: float | None = None
    headroom: float = 4.0


@dataclass(frozen=True)
class HalfResult:
    """A Program in mixed precision.

    Attributes:
        model: Its inputs and outputs are in fp32.
        half: How many of its nodes are in 16 bits.
        excluded: The nodes with fp32 tensors that are not, in the order they run in.
        errors: The largest absolute error of each output in standard deviations of it, as simulated on the samples. For
            outputs that follow a selection (top-k, NMS), of what that reads.
    """

    model: onnx.ModelProto
    half: int
    excluded: tuple[Excluded, ...]
    errors: Mapping[str, float]


def to_half(model: onnx.ModelProto, samples: Sequence[Tensors], options: HalfOptions) -> HalfResult:
    """Write an fp32 model in fp16 or bf16, but for what does not bear it.

    Args:
        model: In fp32; it is left as it is. Of operator set 13 or newer. For bf16 it is converted to operator set 22,
            where convolutions take it.
        samples: Real inputs by name, preprocessed as the network expects them.
        options: The format, and how accurate it must be.

    Raises:
        UsageError: There is no such format, or a pattern to exclude matches nothing.
        CompileError: There are no samples, the model's operator set is too old, nothing of it is in fp32, or ONNX
            Runtime does not run it.
    """
    if not samples:
        raise CompileError(
            f"there is nothing to measure {options.kind} on", why="no samples", fix="give one real input at least"
        )
    number_format = find_format(options.kind)
    wiring = wire(model, number_format)
    if not any(map(wiring.can_be_half, range(len(wiring.nodes)))):
        raise CompileError(
            f"nothing can be written in {options.kind}",
            why=f"no operator of the model computes in fp32 what it could compute in {options.kind}",
            fix="compile it as it is: precision=fp32",
        )
    magnitudes = measure(wiring, samples)
    excluded = by_range(wiring, magnitudes, number_format, options.headroom)
    excluded |= by_operator(wiring, number_format)
    excluded |= dict.fromkeys(asked_for(wiring.nodes, options.exclude), "asked for")
    half = frozenset(index for index in range(len(wiring.nodes)) if wiring.can_be_half(index)) - excluded.keys()
    simulation = Simulation(wiring, number_format, samples, magnitudes.watched)
    tolerance = number_format.tolerance if options.tolerance is None else options.tolerance
    if any(np.isnan(array).any() for watched in magnitudes.watched for array in watched.values()):
        # There is nothing to search by: no error is smaller than another, and the proof names what is not a number.
        inaccurate: dict[int, str] = {}
        errors = dict.fromkeys(wiring.watched, math.inf)
    else:
        inaccurate, errors = too_inaccurate(wiring, simulation, half, tolerance)
    excluded |= inaccurate
    half -= inaccurate.keys()
    return HalfResult(
        model=write(wiring, half, number_format),
        half=len(half),
        excluded=tuple(
            Excluded(wiring.nodes[index].name, wiring.nodes[index].op_type, why)
            for index, why in sorted(excluded.items())
            if wiring.reads_or_gives_floats(index) and wiring.nodes[index].op_type != "Cast"
        ),
        errors=errors,
    )
