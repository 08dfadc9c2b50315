"""Read and write images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.artifact import reading, written_whole
from compiler.errors import CompileError

Image = NDArray[np.uint8]
"""`[h, w, 3]`, BGR."""


def read_image(source: str | os.PathLike[str] | NDArray[Any]) -> Image:
    """An image as `[h, w, 3]` uint8 BGR.

    Args:
        source: A file that OpenCV can decode, turned upright as its EXIF orientation says; or an array `[h, w]`,
            `[h, w, 1]`, `[h, w, 3]` BGR or `[h, w, 4]` BGRA of uint8 or uint16. Grey becomes BGR, alpha is dropped,
            and of 16 bits the upper 8 are kept.

    Raises:
        CompileError: The file is missing, empty or no image, or the array has another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    path = Path(source)
    with reading(path, "the image cannot be read"):
        if path.is_dir():
            raise CompileError("the image is a folder", where=str(path), fix="give one image file")
        if not path.exists():
            fix = f"check the path; it is seen from {Path.cwd()}"
            raise CompileError("the image does not exist", where=str(path), fix=fix)
        # OpenCV's own imread cannot open every name that the file system allows.
        data = path.read_bytes()
    if not data:
        raise CompileError("the image is empty", where=str(path), why="the file has 0 bytes", fix="copy it again")
    with reading(path, "the image cannot be decoded"), _opencv_silenced():
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise CompileError(
            "the image cannot be decoded",
            where=str(path),
            why="it is damaged, or in a format that OpenCV does not know",
            fix="convert it to PNG or JPEG",
        )
    return np.asarray(decoded, np.uint8)


def require_image(image: NDArray[Any]) -> None:
    """Check that an array is an image as `read_image` gives it.

    Raises:
        ValueError: It has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image is [h, w, 3] of uint8, not {list(image.shape)} of {image.dtype}")


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write a BGR image in the format that the path's suffix names; the file appears whole or not at all.

    Raises:
        CompileError: The suffix names no format, or the file cannot be written.
    """
    final = Path(path)
    try:
        _, data = cv2.imencode(final.suffix, image)
    except cv2.error as error:
        raise CompileError(
            "the image cannot be encoded",
            where=str(final),
            why=f"{final.suffix or 'no suffix'} is not an image format",
            fix="use .png or .jpg",
        ) from error
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(final) as partial:
            partial.write_bytes(data.tobytes())
    except (OSError, ValueError) as error:
        raise CompileError("the image cannot be written", where=str(final), why=str(error)) from error


@contextmanager
def _opencv_silenced() -> Iterator[None]:
    """Keep OpenCV's own lines off the terminal: what is wrong with an image is one error of ours."""
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _from_array(array: NDArray[Any]) -> Image:
    """An array as `[h, w, 3]` uint8 BGR."""
    channels = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    if array.size == 0 or channels not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise CompileError(
            "the array is not an image",
            where=f"shape {list(array.shape)}, {array.dtype}",
            why="an image is [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], of uint8 or uint16",
            fix="convert it; a colour image is BGR with values from 0 to 255",
        )
    levels = (array >> 8 if array.dtype == np.uint16 else array).astype(np.uint8)
    if channels == 1:
        levels = np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(levels[..., :3])
