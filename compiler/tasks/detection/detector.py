"""What tasks that look at whole images have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks import Result
from compiler.tasks.nms import SelectionConfig, detections
from compiler.tasks.resizing import Placement
from compiler.tasks.whole_image import PreparedImages, WholeImageTask

if TYPE_CHECKING:
    from compiler.config.sizes import Size

Floats = NDArray[np.float32]


class Found(Result, Protocol):
    """Something that was found in a box."""

    @property
    def box(self) -> Floats:
        """`[4]`, x1, y1, x2, y2 in pixels of the image."""

    @property
    def score(self) -> float:
        """How sure the network is, from 0 to 1."""

    @property
    def item(self) -> int:
        """Which image of the batch it is in."""


FoundT = TypeVar("FoundT", bound=Found)


class Detector(WholeImageTask[FoundT]):
    """What tasks that look at whole images have in common; its fields are those of the dataclasses that derive from it.

    The network's outputs are `dets` `[n, max, 5]` and `labels` `[n, max]`, or with the `host` tail `boxes` `[n, m, 4]`
    and `scores` `[n, m, c]`; and after them those in `extras`, `[n, max, ...]` or `[n, m, ...]`.
    """

    extras: ClassVar[tuple[str, ...]] = ()
    """Names of what is found about each object beside its box and class."""

    tail: str
    test_cfg: SelectionConfig

    def __post_init__(self) -> None:
        if self.tail not in ("native", "plugin", "host"):
            raise ValueError(f"tail is {self.tail}, and must be native, plugin or host")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        return (*(("boxes", "scores") if self.tail == "host" else ("dets", "labels")), *self.extras)

    @abstractmethod
    def found(self, box: Floats, score: float, label: int, item: int, extras: list[Floats]) -> FoundT:
        """Return one result; its box, and points among its extras, are in pixels of the image."""

    def decode(self, outputs: Tensors, prepared: PreparedImages) -> list[FoundT]:
        """Return what was found, image by image and the best first; see `Task.decode`."""
        dets, labels, *extras = self.selected(outputs)
        if not len(dets) == len(labels) == len(prepared.placements):
            raise ValueError(f"there are detections for {len(dets)} images, and {len(prepared.placements)} images")
        results = []
        for item, (placement, size) in enumerate(zip(prepared.placements, prepared.sizes, strict=True)):
            rows = np.flatnonzero(labels[item] >= 0)
            for row in rows[np.argsort(-dets[item, rows, 4], kind="stable")]:
                corners = self.in_input(dets[item, row, :4], prepared.tensors["input"].shape[2:])
                box = np.clip(placement.to_image(corners.reshape(1, 2, 2)).reshape(4), 0, np.array(size * 2))
                if (box[2:] <= box[:2]).any():
                    continue  # it lies in the padding
                score, label = float(dets[item, row, 4]), int(labels[item, row])
                about = [self.extra_to_image(extra[item, row], placement) for extra in extras]
                results.append(self.found(box.astype(np.float32), score, label, item, about))
        return results

    def in_input(self, box: Floats, size: Size) -> Floats:
        """Return a box within the network's input of that height and width: an MMDetection head has clipped it."""
        return box

    def extra_to_image(self, extra: Floats, placement: Placement) -> Floats:
        """Return an extra in pixels of the image."""
        return extra

    def selected(self, outputs: Tensors) -> list[NDArray[Any]]:
        """Detections, labels and extras of all images, whichever tail the network has."""
        first, second, *extras = (outputs[name] for name in self.outputs)
        if first.ndim != 3 or first.shape[2] != (4 if self.tail == "host" else 5):
            raise ValueError(f"{self.outputs[0]} is {list(first.shape)}, which are no boxes")
        if self.tail != "host":
            return [first, second, *extras]
        config = self.test_cfg
        dets, labels, indices = detections(first, second, config.iou_threshold, config.max_per_img)
        images = np.arange(len(dets))[:, None]
        chosen = [extra[images, indices] for extra in extras]
        for extra in chosen:
            extra[indices < 0] = 0
        return [dets, labels, *chosen]
