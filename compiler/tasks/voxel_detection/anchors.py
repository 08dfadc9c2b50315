"""Boxes as deviations from anchors: SECOND's head, which PointPillars has too (arXiv:1812.05784)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection.nms import suppress
from compiler.tasks.voxel_detection.boxes3d import Boxes3D, Floats, concatenate
from compiler.tasks.voxel_detection.decoder import Decoder, Places, best, sigmoid
from compiler.tasks.voxel_detection.nms import rotated_nms, rotated_overlaps

Integers = NDArray[np.int64]

_BOX = 7
_SMALL = 1e-6


@dataclass(frozen=True)
class AnchorGenerator:
    """Where anchors stand: OpenMMLab's `AlignedAnchor3DRangeGenerator` with one scale.

    Attributes:
        ranges: For each size, smallest and then largest x, y, z of the ground that anchors are spread over, in metres.
        sizes: Length, width and height of anchors.
        rotations: Angles about z that each size has, in radians.

    Raises:
        ValueError: There are not as many ranges as sizes, or none.
    """

    ranges: tuple[tuple[float, float, float, float, float, float], ...]
    sizes: tuple[tuple[float, float, float], ...]
    rotations: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (len(self.ranges) == len(self.sizes) > 0 and self.rotations):
            raise ValueError("there must be as many ranges as sizes, and at least one of them and one rotation")

    @property
    def anchors_per_place(self) -> int:
        """How many anchors stand in one place."""
        return len(self.sizes) * len(self.rotations)

    def anchors(self, indices: Integers, height: int, width: int) -> Floats:
        """Some of the anchors of a map, `[n, 7]` as boxes are.

        Args:
            indices: `[n]`, counted by rotation, then size, then column, then row.
            height: Rows of the map, along y.
            width: Columns of the map, along x.
        """
        shape = (height, width, len(self.sizes), len(self.rotations))
        rows, columns, kinds, turns = np.unravel_index(indices, shape)
        low, high = np.split(np.array(self.ranges)[kinds], 2, axis=1)
        # In the middle of each cell; of cells that are not flat, a box stands in the middle too.
        share = (np.stack([columns, rows, np.zeros_like(rows)], axis=1) + 0.5) / (width, height, 1)
        places = low + (high - low) * share
        angles = np.array(self.rotations)[turns, None]
        return np.concatenate([places, np.array(self.sizes)[kinds], angles], axis=1).astype(np.float32)


@dataclass(frozen=True)
class AnchorSelection:
    """Which boxes are kept: OpenMMLab's `test_cfg`.

    Attributes:
        use_rotate_nms: Whether overlaps are those of the turned boxes; else they are those of the boxes before that.
        nms_thr: A box is dropped if it overlaps a better one of its class by more, seen from above.
        score_thr: Boxes must score more.
        nms_pre: How many anchors are looked at, those whose best class scores most; below 1 all are.
        max_num: How many boxes are kept.

    Raises:
        ValueError: A threshold is not within 0 and 1, or no boxes are kept.
    """

    use_rotate_nms: bool = True
    nms_thr: float = 0.01
    score_thr: float = 0.1
    nms_pre: int = 100
    max_num: int = 50

    def __post_init__(self) -> None:
        if not all(0 <= threshold <= 1 for threshold in (self.nms_thr, self.score_thr)) or self.max_num < 1:
            raise ValueError("nms_thr and score_thr must be within 0 and 1, and max_num at least 1")


@dataclass(frozen=True)
class AnchorDecoder(Decoder):
    """Decodes `cls_score`, `bbox_pred` and `dir_cls_pred` as MMDetection3D's `Anchor3DHead` does.

    Attributes:
        anchor_generator: Where anchors stand.
        test_cfg: Which boxes are kept.
        dir_offset: Angle in radians from which directions are counted.
        dir_limit_offset: Share of a half turn by which angles may lie below it.
        use_direction_classifier: Whether the network says which of two directions a box faces.
    """

    anchor_generator: AnchorGenerator
    test_cfg: AnchorSelection
    dir_offset: float = -np.pi / 2
    dir_limit_offset: float = 0.0
    use_direction_classifier: bool = True

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: MMDeploy's."""
        names = ("cls_score", "bbox_pred", "dir_cls_pred")
        return names if self.use_direction_classifier else names[:2]

    def decode(self, outputs: Tensors, item: int, classes: int) -> Boxes3D:
        """The boxes of one item; see `Decoder.decode`."""
        count = self.anchor_generator.anchors_per_place
        channels = [len(outputs[name][item]) for name in self.outputs]
        per_anchor = [one // count for one in channels]
        if per_anchor[0] != classes or per_anchor[1] < _BOX or any(one % count for one in channels):
            shapes = ", ".join(f"{name} {list(outputs[name].shape)}" for name in self.outputs)
            raise ValueError(f"there are {count} anchors in each place and {classes} classes, and the outputs {shapes}")
        (chosen,) = self.places(outputs, item)
        _, _, *directions = self._by_anchor(outputs, item)
        facing = [one[np.divmod(chosen, count)].argmax(axis=1) for one in directions]
        return self._selected(*self._moved_at(outputs, item, chosen), facing)

    def places(self, outputs: Tensors, item: int) -> Places:
        """The best anchors; see `Decoder.places`."""
        logits, *_ = self._by_anchor(outputs, item)
        return [best(logits.max(axis=2).ravel(), self.test_cfg.nms_pre)]

    def at(self, outputs: Tensors, item: int, places: Places) -> Boxes3D:
        """A box for each anchor and class; see `Decoder.at`."""
        (chosen,) = places
        boxes, scores = self._moved_at(outputs, item, chosen)
        count, classes = scores.shape
        return Boxes3D(np.repeat(boxes, classes, axis=0), scores.ravel(), np.tile(np.arange(classes), count))

    @property
    def threshold(self) -> float:
        """See `Decoder.threshold`."""
        return self.test_cfg.score_thr

    def _by_anchor(self, outputs: Tensors, item: int) -> list[NDArray[np.floating[Any]]]:
        """The outputs as `[places, anchors, numbers]`; views, for of the anchors only few are looked at."""
        count = self.anchor_generator.anchors_per_place
        maps = [outputs[name][item] for name in self.outputs]
        return [one.reshape(count, -1, one[0].size).transpose(2, 0, 1) for one in maps]

    def _moved_at(self, outputs: Tensors, item: int, chosen: Integers) -> tuple[Floats, Floats]:
        """The boxes of some anchors, `[n, 7 or more]`, and their scores `[n, classes]`."""
        logits, deltas, *_ = self._by_anchor(outputs, item)
        at = np.divmod(chosen, self.anchor_generator.anchors_per_place)
        height, width = outputs[self.outputs[0]].shape[2:]
        return _moved(self.anchor_generator.anchors(chosen, height, width), deltas[at]), sigmoid(logits[at])

    def _selected(self, boxes: Floats, scores: Floats, facing: list[Integers]) -> Boxes3D:
        """The boxes of all classes that are kept, given `[n, 7]` candidates and their scores `[n, classes]`."""
        config = self.test_cfg
        turned = self._facing(boxes, *facing) if facing else boxes
        by_class = []
        for label, values in enumerate(scores.T):
            (rows,) = np.nonzero(values > config.score_thr)
            # Which way a box faces changes nothing about what it covers, but rounding does.
            rows = rows[self._suppressed(boxes[rows], values[rows])]
            by_class.append(Boxes3D(turned[rows], values[rows], np.full(len(rows), label)))
        found = concatenate(by_class)
        return found[best(found.scores, config.max_num)] if len(found) > config.max_num else found

    def _suppressed(self, boxes: Floats, scores: Floats) -> Integers:
        config, rectangles = self.test_cfg, boxes[:, [0, 1, 3, 4, 6]]
        if config.use_rotate_nms:
            return rotated_nms(rectangles, scores, config.nms_thr)
        center, half = rectangles[:, :2], rectangles[:, 2:4] / 2
        return suppress(np.hstack([center - half, center + half]), scores, config.nms_thr, len(boxes))

    def _facing(self, boxes: Floats, directions: Integers) -> Floats:
        """Boxes turned by half turns, so that each faces the one of two directions that the network says."""
        angles = boxes[:, 6] - self.dir_offset
        within = angles - np.floor(angles / np.pi + self.dir_limit_offset) * np.pi
        turned = boxes.copy()
        turned[:, 6] = within + self.dir_offset + np.pi * directions.astype(np.float32)
        return turned

    def exclusion(self, a: Boxes3D, b: Boxes3D) -> NDArray[np.float64]:
        """The overlaps of boxes of one class, over the threshold; see `Decoder.exclusion`."""
        same = a.labels[:, None] == b.labels[None]
        overlaps = rotated_overlaps(a.rectangles, b.rectangles) * same
        return np.asarray(overlaps / max(self.test_cfg.nms_thr, _SMALL))

    def lowest(self, boxes: Boxes3D, label: int) -> float:
        """The threshold, or of a full list the lowest score; see `Decoder.lowest`."""
        return float(boxes.scores.min()) if len(boxes) == self.test_cfg.max_num else self.threshold


def _moved(anchors: Floats, deltas: NDArray[np.floating[Any]]) -> Floats:
    """The boxes that deviate from anchors `[n, 7]` by `[n, 7 or more]`; what follows is the velocity."""
    place, size, angle = anchors[:, :3], anchors[:, 3:6], anchors[:, 6:]
    diagonal = np.hypot(size[:, :1], size[:, 1:2])
    with np.errstate(over="ignore"):  # what a network says may be endless
        sizes = np.exp(deltas[:, 3:6]) * size
    ground = deltas[:, :2] * diagonal + place[:, :2]
    middle = deltas[:, 2:3] * size[:, 2:] + place[:, 2:] + size[:, 2:] / 2
    bottom = middle - sizes[:, 2:] / 2
    return np.concatenate([ground, bottom, sizes, deltas[:, 6:7] + angle, deltas[:, 7:]], axis=1)
