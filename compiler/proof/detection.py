"""How detectors are proven: their detections paired with those of the reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.proof.candidates import compare_candidates
from compiler.proof.comparisons import Comparison
from compiler.proof.pairing import Detected, are_tied, pair
from compiler.proof.ties import Judgement, Selecting, judge, judge_outputs
from compiler.proof.whole_image import WholeImageProof
from compiler.selection.nms import overlaps
from compiler.tasks.detection.detector import Detector, Found, FoundT
from compiler.tasks.detection.task import Detection, ObjectDetection
from compiler.tasks.whole_image import PreparedImages

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
        found, reference = (self._within_reach(self.task.selected(side)) for side in (outputs, like))
        images = [
            self._in_order(_of_image(found, item), _of_image(reference, item)) for item in range(len(found["dets"]))
        ]
        ordered = {name: np.stack([image[name] for image in images]) for name in found}
        dets = ordered["dets"].astype(np.float32)
        # What is selected are the best scores among many near zero: alone, their spread would be no measure.
        scores = np.stack([dets[..., 4], np.zeros_like(dets[..., 4])], axis=-1)
        extras = {name: ordered[name].astype(np.float32) for name in self.task.extras}
        return {"boxes": dets[..., :4], "scores": scores, "labels": ordered["labels"].astype(np.int64), **extras}

    def count(self, outputs: Tensors) -> int:
        """The numbers of what was selected; its padding says nothing."""
        found = self.task.selected(outputs)
        rows = int((found["labels"] >= 0).sum())
        items, places = found["labels"].shape
        return rows * sum(tensor.size // (items * places or 1) for tensor in found.values())

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of the score, and of the objectness."""
        return self.task.test_cfg.score_thr, self.task.test_cfg.conf_thr

    def is_tied(self, outputs: Tensors) -> bool:
        """Whether many of the detections score what others do; see `TaskProof.is_tied`."""
        found = self.task.selected(outputs)
        images = zip(found["dets"], found["labels"], strict=True)
        return are_tied(dets[labels >= 0, 4] for dets, labels in images)

    def compare_candidates(self, reference: Tensors, pool: Tensors, size: str = "") -> list[Comparison]:
        """See `TaskProof`."""
        return compare_candidates(reference, pool, self.reach, size)

    def judge_selection(
        self, reference: Tensors, stage: Selecting, prepared: PreparedImages, margin: float
    ) -> Judgement:
        """See `TaskProof`."""
        return judge(self, reference, stage, prepared, margin)

    def judge_outputs(self, reference: Tensors, stage: Selecting, margin: float) -> Judgement:
        """See `TaskProof`."""
        return judge_outputs(self, reference, stage, margin)

    def decoded_difference(self, reference: Tensors, found: Tensors, prepared: PreparedImages) -> float:
        """See `TaskProof`. What decoding drops, such as boxes in the padding, had taken its place in the selection."""
        full = tuple(
            frozenset(np.flatnonzero((self.task.selected(outputs)["labels"] >= 0).all(axis=1)).tolist())
            for outputs in (reference, found)
        )
        return self.difference(self.decode(reference, prepared), self.decode(found, prepared), full)

    @abstractmethod
    def difference(self, a: Sequence[FoundT], b: Sequence[FoundT], full: Sequence[frozenset[int]] = ()) -> float:
        """See `TaskProof`.

        Args:
            a: Results.
            b: Those to compare them with.
            full: For each list, the items in which there may have been more than were selected; without any, those that
                have as many as can be.
        """

    def matched(
        self, a: Sequence[FoundT], b: Sequence[FoundT], full: Sequence[frozenset[int]] = ()
    ) -> tuple[list[tuple[FoundT, FoundT]], bool]:
        """Which results of two lists are the same objects, and whether each list has all of the other's.

        Results that are less than a pixel wide or high are left out, and those that only rounding decided about.
        """
        couples, are_complete = [], True
        for item in {one.item for one in (*a, *b)}:
            sides = [[one for one in side if one.item == item] for side in (a, b)]
            detected = [
                self._detected(
                    np.array([one.box for one in side]).reshape(-1, 4),
                    np.array([one.score for one in side]),
                    np.array([self.group(one) for one in side]),
                    is_full=item in full[which] if full else None,
                )
                for which, side in enumerate(sides)
            ]
            pairing = pair(detected[0], detected[1], self.task.test_cfg)
            couples += [
                (sides[0][one], sides[1][other])
                for one, other in pairing.pairs
                if _is_wide(sides[0][one]) and _is_wide(sides[1][other])
            ]
            alone = zip(sides, pairing.unpaired(), strict=True)
            are_complete &= not any(_is_wide(side[row]) for side, lone in alone for row in np.flatnonzero(lone))
        return couples, are_complete

    def group(self, result: FoundT) -> int:
        """What tells apart results that do not exclude each other where they overlap."""
        return 0

    def _within_reach(self, found: Tensors) -> Tensors:
        """Detections without what of their boxes lies far outside of the input, which nobody sees.

        Sizes are exponentials of what a network gives: one box that is huge would be the measure of all others.
        """
        dets, reach = found["dets"].copy(), self.reach
        dets[..., :4] = np.clip(dets[..., :4], -reach, 2 * reach)
        return {**found, "dets": dets}

    @property
    @abstractmethod
    def reach(self) -> int:
        """The longest side of the network's input that an image may fill, in pixels."""

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

    def _detected(self, boxes: Array, scores: Array, groups: Array, is_full: bool | None = None) -> Detected:
        has_most = len(boxes) == self.task.test_cfg.max_per_img
        return Detected(boxes, scores, groups, has_most if is_full is None else is_full)


@dataclass(frozen=True)
class ObjectDetectionProof(DetectorProof[Detection]):
    """Objects, compared by the overlap of their boxes."""

    unit: ClassVar[str] = "1 - IoU"
    limit: ClassVar[float] = 0.1
    things: ClassVar[str] = "objects"

    task: ObjectDetection

    def difference(self, a: Sequence[Detection], b: Sequence[Detection], full: Sequence[frozenset[int]] = ()) -> float:
        """The largest 1 - IoU between an object in `a` and the same in `b`; 1 where one of them lacks it."""
        couples, are_complete = self.matched(a, b, full)
        if not are_complete:
            return 1.0
        return max((float(1 - overlaps(one.box, other.box)) for one, other in couples), default=0.0)

    @property
    def reach(self) -> int:
        """What images are resized to at most."""
        return max(*self.task.scale, *(self.task.pad_size or ()))

    def group(self, result: Detection) -> int:
        """The label: objects of different classes do not exclude each other."""
        return result.label


def _is_wide(result: Found) -> bool:
    """Whether a result is a pixel wide and high, at least: rounding decides whether what is narrower is there."""
    return bool((np.ptp(result.box.reshape(2, 2), axis=0) >= 1).all())


def _of_image(found: Tensors, item: int) -> Tensors:
    return {name: tensor[item] for name, tensor in found.items()}


def _padding_last(found: Tensors) -> Tensors:
    """A copy of one image's detections, labels and extras, with the rows whose label is -1 at the end."""
    order = np.argsort(found["labels"] < 0, kind="stable")
    return {name: tensor[order] for name, tensor in found.items()}
