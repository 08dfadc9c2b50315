"""Read and write images."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import imagesize
import numpy as np
from numpy.typing import NDArray

from compiler.artifact import read_given, reading, require_file, written_whole
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError
from compiler.tasks.warping import LARGEST_ARRAY

Image = NDArray[np.uint8]
"""`[h, w, 3]`, BGR."""
JPEG = b"\xff\xd8\xff"
"""How a file begins that OpenCV decodes as one."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a JPEG's segments that say its size, one for each way of encoding."""
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Those that no segment follows."""
END_OF_IMAGE, START_OF_SCAN = 0xD9, 0xDA
HEADER = 2**18
"""Bytes of a file in which nearly every image says its size."""


def read_image(
    source: str | os.PathLike[str] | NDArray[Any], limits: Limits = DEFAULT_LIMITS, *, ignore_orientation: bool = False
) -> Image:
    """An image as `[h, w, 3]` uint8 BGR.

    Args:
        source: A file that OpenCV can decode, turned upright as its EXIF orientation says; or an array `[h, w]`,
            `[h, w, 1]`, `[h, w, 3]` BGR or `[h, w, 4]` BGRA of uint8 or uint16. Grey becomes BGR, alpha is dropped,
            and of 16 bits the upper 8 are kept.
        limits: What it may cost: its size is read from its header before it is decoded.
        ignore_orientation: Leave a file's pixels as they lie in it, whatever its EXIF orientation says.

    Raises:
        CompileError: The file is missing, empty or no image, the array has another shape or type, or the image is
            larger than the limits and OpenCV allow.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, limits)
    where = str(source)
    # OpenCV's own imread cannot open every name that the file system allows.
    data = read_given(Path(source), "the image")
    check_size(*_claimed_size(data, where), limits, where)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_IGNORE_ORIENTATION if ignore_orientation else 0)
    with reading(where, "the image cannot be decoded"), opencv_silenced():
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        raise _undecodable(where)
    # What OpenCV decodes counts, should a header be read differently by two.
    check_size(decoded.shape[1], decoded.shape[0], limits, where)
    return np.asarray(decoded, np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """The width and height of the image in a file, turned upright, by its header alone.

    Raises:
        CompileError: The file is missing, empty or no image.
    """
    require_file(path, "the image")
    with reading(path, "the image cannot be read"), path.open("rb") as file:
        data = file.read(HEADER)
    try:
        return _upright_size(data, str(path))
    except CompileError:  # its size may stand behind a picture of it in small, or what else a camera writes
        return _upright_size(read_given(path, "the image"), str(path))


def _upright_size(data: bytes, where: str) -> tuple[int, int]:
    width, height = _claimed_size(data, where)
    try:
        is_turned = imagesize.get(BytesIO(data)) == (height, width)
    except Exception:  # whatever a damaged orientation leads the library to raise: it is none
        is_turned = False
    return (height, width) if is_turned else (width, height)


def require_image(image: NDArray[Any]) -> None:
    """Check that an array is an image as `read_image` gives it.

    Raises:
        ValueError: It has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
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


def _claimed_size(data: bytes, where: str) -> tuple[int, int]:
    """The width and height in an image's header: those of whole files are not known before they are decoded.

    Raises:
        CompileError: It is no header of an image.
    """
    if data.startswith(b"<"):  # a drawing, which is parsed as XML and is none that OpenCV decodes
        raise _undecodable(where)
    try:
        width, height = _jpeg_size(data) if data.startswith(JPEG) else imagesize.get(BytesIO(data))
    except Exception as error:  # whatever a damaged header leads the library to raise
        raise _undecodable(where) from error
    if -1 in (width, height):
        raise _undecodable(where)
    return abs(int(width)), abs(int(height))  # a bitmap that begins at the top has a negative height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """The width and height in a JPEG's header, by the segments that libjpeg sees, which skips what is no marker.

    Raises:
        ValueError: There is none before the pixels.
        IndexError, struct.error: It ends within a segment.
    """
    at = 2
    while True:
        while data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
            at += 1
        marker, at = data[at + 1], at + 2
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker in (START_OF_SCAN, END_OF_IMAGE):
            raise ValueError("a JPEG says its size before its pixels")
        if marker not in ALONE:
            at += max(2, *struct.unpack_from(">H", data, at))


def check_size(width: int, height: int, limits: Limits, where: str) -> None:
    """Refuse an image that is larger than the limits, or than OpenCV can hold.

    Raises:
        CompileError: It is; `where` names it.
    """
    megapixels = width * height / 1e6
    shown = f"it is {width} x {height} pixels, {megapixels:,.1f} megapixels"
    if megapixels > limits.megapixels:
        raise CompileError(
            "the image is too large",
            where=where,
            why=f"{shown}, and limits.megapixels is {limits.megapixels:g}",
            fix=f"scale it down; or where you trust it, give limits.megapixels={int(megapixels) + 1}",
        )
    if width * height * 3 > LARGEST_ARRAY:
        raise CompileError(
            "the image is too large",
            where=where,
            why=f"{shown}, and OpenCV holds no more than {LARGEST_ARRAY // 3_000_000} megapixels",
            fix="scale it down, or cut it into parts",
        )


def _undecodable(where: str) -> CompileError:
    why = "it is damaged, or in a format that is not read"
    return CompileError("the image cannot be decoded", where=where, why=why, fix="convert it to PNG or JPEG")


class _Silence:
    """How OpenCV is kept from writing by several threads: what the first found is set again by the last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        logging = cv2.utils.logging
        with self._lock:
            if not self._users:
                self._before = logging.getLogLevel()
                logging.setLogLevel(logging.LOG_LEVEL_SILENT)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    logging.setLogLevel(self._before)


opencv_silenced = _Silence()
"""Keeps OpenCV's own lines off the terminal: what is wrong with an image is one error of ours."""


def _from_array(array: NDArray[Any], limits: Limits) -> Image:
    """An array as `[h, w, 3]` uint8 BGR."""
    channels = 1 if array.ndim == 2 else array.shape[-1] if array.ndim == 3 else 0
    where = f"shape {list(array.shape)}, {array.dtype}"
    if array.size == 0 or channels not in (1, 3, 4) or array.dtype not in (np.uint8, np.uint16):
        raise CompileError(
            "the array is not an image",
            where=where,
            why="an image is [h, w], [h, w, 1], [h, w, 3] or [h, w, 4], of uint8 or uint16",
            fix="convert it; a colour image is BGR with values from 0 to 255",
        )
    check_size(array.shape[1], array.shape[0], limits, where)
    levels = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    if channels == 1:
        levels = np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(levels[..., :3])
