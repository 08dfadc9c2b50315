"""What a task looks at, as one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

SourceT = TypeVar("SourceT", bound=NDArray[Any] | Mapping[str, NDArray[Any]])


@dataclass(frozen=True, eq=False)
class Sample(Generic[SourceT]):
    """What a task looks at, and where in it.

    Attributes:
        source: An image, `[h, w, 3]`, BGR; or the points of a cloud, `[n, d]`; or arrays by their names.
        boxes: `[n, 4]` as x1, y1, x2, y2 in pixels, each of which becomes one item of the batch; None stands for the
            whole source.
        first: Which of all boxes the first of these is.
    """

    source: SourceT
    boxes: NDArray[np.floating[Any]] | None = None
    first: int = 0

    def parts(self, size: int) -> Iterator[Sample[SourceT]]:
        """Yield the same source with at most `size` of the boxes at a time; as it is where there are no more."""
        if self.boxes is None or len(self.boxes) <= size:
            yield self
            return
        for start in range(0, len(self.boxes), size):
            yield replace(self, boxes=self.boxes[start : start + size], first=self.first + start)


AnySample = Sample[Any]
"""A sample whose kind of source does not matter to the caller."""
