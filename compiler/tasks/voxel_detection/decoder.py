"""What decoders of boxes in space have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks.voxel_detection.boxes3d import Boxes3D, Floats

Places = Sequence[NDArray[np.int64]]
"""Where boxes are looked for, as a decoder counts them, in the order in which it does."""


class Decoder(ABC):
    """Turns a head's raw outputs into boxes; a frozen dataclass whose fields are the keys of its config node."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order, each `[n, channels, h, w]`."""

    @abstractmethod
    def decode(self, outputs: Tensors, item: int, classes: int) -> Boxes3D:
        """The boxes of one item of the batch, of that many classes, in the order of MMDetection3D.

        Raises:
            ValueError: The outputs do not have the shapes that the settings call for.
        """

    @abstractmethod
    def places(self, outputs: Tensors, item: int) -> Places:
        """Where `decode` looks for boxes."""

    @abstractmethod
    def at(self, outputs: Tensors, item: int, places: Places) -> Boxes3D:
        """The boxes that the outputs have in some places, one for each class there, before any is dropped."""

    @property
    @abstractmethod
    def threshold(self) -> float:
        """What boxes have to score."""

    @abstractmethod
    def exclusion(self, a: Boxes3D, b: Boxes3D) -> NDArray[np.float64]:
        """How strongly each of `a` and each of `b` exclude each other, `[n, m]`: they do where it is above 1."""

    @abstractmethod
    def lowest(self, boxes: Boxes3D, label: int) -> float:
        """The score at which it is decided whether a box of that class is still among `boxes`."""


def sigmoid(logits: NDArray[np.floating[Any]]) -> Floats:
    """1 / (1 + exp(-x)) in single precision, without overflow."""
    with np.errstate(over="ignore"):  # exp(-x) may become infinite, and its inverse is then rightly 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float32))), np.float32)


def best(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The indices of the `count` largest of `values`, the largest first, and among equals the first."""
    if 0 < count < len(values):
        threshold = np.partition(values, len(values) - count)[len(values) - count]
        (candidates,) = np.nonzero(values >= threshold)
    else:
        candidates, count = np.arange(len(values)), len(values)
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]
