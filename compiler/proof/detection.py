"""How detectors are proven: their detections paired with those of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.proof.pairing import Detected, pair
from compiler.proof.whole_image import WholeImageProof
from compiler.selection.nms import overlaps
from compiler.tasks.detection.detector import Detector, FoundT
from compiler.tasks.detection.task import Detection, ObjectDetection

Array = NDArray[Any]


@dataclass(frozen=True)
class DetectorProof(WholeImageProof[FoundT]):
    """What the proofs of all detectors have in common."""

    task: Detector[FoundT]

    def comparable(self, outputs: Tensors, like: Tensors) -> Tensors:
        """Detections in the order of the reference; see `TaskProof.comparable`.

        Scores that are nearly equal may swap places, and where an overlap is just the threshold either box may be kept:
        a detection of the reference that only rounding decided about counts as found, see `pair`.
        """
        found, reference = self.task.selected(outputs), self.task.selected(like)
        images = [
            self._in_order(_of_image(found, item), _of_image(reference, item)) for item in range(len(found["dets"]))
        ]
        ordered = {name: np.stack([image[name] for image in images]).astype(np.float32) for name in found}
        dets = ordered["dets"]
        # What is selected are the best scores among many near zero: alone, their spread would be no measure.
        scores = np.stack([dets[..., 4], np.zeros_like(dets[..., 4])], axis=-1)
        extras = {name: ordered[name] for name in self.task.extras}
        return {"boxes": dets[..., :4], "scores": scores, "labels": ordered["labels"], **extras}

    def matched(self, a: Sequence[FoundT], b: Sequence[FoundT]) -> tuple[list[tuple[FoundT, FoundT]], bool]:
        """Which results of two lists are the same objects, and whether each list has all of the other's.

        Results that are less than a pixel wide or high are left out, and those that only rounding decided about.
        """
        couples, are_complete = [], True
        for item in {one.item for one in (*a, *b)}:
            sides = [
                [one for one in side if one.item == item and (np.ptp(one.box.reshape(2, 2), axis=0) >= 1).all()]
                for side in (a, b)
            ]
            detected = [
                self._detected(
                    np.array([one.box for one in side]).reshape(-1, 4),
                    np.array([one.score for one in side]),
                    np.array([self.group(one) for one in side]),
                )
                for side in sides
            ]
            pairing = pair(detected[0], detected[1], self.task.test_cfg)
            couples += [(sides[0][one], sides[1][other]) for one, other in pairing.pairs]
            are_complete &= not any(map(np.any, pairing.unpaired()))
        return couples, are_complete

    def group(self, result: FoundT) -> int:
        """What tells apart results that do not exclude each other where they overlap."""
        return 0

    def _in_order(self, found: Tensors, like: Tensors) -> Tensors:
        """One image's detections, labels and extras in the order of a reference's."""
        found, ordered = _padding_last(found), _padding_last(like)
        detected = []
        for side in (found, ordered):
            dets, labels = (side[name][side["labels"] >= 0] for name in ("dets", "labels"))
            detected.append(self._detected(dets[:, :4], dets[:, 4], labels))
        pairing = pair(detected[0], detected[1], self.task.test_cfg)
        left, missing = pairing.unpaired()
        # What one of them lacks meets what the other has instead, or its padding.
        rows = [*np.flatnonzero(left), *range(len(left), len(found["dets"]))]
        places = [*np.flatnonzero(missing), *range(len(missing), len(ordered["dets"]))]
        for row, place in (*pairing.pairs, *zip(rows, places, strict=False)):
            for name, tensor in ordered.items():
                tensor[place] = found[name][row]
        return ordered

    def _detected(self, boxes: Array, scores: Array, groups: Array) -> Detected:
        return Detected(boxes, scores, groups, is_full=len(boxes) == self.task.test_cfg.max_per_img)


@dataclass(frozen=True)
class ObjectDetectionProof(DetectorProof[Detection]):
    """Objects, compared by the overlap of their boxes."""

    unit: ClassVar[str] = "1 - IoU"

    task: ObjectDetection

    def difference(self, a: Sequence[Detection], b: Sequence[Detection]) -> float:
        """The largest 1 - IoU between an object in `a` and the same in `b`; 1 where one of them lacks it."""
        couples, are_complete = self.matched(a, b)
        if not are_complete:
            return 1.0
        return max((float(1 - overlaps(one.box, other.box)) for one, other in couples), default=0.0)

    def group(self, result: Detection) -> int:
        """The label: objects of different classes do not exclude each other."""
        return result.label


def _of_image(found: Tensors, item: int) -> Tensors:
    return {name: tensor[item] for name, tensor in found.items()}


def _padding_last(found: Tensors) -> Tensors:
    """A copy of one image's detections, labels and extras, with the rows whose label is -1 at the end."""
    order = np.argsort(found["labels"] < 0, kind="stable")
    return {name: tensor[order] for name, tensor in found.items()}
