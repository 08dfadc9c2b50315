"""Find the words in an image with one bundle, and read them with another. Needs no torch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError
from compiler.runtime.chains import Chain, ImageSource, open_both
from compiler.tasks.classes import color_of, draw_box
from compiler.tasks.text_detection import TextDetection, TextInstance
from compiler.tasks.text_detection.polygons import rectangle
from compiler.tasks.text_recognition import Text, TextRecognition, drawable
from compiler.tasks.warping import warp_affine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from compiler.runtime.bundle import Predictor
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]

MARGIN_ALONG, MARGIN_ACROSS = 0.4, 0.2
"""What MMOCR adds to a word at its ends, and above and below it, as shares of its shorter side."""
TURNS = (0, 1, 3)
"""Quarter turns counterclockwise in which MMOCR reads what is higher than wide; the surest reading counts."""


@dataclass(frozen=True, eq=False)
class Word:
    """One word, found and read.

    Attributes:
        polygon: `[k, 2]`, x and y of its outline in pixels of the image.
        text: Its characters.
        score: How sure the recogniser is, from 0 to 1: the mean of its characters' scores.
        detection_score: How sure the detector is that there is text, from 0 to 1.
        character_scores: How sure the recogniser is of each character.
    """

    polygon: Floats
    text: str
    score: float
    detection_score: float
    character_scores: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The word as JSON can hold it: its fields, with arrays as lists."""
        return {
            "polygon": self.polygon.tolist(),
            "text": self.text,
            "score": self.score,
            "detection_score": self.detection_score,
            "character_scores": list(self.character_scores),
        }


@dataclass(frozen=True)
class TextSpotter(Chain):
    """A detector of text and a recogniser of text, one after the other: call it with an image.

    Attributes:
        detector: Finds words or lines.
        recognizer: Reads one word or line.

    Raises:
        CompileError: The first does something else than detect text, or the second than recognise it.
    """

    detector: Predictor
    recognizer: Predictor

    def __post_init__(self) -> None:
        if (self.detector.task.name, self.recognizer.task.name) != (TextDetection.name, TextRecognition.name):
            raise CompileError(
                "two bundles read text only if the first finds it and the second recognises it",
                where="bundles",
                why=f"they do {self.detector.task.name} and {self.recognizer.task.name}",
                fix=f"give one for {TextDetection.name}, and then one for {TextRecognition.name}",
            )

    def __call__(self, source: ImageSource | Sequence[ImageSource]) -> list[Any]:
        """The words in an image, each a `Word`, in the detector's order.

        Args:
            source: A file, or a BGR uint8 array `[h, w, 3]`; of a list or a tuple, a list for each.

        Raises:
            CompileError: The image cannot be used.
        """
        if isinstance(source, list | tuple):
            return [self(one) for one in source]
        pixels = self._pixels(source)
        found: list[TextInstance] = self.detector(pixels)
        readings = self._read([cut_out(pixels, one.polygon) for one in found])
        return [
            Word(one.polygon, text.text, text.score, one.score, text.character_scores)
            for one, text in zip(found, readings, strict=True)
        ]

    @property
    def streams(self) -> int:
        """How many images `stream` looks at at once."""
        return min(self.detector.streams, self.recognizer.streams)

    def draw(self, image: ImageSource, words: Sequence[Word]) -> Image:
        """A copy of an image, BGR, with the words outlined and written above their outlines."""
        canvas = self._pixels(image).copy()
        thickness = max(1, round(max(canvas.shape[:2]) / 500))
        for index, word in enumerate(words):
            color = color_of(index)
            outline = np.rint(word.polygon * 16).astype(np.int32)
            cv2.polylines(canvas, [outline], True, color[::-1], thickness, cv2.LINE_AA, 4)
            corner = word.polygon.min(axis=0)
            draw_box(canvas, np.concatenate([corner, corner]), drawable(word.text), color)
        return canvas

    def _pixels(self, image: Any) -> Image:
        """An image as the detector reads it."""
        pixels: Image = self.detector.task.read(image, limits=self.detector.limits).source
        return pixels

    def _read(self, crops: Sequence[Image]) -> list[Text]:
        """What is written in each crop; one that is higher than wide is also read on its side."""
        turned = [
            (item, np.ascontiguousarray(np.rot90(crop, turn)))
            for item, crop in enumerate(crops)
            for turn in (TURNS if crop.shape[0] > crop.shape[1] else TURNS[:1])
        ]
        best: dict[int, Text] = {}
        for (item, _), text in zip(turned, self._recognized([crop for _, crop in turned]), strict=True):
            if item not in best or text.score > best[item].score:
                best[item] = text
        return [best[item] for item in range(len(crops))]

    def _recognized(self, crops: Sequence[Image]) -> list[Text]:
        """The text of each crop; crops share a batch only with those of the same width.

        What crops are padded with to the width of others changes what is read in them, if ever so little.
        """
        task, sizes = cast(TextRecognition, self.recognizer.task), self.recognizer.sizes
        groups: dict[int, list[int]] = defaultdict(list)
        for index, crop in enumerate(crops):
            groups[task.width(crop, sizes)].append(index)
        texts: dict[int, Text] = {}
        for indices in chain.from_iterable(map(self._in_batches, groups.values())):
            prepared = task.prepare([crops[index] for index in indices], sizes=sizes)
            texts.update(zip(indices, task.decode(self.recognizer.run(prepared.tensors), prepared), strict=True))
        return [texts[index] for index in range(len(crops))]

    def _in_batches(self, indices: Sequence[int]) -> list[Sequence[int]]:
        """As many at a time as the recogniser's engine is given at once."""
        batch = self.recognizer.batch
        return [indices[start : start + batch] for start in range(0, len(indices), batch)]


def open_spotter(
    detector: str | PathLike[str],
    recognizer: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: str | PathLike[str] | None = None,
    streams: int = 1,
) -> TextSpotter:
    """Open the bundle of a text detector and that of a recogniser as one.

    Args:
        detector: The bundle of one.
        recognizer: The bundle of the other.
        modules: See `compiler.runtime.open`, for both.
        engine_code: Likewise.
        trust_changes: Likewise.
        limits: Likewise.
        cache: Likewise.
        streams: Likewise.

    Raises:
        CompileError: A bundle cannot be opened (see `compiler.runtime.open`), or does something else.
    """
    settings = {"engine_code": engine_code, "trust_changes": trust_changes, "limits": limits, "cache": cache}
    return TextSpotter(*open_both(detector, recognizer, modules, streams=streams, **settings))


def cut_out(image: Image, polygon: Floats) -> Image:
    """The smallest rectangle around a polygon, with MMOCR's margins, turned upright by at most 45 degrees.

    MMOCR cuts out the upright rectangle around the polygon: where the word is upright, the two differ by a fraction of
    a pixel. What lies beyond the image repeats its edge.
    """
    corners = reading_order(rectangle(polygon)[0])
    across, down = (corners[end] - corners[0] for end in (1, 3))
    width, height = (float(np.linalg.norm(side)) for side in (across, down))
    along = MARGIN_ALONG if width > height else MARGIN_ACROSS
    margins = np.array([along, MARGIN_ALONG + MARGIN_ACROSS - along]) * min(width, height)
    step_x, step_y = across / max(width, 1e-6), down / max(height, 1e-6)
    origin = corners[0] - margins[0] * step_x - margins[1] * step_y
    size = np.maximum(np.rint([width + 2 * margins[0], height + 2 * margins[1]]), 1).astype(int)
    # From the crop to the image: a crop has as many pixels as the rectangle is long.
    matrix = np.stack([step_x, step_y, origin], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return warp_affine(image, matrix, (int(size[0]), int(size[1])), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def reading_order(corners: Floats) -> Floats:
    """A rectangle's corners clockwise, from that which is the upper left after a turn of at most 45 degrees.

    Args:
        corners: `[4, 2]`, in the order of the edges, in either direction.
    """
    center = corners.mean(axis=0)
    sides = np.array([corners[1] - corners[0], corners[2] - corners[1]])
    flat = int(np.argmax(np.abs(sides[:, 0]) - np.abs(sides[:, 1])))
    across, down = sides[flat], sides[1 - flat]
    across, down = across * (1 if across[0] >= 0 else -1), down * (1 if down[1] >= 0 else -1)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    return np.asarray(center + (signs[:, :1] * across + signs[:, 1:] * down) / 2, np.float32)
