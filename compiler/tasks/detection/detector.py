"""What tasks that look at whole images have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection import SelectionConfig, output_names
from compiler.selection.nms import select
from compiler.tasks import Result
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

    The outputs are `dets` `[n, max, 5]` and `labels` `[n, max]`; or with the `host` tail `boxes` `[n, m, 4]` and
    `scores` `[n, m, c]`, and with the `raw` one `factors` and `levels` `[n, m]` too. After them come the `extras`,
    `[n, max, ...]` or `[n, m, ...]`, by name.
    """

    extras: ClassVar[tuple[str, ...]] = ()
    """Names of what is found about each object beside its box and class."""

    tail: str
    test_cfg: SelectionConfig

    def __post_init__(self) -> None:
        output_names(self.tail, self.extras)  # which refuses another tail

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        return output_names(self.tail, self.extras)

    @abstractmethod
    def found(self, box: Floats, score: float, label: int, item: int, extras: Tensors, placement: Placement) -> FoundT:
        """One result.

        Args:
            box: `[4]`, in pixels of the image.
            score: From 0 to 1.
            label: Index of its class.
            item: Which image of the batch it is in.
            extras: What else was found about it, as the network gives it.
            placement: Where the image lies in the network's input.
        """

    def decode(self, outputs: Tensors, prepared: PreparedImages) -> list[FoundT]:
        """What was found, image by image and the best first; see `Task.decode`."""
        found = self.selected(self.within_images(outputs, prepared))
        dets, labels = found["dets"], found["labels"]
        if not len(dets) == len(labels) == len(prepared.placements):
            raise ValueError(f"there are detections for {len(dets)} images, and {len(prepared.placements)} images")
        results = []
        for item, (placement, size) in enumerate(zip(prepared.placements, prepared.sizes, strict=True)):
            rows = np.flatnonzero(labels[item] >= 0)
            rows = rows[np.argsort(-dets[item, rows, 4], kind="stable")]
            corners = self.in_input(dets[item, rows, :4], prepared.tensors["input"].shape[2:])
            boxes = np.clip(placement.to_image(corners.reshape(-1, 2, 2)).reshape(-1, 4), 0, np.array(size * 2))
            is_empty = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)  # it lies in the padding
            for row, box in zip(rows[~is_empty], boxes[~is_empty].astype(np.float32), strict=True):
                score, label = float(dets[item, row, 4]), int(labels[item, row])
                extras = {name: found[name][item, row] for name in self.extras}
                results.append(self.found(box, score, label, item, extras, placement))
        return results

    def within_images(self, outputs: Tensors, prepared: PreparedImages) -> Tensors:
        """The outputs, with candidates as a head leaves them that knows where in its input the images end."""
        return outputs

    def in_input(self, boxes: Floats, size: Size) -> Floats:
        """Boxes `[n, 4]` within the network's input of that height and width: an MMDetection head has clipped them."""
        return boxes

    def selected(self, outputs: Tensors) -> Tensors:
        """The detections, their labels and extras, by name, whichever tail the network has."""
        given = {name: outputs[name] for name in self.outputs}
        first, *_ = given.values()
        if first.ndim != 3 or first.shape[2] != (5 if self.tail == "native" else 4):
            raise ValueError(f"{self.outputs[0]} is {list(first.shape)}, which are no boxes")
        return given if self.tail == "native" else select(given, self.test_cfg)
