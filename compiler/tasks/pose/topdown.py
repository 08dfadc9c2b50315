"""Key points of people, one crop a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks import ImageTask, Sample
from compiler.tasks.boxes import boxes_of
from compiler.tasks.crops import Crops, crops_around, to_tensor
from compiler.tasks.images import require_image
from compiler.tasks.pose.codecs import Codec
from compiler.tasks.pose.keypoints import Keypoints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compiler.config.sizes import SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pose:
    """The key points of one person.

    Attributes:
        keypoints: `[k, 2]`, x and y in pixels of the image.
        scores: `[k]`, how sure the network is of each; not a probability.
        box: `[4]`, the x1, y1, x2, y2 that the person was looked for in.
        names: `k`, what the points are called.
    """

    keypoints: Floats
    scores: Floats
    box: Floats
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The pose as JSON can hold it: `box`, `names`, `keypoints` and `scores` as lists."""
        return {
            "box": self.box.tolist(),
            "names": list(self.names),
            "keypoints": self.keypoints.tolist(),
            "scores": self.scores.tolist(),
        }


@dataclass(frozen=True, eq=False)
class PreparedPoses:
    """Crops of people, ready for the network.

    Attributes:
        tensors: `input`, `[n, 3, h, w]`.
        boxes: `[n, 4]`, what was cropped around.
        crops: Where the crops lie in the image.
    """

    tensors: dict[str, Floats]
    boxes: Floats
    crops: Crops


@dataclass(frozen=True)
class TopdownPose(ImageTask[PreparedPoses, Pose]):
    """Top-down pose estimation, as MMPose 1.3.2 does it.

    Attributes:
        input_size: Width and height of the network's input, in pixels.
        codec: How the network writes coordinates.
        keypoints: Which points it finds.
        padding: How much larger than the box the crop is.
        mean: Subtracted from the channels, in the order that the network sees them.
        std: What the channels are then divided by.
        to_rgb: Whether the network sees RGB.
        use_udp: Whether the first and last pixels of the crop lie on its edges (UDP, arXiv:1911.07524).
        flip_test: Average the outputs with those of the mirrored crop: slower and more accurate.
        shift_heatmap: Move the mirrored crop's heat maps one column to the right before that.
        score_threshold: Points that score less are not drawn.
        ignore_orientation: Whether files are not turned upright as their EXIF orientation says.

    Raises:
        ValueError: The codec is for another input size, a size, factor or deviation is not positive, or nobody says
            which points a flip test exchanges.
    """

    name: ClassVar[str] = "pose-detection"
    proof: ClassVar[str] = "compiler.proof.pose:TopdownPoseProof"
    result_class: ClassVar[type[Any] | None] = Pose

    input_size: tuple[int, int]
    codec: Codec
    keypoints: Keypoints
    padding: float = 1.25
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    to_rgb: bool = True
    use_udp: bool = False
    flip_test: bool = False
    shift_heatmap: bool = False
    score_threshold: float = 0.3
    ignore_orientation: bool = False

    def __post_init__(self) -> None:
        if self.codec.input_size != self.input_size:
            raise ValueError(f"input_size is {self.input_size}, and the codec's is {self.codec.input_size}")
        if min(*self.input_size, self.padding, *self.std) <= 0:
            raise ValueError("input_size, padding and std must be positive")
        if self.flip_test and self.keypoints.swap is None:
            raise ValueError("a flip test needs keypoints.swap: which points are left and right of each other")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: the codec's."""
        return self.codec.outputs

    def preprocess(self, sample: Sample[Image], sizes: SizeRange | None = None) -> PreparedPoses:
        """The crop around each box, normalised; see `Task.preprocess`. Every crop has the input's one size."""
        require_image(sample.source)
        chosen = boxes_of(sample)
        crops = crops_around(chosen, self.input_size, self.padding, self.use_udp)
        tensor = to_tensor(crops.warp(sample.source), self.mean, self.std, self.to_rgb)
        return PreparedPoses({"input": tensor}, chosen, crops)

    def decode(self, outputs: Tensors, prepared: PreparedPoses) -> list[Pose]:
        """One pose for each box, in their order; see `Task.decode`."""
        shape = (len(prepared.boxes), len(self.keypoints.names))
        for name in self.outputs:
            if outputs[name].shape[:2] != shape:
                raise ValueError(
                    f"{name} is {list(outputs[name].shape)}, and {shape[0]} boxes of {shape[1]} key points"
                )
        points, scores = self.codec.decode(outputs)
        located = prepared.crops.to_image(points)
        names = self.keypoints.names
        return [Pose(*fields, names) for fields in zip(located, scores, prepared.boxes, strict=True)]

    def infer(self, run: Callable[[Tensors], Tensors], tensors: Tensors) -> Tensors:
        """The outputs of `run`, averaged with those of the mirrored crops where `flip_test` is set."""
        outputs = run(tensors)
        return self.merge_flipped(outputs, run(self.flip(tensors))) if self.flip_test else outputs

    def flip(self, tensors: Tensors) -> dict[str, Floats]:
        """Mirror the crops from left to right."""
        return {"input": np.ascontiguousarray(tensors["input"][..., ::-1])}

    def merge_flipped(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, Floats]:
        """Average outputs with the outputs for the mirrored crops, mirrored back."""
        swap = self.keypoints.swap or range(len(self.keypoints.names))
        mirrored = self.codec.mirror(flipped_outputs, swap, self.shift_heatmap)
        return {name: (outputs[name] + mirrored[name]) * np.float32(0.5) for name in self.outputs}

    def draw(self, sample: Sample[Image], results: Sequence[Pose]) -> Image:
        """The image, and on it the boxes, and the points that score at least `score_threshold`."""
        canvas = sample.source.copy()
        height, width = canvas.shape[:2]
        radius = max(1.5, max(height, width) / 200)
        thickness = max(1, round(radius / 2))
        for pose in results:
            # The right and lower edges of the whole image lie one pixel beyond its last.
            x1, y1, x2, y2 = (round(float(edge)) for edge in np.minimum(pose.box, [width - 1, height - 1] * 2))
            cv2.rectangle(canvas, (x1, y1), (x2, y2), (255, 255, 255), thickness, cv2.LINE_AA)
            finite = np.isfinite(pose.keypoints).all(axis=1)
            self.keypoints.draw(
                canvas, pose.keypoints, (finite & (pose.scores >= self.score_threshold)).tolist(), radius
            )
        return canvas

    def sample_source(self) -> Path:
        """A photograph of one person, from the head to the waist."""
        return Path(__file__).parents[1] / "photographs" / "grace_hopper.jpg"
