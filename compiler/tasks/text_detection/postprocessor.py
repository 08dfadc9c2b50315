"""What all ways to read a network's maps have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.tasks.text_detection.growing import Indices, Labels, members
from compiler.tasks.text_detection.polygons import outline, rectangle

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Region:
    """One text in a network's input.

    Attributes:
        polygon: `[k, 2]`, x and y in pixels of the network's input.
        score: How sure the network is, from 0 to 1.
    """

    polygon: Floats
    score: float


class Postprocessor(ABC):
    """Finds texts in what a network says about the pixels of one image."""

    rank: ClassVar[int]
    """How many axes the maps of one image have."""

    text_repr_type: str

    def __post_init__(self) -> None:
        if self.text_repr_type not in ("poly", "quad"):
            raise ValueError(f"text_repr_type is {self.text_repr_type}, and must be poly or quad")

    @property
    @abstractmethod
    def lowest_score(self) -> float:
        """Below it, a text is dropped."""

    @abstractmethod
    def regions(self, maps: Floats) -> list[Region]:
        """The texts of one image, in MMOCR's order.

        Args:
            maps: `[h, w]` or `[c, h, w]`, as the network gives them.
        """


class PixelGrouping(Postprocessor):
    """Makes texts of groups of pixels, in maps that are smaller than the network's input.

    What tells texts apart is in `[c, h, w]` logits; its fields are those of the dataclasses that derive from it.
    """

    rank: ClassVar[int] = 3

    score_threshold: float
    min_text_area: int
    downsample_ratio: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.downsample_ratio <= 0:
            raise ValueError("downsample_ratio must be positive")

    @property
    def lowest_score(self) -> float:
        """Below it, a text is dropped."""
        return self.score_threshold

    @abstractmethod
    def labels(self, maps: Floats) -> tuple[Labels, Floats]:
        """Which text each pixel is in, counted from 1, and how probable text is there: both `[h, w]`."""

    @abstractmethod
    def score(self, probabilities: Floats) -> float:
        """How sure the network is of a text, given the probabilities of its pixels, row by row."""

    @abstractmethod
    def is_kept(self, area: int, score: float) -> bool:
        """Whether a text of so many pixels and that score is not dropped."""

    def regions(self, maps: Floats) -> list[Region]:
        """The texts of one image; see `Postprocessor.regions`."""
        labels, probabilities = self.labels(maps)
        flat = probabilities.reshape(-1)
        groups = ((pixels, self.score(flat[pixels])) for pixels in members(labels))
        found = [
            Region(self._boundary(pixels, labels.shape[1]), score)
            for pixels, score in groups
            if self.is_kept(len(pixels), score)
        ]
        return [region for region in found if len(region.polygon) >= 4]

    def _boundary(self, pixels: Indices, width: int) -> Floats:
        """The polygon around pixels, given their flat indices row by row, in a map of that width."""
        points = np.empty((len(pixels), 2), np.int32)
        points[:, 1], points[:, 0] = np.divmod(pixels, width)
        polygon = rectangle(points)[0] if self.text_repr_type == "quad" else outline(points)
        return np.asarray(polygon / np.float32(self.downsample_ratio), np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Probabilities, in single precision."""
    with np.errstate(over="ignore"):  # the exponential of a large number is infinite, and its inverse 0
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
