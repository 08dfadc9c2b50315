"""What data from a stranger may cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.config.ranges import between
from compiler.errors import CompileError

if TYPE_CHECKING:
    from compiler.artifact.specs import TensorSpec

MOST_DIMENSIONS = 64
"""Of an array, as NumPy has it."""
LARGEST_INPUT = 2**29
"""Numbers in an engine's input, its batch included: 2 GiB of float32."""


@dataclass(frozen=True)
class Limits:
    """How much of this machine an input or a network may take: a message names the limit that it met.

    A bundle comes from a stranger, too: whoever opens one has limits of their own, and never the bundle's.
    """

    megapixels: float = between(1e-6, 2**20, default=100.0)
    """Of an image, as its header says before it is decoded."""
    points: int = between(1, 2**31, default=10_000_000)
    """Of a point cloud."""
    seconds: float = between(1e-3, 10**9, default=600.0)
    """That a file of `model=onnx` may run for, on all inputs of the proof together, before anything else runs it.

    An engine of ncnn's is tried out as long, whenever it is opened."""
    memory: float = between(1e-3, 2**20, default=16.0)
    """GiB of address space that it may take up meanwhile."""


DEFAULT_LIMITS = Limits()
"""Those that ordinary inputs and networks never meet."""


def check_inputs(inputs: Iterable[TensorSpec], where: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse an engine or a Program whose inputs are said to be larger than an image or a batch may be.

    Raises:
        CompileError: One is.
    """
    most = max(LARGEST_INPUT, int(3e6 * limits.megapixels))
    for spec in inputs:
        fixed = [max(side, 1) for side in spec.shape if isinstance(side, int)]
        if len(fixed) > MOST_DIMENSIONS or math.prod(fixed) > most:
            raise CompileError(
                "the input is larger than any may be",
                where=where,
                why=f"{spec} has more than {most:,} numbers or {MOST_DIMENSIONS} dimensions",
                fix="compile it for a smaller batch or shape; or where an image is that large, raise limits.megapixels",
            )
