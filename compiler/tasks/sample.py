"""What a task looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Sample:
    """What a task looks at, and where its objects are.

    Attributes:
        source: An image, points, or arrays by name.
        boxes: `[n, 4]`, x1, y1, x2, y2 in pixels; None for the whole source.
    """

    source: Any
    boxes: NDArray[np.float32] | None = None
