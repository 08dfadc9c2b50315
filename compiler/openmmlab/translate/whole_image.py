"""What models that look at whole images have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compiler.config.literal import Reference

TAIL = Reference("${tail}")
"""What the command line says that the tail is."""
IMAGE_SIZE_INPUT = Reference("${..processing.image_size_input}")
"""Whether the network is given the images' sizes, as the task has it."""
SCORE_THRESHOLD = 0.3
"""Of what is drawn: no config says it."""

_SMALLEST = 320
"""The side that a dynamic engine begins at, unless half of its usual one is less."""


def selecting_tail(selection: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The node of the tail that selects what `selection` says; `TAIL` is left to the command line."""
    return {
        "_target_": "compiler.selection.tail.DetectionTail",
        "kind": TAIL,
        "test_cfg": dict(selection),
        **options,
    }


def shapes(scale: Sequence[int], stride: int) -> dict[str, list[int]]:
    """The usual, the smallest and the largest height and width of images that are resized into a scale.

    Args:
        scale: The longer and the shorter side, in any order. Most images are wide; as others are upright, the largest
            size is a square.
        stride: What sides are multiples of.
    """
    low, high = (-(-side // stride) * stride for side in sorted(scale))
    least = -(-min(_SMALLEST, low // 2) // stride) * stride
    return {
        "input_shape": [low, high],
        "stride": [stride, stride],
        "smallest_shape": [least, least],
        "largest_shape": [high, high],
    }
