"""Read and write videos, frame by frame."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np

from compiler.artifact import reading, require_file
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError
from compiler.tasks.images import Image, check_size, opencv_silenced

VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
"""The suffixes of those that are read, in small letters."""
WRITTEN = {".avi": "MJPG", ".m4v": "mp4v", ".mkv": "mp4v", ".mov": "mp4v", ".mp4": "mp4v"}
"""How they are encoded that are written, by their suffix, as every OpenCV can."""
USUAL_RATE = 25.0
"""Frames a second, where a video does not say."""
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MATROSKA = b"\x1aE\xdf\xa3"


@dataclass(frozen=True)
class Video:
    """A video that is being read.

    Attributes:
        path: Of its file.
        rate: Frames a second.
        capture: OpenCV's.
        limits: What a frame may cost.
    """

    path: Path
    rate: float
    capture: Any
    limits: Limits

    def frames(self) -> Iterator[Image]:
        """Yield the frames, `[h, w, 3]`, BGR, as far as they can be decoded.

        Raises:
            CompileError: There is none, or one is larger than the limits allow.
        """
        count = 0
        while True:
            with opencv_silenced(), reading(self.path, "the video cannot be decoded"):
                there, frame = self.capture.read()
            if not there:
                break
            check_size(frame.shape[1], frame.shape[0], self.limits, f"{self.path}, frame {count}")
            yield np.asarray(frame, np.uint8)
            count += 1
        if not count:
            raise _undecodable(self.path, "no frame of it can be decoded")


@contextmanager
def opened_video(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Video]:
    """A video.

    It is opened where it begins as one: what FFmpeg finds to be a playlist leads to other files and addresses.

    Args:
        path: Of its file.
        limits: What a frame may cost; what the header says is held to them before one is decoded.

    Raises:
        CompileError: It is missing, no video, or larger than the limits allow.
    """
    require_file(path, "the video", largest=2**63)
    with reading(path, "the video cannot be read"), path.open("rb") as file:
        beginning = file.read(12)
    if not _is_container(beginning):
        raise _undecodable(path, "it does not begin as one of these")
    with opencv_silenced(), reading(path, "the video cannot be decoded"):
        capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise _undecodable(path, "OpenCV knows no such format")
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(width, height, limits, str(path))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        yield Video(path, rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE, capture, limits)
    finally:
        capture.release()


class VideoFile:
    """A video that is being written; every frame has the size of the first.

    Attributes:
        path: Of its file.
        rate: Frames a second.
    """

    def __init__(self, path: Path, partial: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._partial = partial
        self._writer: Any = None

    def write(self, frame: Image) -> None:
        """Add a frame, `[h, w, 3]`, BGR.

        Raises:
            CompileError: It cannot be written.
        """
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*WRITTEN[self.path.suffix.lower()])
            with opencv_silenced():
                self._writer = cv2.VideoWriter(str(self._partial), code, self.rate, (frame.shape[1], frame.shape[0]))
            if not self._writer.isOpened():
                raise _unwritable(self.path, "OpenCV cannot open it for writing")
        self._writer.write(frame)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.release()


def require_video_suffix(path: Path) -> None:
    """Refuse a file that no video is written into.

    Raises:
        CompileError: Its suffix names no format that is written.
    """
    if path.suffix.lower() not in WRITTEN:
        raise _unwritable(path, f"{path.suffix or 'no suffix'} is no format that is written")


@contextmanager
def written_video(path: Path, rate: float) -> Iterator[VideoFile]:
    """A video to write frames into; the file appears whole at the end, or not at all.

    Raises:
        CompileError: The suffix names no format, or the file cannot be written.
    """
    require_video_suffix(path)
    # Its suffix tells OpenCV the format.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.{uuid4().hex}.partial{path.suffix}")
    video = VideoFile(path, partial, rate)
    with reading(path, "the video cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield video
        video.close()
        with reading(path, "the video cannot be written"):
            partial.replace(path)
    finally:
        video.close()
        partial.unlink(missing_ok=True)


def _is_container(beginning: bytes) -> bool:
    """Whether a file begins as MP4 and QuickTime, AVI, or Matroska and WebM do."""
    is_avi = beginning.startswith(b"RIFF") and beginning[8:12] == b"AVI "
    return beginning[4:8] in _QUICKTIME or is_avi or beginning.startswith(_MATROSKA)


def _undecodable(path: Path, why: str) -> CompileError:
    fix = "convert it, for example to MP4 with H.264"
    return CompileError("the video cannot be decoded", where=str(path), why=why, fix=fix)


def _unwritable(path: Path, why: str) -> CompileError:
    fix = f"use one of {', '.join(WRITTEN)}, in a folder that can be written"
    return CompileError("the video cannot be written", where=str(path), why=why, fix=fix)
