"""Key points of all people in an image at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection import SelectionConfig
from compiler.tasks import Sample
from compiler.tasks.classes import draw_box
from compiler.tasks.crops import to_tensor
from compiler.tasks.detection.detector import Detector
from compiler.tasks.pose.keypoints import Keypoints
from compiler.tasks.resizing import Placement, letterbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.config.sizes import Size, SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]

_BOX_COLOR = (70, 70, 70)


@dataclass(frozen=True, eq=False)
class PersonPose:
    """A person and their key points.

    Attributes:
        box: `[4]`, x1, y1, x2, y2 in pixels of the image.
        score: How sure the network is of the person, from 0 to 1.
        keypoints: `[k, 2]`, x and y in pixels of the image; they may lie outside it.
        scores: `[k]`, how sure the network is that each is visible, from 0 to 1.
        item: Which image of the batch the person is in.
        names: `k`, what the points are called.
    """

    box: Floats
    score: float
    keypoints: Floats
    scores: Floats
    item: int = 0
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The person as JSON can hold it: its fields, with arrays as lists."""
        return {
            "box": self.box.tolist(),
            "score": self.score,
            "names": list(self.names),
            "keypoints": self.keypoints.tolist(),
            "scores": self.scores.tolist(),
            "item": self.item,
        }


@dataclass(frozen=True)
class BottomupPose(Detector[PersonPose]):
    """Detection of people with their key points in one step, as MMPose 1.3.2's YOLOX-Pose does it (arXiv:2204.06806).

    Attributes:
        input_size: Width and height that images are laid into, where the engine takes them.
        keypoints: Which points it finds.
        test_cfg: Which candidates become detections.
        pad_value: Level of the pixels around the image.
        mean: Subtracted from the channels, in the order that the network sees them.
        std: What the channels are then divided by.
        to_rgb: Whether the network sees RGB.
        tail: Where candidates are selected: `native` in the network, `host` here.
        score_threshold: People and points that score less are not drawn.
        ignore_orientation: Whether files are not turned upright as their EXIF orientation says.

    Raises:
        ValueError: There is no such tail, or a size or deviation is not positive.
    """

    name: ClassVar[str] = "pose-detection"
    proof: ClassVar[str] = "compiler.proof.pose:BottomupPoseProof"
    result_class: ClassVar[type[Any] | None] = PersonPose
    extras: ClassVar[tuple[str, ...]] = ("keypoints",)

    input_size: tuple[int, int]
    keypoints: Keypoints
    test_cfg: SelectionConfig
    pad_value: int = 0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    to_rgb: bool = False
    tail: str = "native"
    score_threshold: float = 0.3
    ignore_orientation: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(*self.input_size, *self.std) <= 0:
            raise ValueError("input_size and std must be positive")

    def place(self, image: Image, sizes: SizeRange | None) -> tuple[Floats, Placement]:
        """Lay the image into the middle of the input."""
        height, width = self.input_shape(sizes)
        laid, placement = letterbox(image, (width, height), self.pad_value)
        return to_tensor([laid], self.mean, self.std, self.to_rgb), placement

    def input_shape(self, sizes: SizeRange | None) -> Size:
        """Height and width of the network's input."""
        width, height = self.input_size
        return sizes.fit(height, width) if sizes else (height, width)

    def in_input(self, boxes: Floats, size: Size) -> Floats:
        """The boxes without what lies outside the network's input: the head, as MMPose's, has not clipped them."""
        return np.clip(boxes, 0, np.array((size[1], size[0]) * 2)).astype(np.float32)

    def found(
        self, box: Floats, score: float, label: int, item: int, extras: Tensors, placement: Placement
    ) -> PersonPose:
        """One person; their key points are `[k, 3]` in the network's input."""
        points = extras["keypoints"]
        located = placement.to_image(points[None, :, :2])[0]
        return PersonPose(box, score, located, points[:, 2], item, self.keypoints.names)

    def draw(self, sample: Sample[Image], results: Sequence[PersonPose]) -> Image:
        """The image, and on it the people, and those of their points, that score at least `score_threshold`."""
        canvas = sample.source.copy()
        radius = max(1.5, max(canvas.shape) / 250)
        for person in sorted(results, key=lambda one: one.score):
            if person.score >= self.score_threshold:
                draw_box(canvas, person.box, f"{person.score:.2f}", _BOX_COLOR)
                finite = np.isfinite(person.keypoints).all(axis=1)
                visible = (finite & (person.scores >= self.score_threshold)).tolist()
                self.keypoints.draw(canvas, person.keypoints, visible, radius)
        return canvas

    def sample_source(self) -> Path:
        """A photograph of one person, from the head to the waist."""
        return Path(__file__).parents[1] / "photographs" / "grace_hopper.jpg"
