"""Objects of known classes, in whole images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection import SelectionConfig
from compiler.tasks import ImageTask, Sample
from compiler.tasks.classes import Classes, color_of, draw_box
from compiler.tasks.crops import to_tensor
from compiler.tasks.detection.detector import Detector
from compiler.tasks.resizing import Placement, Scaled, multiple, resize, scaled_size
from compiler.tasks.whole_image import PreparedImages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.config.sizes import Size, SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]

IMAGE_SIZE = "image_size"
"""The network's second input, where it is given where the images end: `[b, 2]`, height and width."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One object.

    Attributes:
        box: `[4]`, x1, y1, x2, y2 in pixels of the image.
        score: How sure the network is, from 0 to 1.
        label: Index of its class.
        name: Its class.
        item: Which image of the batch it is in.
    """

    box: Floats
    score: float
    label: int
    name: str
    item: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The detection as JSON can hold it: its fields, with `box` as a list."""
        return {
            "box": self.box.tolist(),
            "score": self.score,
            "label": self.label,
            "name": self.name,
            "item": self.item,
        }


@dataclass(frozen=True)
class ObjectDetection(Detector[Detection]):
    """Detection of objects, as MMDetection 3.3.0 does it.

    Attributes:
        scale: What the longer and the shorter side of an image may become, in pixels, in any order.
        classes: Which objects it finds.
        test_cfg: Which candidates become detections.
        pad_size: Width and height that images are padded to; None pads no further than `pad_divisor` says.
        pad_divisor: Height and width of the network's input are multiples of it.
        pad_value: Level of the pixels that are padded, which are then normalised; None pads with 0 afterwards.
        mean: Subtracted from the channels, in the order that the network sees them.
        std: What the channels are then divided by.
        to_rgb: Whether the network sees RGB.
        clip_to_image: Whether MMDetection's head clips candidates to the image without its padding before it selects.
            The host does so too; a graph clips to the whole input, as MMDeploy's do, unless `image_size_input` is set.
        image_size_input: Whether the network, which selects, is given where each image ends, as a second input:
            `image_size`, height and width in pixels of the network's input.
        tail: Where candidates are selected: `native` in the network, `host` here.
        score_threshold: Detections that score less are not drawn.
        ignore_orientation: Whether files are not turned upright as their EXIF orientation says.

    Raises:
        ValueError: There is no such tail, or a size, divisor or deviation is not positive; or a network is given the
            images' sizes that does not clip to them, or does not select.
    """

    name: ClassVar[str] = "detection"
    proof: ClassVar[str] = "compiler.proof.detection:ObjectDetectionProof"
    result_class: ClassVar[type[Any] | None] = Detection

    scale: tuple[int, int]
    classes: Classes
    test_cfg: SelectionConfig
    pad_size: tuple[int, int] | None = None
    pad_divisor: int = 1
    pad_value: int | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    to_rgb: bool = True
    clip_to_image: bool = False
    image_size_input: bool = False
    tail: str = "native"
    score_threshold: float = 0.3
    ignore_orientation: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(*self.scale, *(self.pad_size or ()), self.pad_divisor, *self.std) <= 0:
            raise ValueError("scale, pad_size, pad_divisor and std must be positive")
        if self.image_size_input and not (self.clip_to_image and self.tail == "native"):
            raise ValueError("image_size_input is for tail=native and clip_to_image: with tail=host the host clips")

    @property
    def axes(self) -> Mapping[str, Mapping[int, str]]:  # type: ignore[override]
        """See `Task.axes`."""
        own = ImageTask.axes
        return {**own, IMAGE_SIZE: {0: "batch"}} if self.image_size_input else own

    def preprocess(self, sample: Sample[Image], sizes: SizeRange | None = None) -> PreparedImages:
        """The network's inputs; see `Task.preprocess`."""
        prepared = super().preprocess(sample, sizes)
        if not self.image_size_input:
            return prepared
        ends = image_ends(prepared)[:, ::-1].astype(np.float32)
        return replace(prepared, tensors={**prepared.tensors, IMAGE_SIZE: ends})

    def place(self, image: Image, sizes: SizeRange | None) -> tuple[Floats, Placement]:
        """Resize as MMDetection does, but never beyond what the engine takes, and pad on the right and below."""
        height, width = image.shape[:2]
        largest = (sizes.largest[1], sizes.largest[0]) if sizes else None
        resized, placement = resize(image, scaled_size((width, height), self.scale, largest))
        padded = self.padded_size(resized.shape[0], resized.shape[1], sizes)
        return to_tensor([resized], self.mean, self.std, self.to_rgb, padded, self.pad_value), placement

    def padded_size(self, height: int, width: int, sizes: SizeRange | None) -> Size:
        """Height and width of the network's input for an image that is resized to these."""
        least_width, least_height = self.pad_size or (0, 0)
        padded = [multiple(side, self.pad_divisor) for side in (max(height, least_height), max(width, least_width))]
        return sizes.fit(*padded) if sizes else tuple(padded)

    def within_images(self, outputs: Tensors, prepared: PreparedImages) -> Tensors:
        """The outputs; what of the candidates lies in the padding is cut off, or dropped where nothing is left."""
        if self.tail == "native" or not self.clip_to_image:
            return outputs
        boxes = np.clip(outputs["boxes"], 0, np.tile(image_ends(prepared), 2)[:, None]).astype(np.float32)
        sides = boxes[..., 2:] - boxes[..., :2]
        kept = np.asarray((sides > max(self.test_cfg.min_bbox_size, 0)).all(axis=-1))
        # Those of the raw tail are still to be ranked, by scores that know nothing of the padding.
        name, kept = ("factors", kept) if self.tail == "raw" else ("scores", kept[..., None])
        return {**outputs, "boxes": boxes, name: np.where(kept, outputs[name], 0).astype(np.float32)}

    def found(
        self, box: Floats, score: float, label: int, item: int, extras: Tensors, placement: Placement
    ) -> Detection:
        """One detection."""
        return Detection(box, score, label, self.classes.names[label], item)

    def draw(self, sample: Sample[Image], results: Sequence[Detection]) -> Image:
        """The image, and on it the detections that score at least `score_threshold`, the best on top."""
        canvas = sample.source.copy()
        for one in sorted(results, key=lambda one: one.score):
            if one.score >= self.score_threshold:
                draw_box(canvas, one.box, f"{one.name} {one.score:.2f}", color_of(one.label))
        return canvas

    def sample_source(self) -> Path:
        """A photograph of a cup and a spoon on a table."""
        return Path(__file__).parents[1] / "photographs" / "coffee.jpg"


def image_ends(prepared: PreparedImages) -> NDArray[np.float64]:
    """Where scaled images end in the upper left of the network's input, `[n, 2]`: width and height."""
    scaled = zip(prepared.placements, prepared.sizes, strict=True)
    ends = [np.multiply(size, placement.factors) for placement, size in scaled if isinstance(placement, Scaled)]
    return np.asarray(np.rint(ends), np.float64).reshape(-1, 2)
