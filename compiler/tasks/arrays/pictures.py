"""Show arrays as grey tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.printable import caption

if TYPE_CHECKING:
    from compiler.tasks.images import Image

TILE = 192
"""Pixels."""
CAPTION = 20
COLUMNS = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def tiles(arrays: Mapping[str, NDArray[Any]]) -> Image:
    """A BGR picture with one tile for each array: its first item, from black for the smallest to white."""
    pictures = [_tile(name, array) for name, array in arrays.items()]
    pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % min(len(pictures), COLUMNS))
    width = min(len(pictures), COLUMNS)
    rows = [np.concatenate(pictures[start : start + width], axis=1) for start in range(0, len(pictures), width)]
    return np.ascontiguousarray(np.concatenate(rows))


def _tile(name: str, array: NDArray[Any]) -> Image:
    values = _as_map(array)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scaled = np.nan_to_num((values - low) / ((high - low) or 1.0), posinf=1.0, neginf=0.0)
    grey = cv2.resize(np.uint8(scaled * 255), (TILE, TILE), interpolation=cv2.INTER_NEAREST)  # type: ignore[call-overload]
    canvas = np.zeros((TILE + CAPTION, TILE, 3), np.uint8)
    canvas[CAPTION:] = grey[..., None]
    title = caption(f"{name} {'x'.join(map(str, array.shape))}")
    cv2.putText(canvas, title, (2, CAPTION - 6), _FONT, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return canvas


def _as_map(array: NDArray[Any]) -> NDArray[np.float64]:
    """The first item as rows and columns: the mean over what lies before the last two axes."""
    if not array.size:
        return np.zeros((1, 1))
    item = np.asarray(array[0] if array.ndim else array, np.float64)
    flat = item.reshape(-1, *item.shape[-2:]) if item.ndim >= 2 else item.reshape(1, 1, -1)
    return np.asarray(flat.mean(axis=0))
