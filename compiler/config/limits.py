"""What data from a stranger may cost."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.config.ranges import between


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
    """That a file of `model=onnx` may run for, on all inputs of the proof together, before anything else runs it."""
    memory: float = between(1e-3, 2**20, default=16.0)
    """GiB of address space that it may take up meanwhile."""


DEFAULT_LIMITS = Limits()
"""Those that ordinary inputs and networks never meet."""
