"""Two bundles, one after the other: what the first finds, the second looks at. Needs no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.ranges import between, check_range
from compiler.errors import CompileError, UsageError, nearest
from compiler.runtime import bundle
from compiler.runtime.stream import Stream, own_copy
from compiler.tasks import Result, Sample
from compiler.tasks.detection import Detection, ObjectDetection

if TYPE_CHECKING:
    from compiler.runtime.bundle import Predictor
    from compiler.runtime.text_spotting import TextSpotter
    from compiler.tasks.images import Image

ImageSource = str | PathLike[str] | NDArray[Any]
"""A file, or a BGR uint8 array `[h, w, 3]`."""
PERSON = "person"
"""What detectors call those whose key points are looked for, in COCO's names."""
TEXT_DETECTION, POSE = "text-detection", "pose-detection"


@dataclass(frozen=True)
class ChainOptions:
    """Which detections a second bundle looks at; the defaults are those of MMPose's `topdown_demo_with_mmdet.py`.

    Attributes:
        label: Name of their class; None for people, where the second finds key points, and else for every class.
        score_threshold: What they score more than.
        iou_threshold: How much of two may overlap, as intersection over union; of those that do more the best is kept.
    """

    label: str | None = None
    score_threshold: float = between(0, 1, default=0.3)
    iou_threshold: float = between(0, 1, default=0.3)

    def __post_init__(self) -> None:
        for name, field in self.__dataclass_fields__.items():
            check_range(getattr(self, name), field.metadata, f"chain.{name}")


DEFAULT_OPTIONS = ChainOptions()


@dataclass(frozen=True, eq=False)
class ChainedResult:
    """What was found of one object.

    Attributes:
        detection: The object, as the first bundle found it.
        result: What the second found in its box: for key points, a `compiler.tasks.pose.Pose`.
    """

    detection: Detection
    result: Any

    def to_dict(self) -> dict[str, Any]:
        """The second bundle's result as JSON can hold it, with what the first found as `detection`."""
        result: Result = self.result
        return {**result.to_dict(), "detection": self.detection.to_dict()}


class Chain(ABC):
    """Two bundles that look at an image one after the other."""

    @property
    @abstractmethod
    def streams(self) -> int:
        """How many images `stream` looks at at once."""

    @abstractmethod
    def __call__(self, source: ImageSource | Sequence[ImageSource]) -> list[Any]:
        """What is found in an image; of a list or a tuple, a list for each."""

    def stream(self, sources: Iterable[ImageSource]) -> Stream[ImageSource, list[Any]]:
        """The results of images, one after the other; see `Predictor.stream`."""
        return Stream(self, map(own_copy, sources), self.streams)


@dataclass(frozen=True)
class DetectionChain(Chain):
    """A detector, and a bundle that looks into the boxes of what it finds: call it with an image.

    Attributes:
        detector: Finds objects.
        second: Looks into their boxes.
        options: Which of them it looks at.

    Raises:
        CompileError: The first is no detector, the second looks into no boxes, or the detector knows no such class.
    """

    detector: Predictor
    second: Predictor
    options: ChainOptions = DEFAULT_OPTIONS

    def __post_init__(self) -> None:
        first, second = self.detector.task, self.second.task
        if not isinstance(first, ObjectDetection) or not second.takes_boxes:
            raise CompileError(
                "the second of two bundles looks at what the first finds",
                where="bundles",
                why=f"they do {first.name} and {second.name}",
                fix="give a detector, and then what looks into boxes, such as top-down pose estimation; or a detector "
                "of text, and then a recogniser",
            )
        if self.label is not None and self.label not in first.classes.names:
            raise UsageError(
                f"the detector finds no '{self.label}'",
                where="chain.label",
                why=f"it tells {len(first.classes.names)} classes apart",
                fix=f"chain.label=<name>: {nearest(self.label, first.classes.names)}",
            )

    @property
    def label(self) -> str | None:
        """The class of what the second looks at; None for every class."""
        is_pose = self.second.task.name == POSE
        return self.options.label if self.options.label is not None or not is_pose else PERSON

    def __call__(self, source: ImageSource | Sequence[ImageSource]) -> list[Any]:
        """What was found, the surest first; nothing where the detector finds nobody.

        Args:
            source: An image; of a list or a tuple, a list for each.

        Raises:
            CompileError: The image cannot be used.
        """
        if isinstance(source, list | tuple):
            return [self(one) for one in source]
        image = self.detector.task.read(source, limits=self.detector.limits).source
        chosen = self.chosen(self.detector(image))
        if not chosen:
            return []
        results = self.second(image, np.stack([one.box for one in chosen]))
        return [ChainedResult(*pair) for pair in zip(chosen, results, strict=True)]

    @property
    def streams(self) -> int:
        """How many images are looked at at once."""
        return min(self.detector.streams, self.second.streams)

    def chosen(self, found: Sequence[Detection]) -> list[Detection]:
        """Those of the detections that the second bundle looks at, the surest first."""
        options = self.options
        wanted = [one for one in found if one.score > options.score_threshold and self.label in (None, one.name)]
        boxes = np.array([[*one.box, one.score] for one in wanted], np.float32).reshape(-1, 5)
        return [wanted[row] for row in apart(boxes, options.iou_threshold)]

    def draw(self, source: ImageSource, results: Sequence[ChainedResult]) -> Image:
        """The image, BGR, with the second bundle's results drawn on it."""
        image = self.detector.task.read(source, limits=self.detector.limits).source
        return self.second.task.draw(Sample(image), [one.result for one in results])


def apart(boxes: NDArray[np.float32], iou_threshold: float) -> list[int]:
    """The rows of boxes of which none overlaps a better one, the best first: MMPose's `nms`, which counts both ends.

    Args:
        boxes: `[n, 5]`, x1, y1, x2, y2 and the score.
        iou_threshold: As much they may overlap, as intersection over union.
    """
    corners, areas = boxes[:, :4], np.prod(boxes[:, 2:4] - boxes[:, :2] + 1, axis=1)
    order, kept = boxes[:, 4].argsort()[::-1], []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(corners[best, :2], corners[rest, :2]), np.minimum(corners[best, 2:], corners[rest, 2:])
        shared = np.prod(np.maximum(0, high - low + 1), axis=1)
        order = rest[shared / (areas[best] + areas[rest] - shared) <= iou_threshold]
    return kept


def chain(first: Predictor, second: Predictor, options: ChainOptions | None = None) -> TextSpotter | DetectionChain:
    """Two open bundles as one: a detector and what looks into its boxes, or a detector of text and a recogniser.

    Args:
        first: Finds.
        second: Looks at what is found.
        options: Which detections it looks at; every text that is found is read.

    Raises:
        CompileError: The bundles do not go together.
        UsageError: There is no such choice.
    """
    if TEXT_DETECTION in (first.task.name, second.task.name):
        from compiler.runtime.text_spotting import TextSpotter

        if options is not None:
            raise UsageError("every text that is found is read", where="chain", fix="leave the options out")
        return TextSpotter(first, second)
    return DetectionChain(first, second, options or DEFAULT_OPTIONS)


def open_chain(
    first: str | PathLike[str],
    second: str | PathLike[str],
    modules: Collection[str] = (),
    *,
    options: ChainOptions | None = None,
    engine_code: bool = False,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    cache: str | PathLike[str] | None = None,
    streams: int = 1,
) -> TextSpotter | DetectionChain:
    """Open two bundles as one.

    Args:
        first: The bundle of a detector.
        second: That of what looks at what it finds.
        modules: See `compiler.runtime.open`, for both.
        options: See `chain`.
        engine_code: See `compiler.runtime.open`, for both.
        trust_changes: Likewise.
        limits: Likewise.
        cache: Likewise.
        streams: Likewise.

    Raises:
        CompileError: A bundle cannot be opened (see `compiler.runtime.open`), or they do not go together.
    """
    trusted = {"engine_code": engine_code, "trust_changes": trust_changes}
    return chain(*open_both(first, second, modules, limits=limits, cache=cache, streams=streams, **trusted), options)


def open_both(
    first: str | PathLike[str], second: str | PathLike[str], modules: Collection[str], **settings: Any
) -> tuple[Predictor, Predictor]:
    """Two bundles, open; see `compiler.runtime.open`."""
    return bundle.open(first, modules, **settings), bundle.open(second, modules, **settings)
