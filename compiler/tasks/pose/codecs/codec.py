"""What every way of writing coordinates has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors

Floats = NDArray[np.float32]


class Codec(ABC):
    """How a network writes the key points of one crop."""

    outputs: ClassVar[tuple[str, ...]]
    """Names of the network's outputs that hold the coordinates, in order. The axes of each are items, then points."""
    input_size: tuple[int, int]
    """Width and height of the network's input, in pixels."""

    @abstractmethod
    def decode(self, outputs: Tensors) -> tuple[Floats, Floats]:
        """Find the key points.

        Returns:
            Key points, `[n, k, 2]` as x and y in pixels of the network's input, and their scores, `[n, k]`.

        Raises:
            ValueError: The outputs do not have the shapes that the settings call for.
        """

    @abstractmethod
    def mirror(self, outputs: Tensors, swap: Sequence[int], shift_heatmap: bool) -> dict[str, Floats]:
        """Turn the outputs for a mirrored input into outputs for the input itself.

        Args:
            outputs: By name.
            swap: For each point, the index of the one that it becomes in a mirror.
            shift_heatmap: Move heat maps one column to the right, where the network's heat maps are a fraction of a
                column off the mirror's axis. Other outputs stay as they are.
        """
