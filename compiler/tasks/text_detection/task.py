"""Text, wherever it stands in whole images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks import Sample
from compiler.tasks.classes import color_of
from compiler.tasks.crops import to_tensor
from compiler.tasks.resizing import Placement, multiple, resize, scaled_size
from compiler.tasks.text_detection.postprocessor import Postprocessor
from compiler.tasks.whole_image import PreparedImages, WholeImageTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.config.sizes import Size, SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TextInstance:
    """One word or line of text.

    Attributes:
        polygon: `[k, 2]`, x and y in pixels of the image; it may reach beyond the image's edges.
        score: How sure the network is, from 0 to 1.
        item: Which image of the batch it is in.
    """

    polygon: Floats
    score: float
    item: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The text as JSON can hold it: its fields, with `polygon` as a list."""
        return {"polygon": self.polygon.tolist(), "score": self.score, "item": self.item}


@dataclass(frozen=True)
class TextDetection(WholeImageTask[TextInstance]):
    """Detection of text, as MMOCR 1.0.1 does it.

    Attributes:
        scale: What the longer and the shorter side of an image may become, in pixels, in any order.
        postprocessor: What finds text in the network's maps.
        pad_divisor: Height and width of the network's input are multiples of it; what is padded is 0.
        mean: Subtracted from the channels, in the order that the network sees them.
        std: What the channels are then divided by.
        to_rgb: Whether the network sees RGB.
        score_threshold: Texts that score less are not drawn.
        ignore_orientation: Whether files are not turned upright as their EXIF orientation says.

    Raises:
        ValueError: A size, divisor or deviation is not positive.
    """

    name: ClassVar[str] = "text-detection"
    proof: ClassVar[str] = "compiler.proof.text_detection:TextDetectionProof"
    result_class: ClassVar[type[Any] | None] = TextInstance

    scale: tuple[int, int]
    postprocessor: Postprocessor
    pad_divisor: int = 32
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    to_rgb: bool = True
    score_threshold: float = 0.3
    ignore_orientation: bool = False

    def __post_init__(self) -> None:
        if min(*self.scale, self.pad_divisor, *self.std) <= 0:
            raise ValueError("scale, pad_divisor and std must be positive")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        return ("output",)

    def place(self, image: Image, sizes: SizeRange | None) -> tuple[Floats, Placement]:
        """Resize as MMOCR does, but never beyond what the engine takes, and pad on the right and below."""
        height, width = image.shape[:2]
        largest = (sizes.largest[1], sizes.largest[0]) if sizes else None
        resized, placement = resize(image, scaled_size((width, height), self.scale, largest))
        padded = self._padded_size(resized.shape[0], resized.shape[1], sizes)
        return to_tensor([resized], self.mean, self.std, self.to_rgb, padded), placement

    def _padded_size(self, height: int, width: int, sizes: SizeRange | None) -> Size:
        padded = multiple(height, self.pad_divisor), multiple(width, self.pad_divisor)
        return sizes.fit(*padded) if sizes else padded

    def decode(self, outputs: Tensors, prepared: PreparedImages) -> list[TextInstance]:
        """The texts of each image in MMOCR's order; see `Task.decode`."""
        maps = np.asarray(outputs["output"], np.float32)
        rank = self.postprocessor.rank
        if maps.ndim != rank + 1:
            raise ValueError(f"output is {list(maps.shape)}, and must have {rank + 1} axes")
        if len(maps) != len(prepared.placements):
            raise ValueError(f"there are maps for {len(maps)} images, and {len(prepared.placements)} images")
        found: list[TextInstance] = []
        for item, placement in enumerate(prepared.placements):
            regions = self.postprocessor.regions(maps[item])
            polygons = _in_image([region.polygon for region in regions], placement)
            found.extend(
                TextInstance(polygon, region.score, item) for polygon, region in zip(polygons, regions, strict=True)
            )
        return found

    def draw(self, sample: Sample[Image], results: Sequence[TextInstance]) -> Image:
        """The image, and on it the outlines of texts that score at least `score_threshold`, each in its colour."""
        canvas = sample.source.copy()
        for index, one in enumerate(results):
            if one.score >= self.score_threshold:
                _draw_text(canvas, one, color_of(index)[::-1])
        return canvas

    def sample_source(self) -> Path:
        """A page of printed words, one line of which is askew."""
        return Path(__file__).parents[1] / "photographs" / "page.png"


def _in_image(polygons: Sequence[Floats], placement: Placement) -> list[Floats]:
    """Polygons in the network's input, mapped to the image all at once."""
    if not polygons:
        return []
    points = placement.to_image(np.concatenate(polygons)[None])[0]
    return np.split(points, np.cumsum([len(polygon) for polygon in polygons])[:-1])


def _draw_text(canvas: Image, text: TextInstance, color: tuple[int, int, int]) -> None:
    """Draw a text's outline, and its score above its upper left corner, onto a BGR image, in place."""
    size = max(canvas.shape[:2])
    thickness = max(1, round(size / 400))
    corners = np.rint(text.polygon * 16).astype(np.int32)
    cv2.polylines(canvas, [corners], True, color, thickness, cv2.LINE_AA, 4)
    corner = text.polygon[text.polygon.sum(axis=1).argmin()]
    scale = max(0.35, size / 2000)
    origin = round(float(corner[0])), round(float(corner[1])) - 2 * thickness
    for stroke, ink in ((3 * thickness, (255, 255, 255)), (thickness, color)):
        cv2.putText(canvas, f"{text.score:.2f}", origin, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, stroke, cv2.LINE_AA)
