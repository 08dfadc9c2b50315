"""Every operation that is known, by its name in MIL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compiler.backends.coreml.operations.elementwise import ELEMENTWISE
from compiler.backends.coreml.operations.recurrent import lstm
from compiler.backends.coreml.operations.shapes import SHAPES
from compiler.backends.coreml.operations.spatial import SPATIAL
from compiler.backends.coreml.operations.sums import SUMS
from compiler.backends.coreml.operations.weights import WEIGHTS

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **ELEMENTWISE,
    **SHAPES,
    **SPATIAL,
    **SUMS,
    **WEIGHTS,
    "lstm": lstm,
}
