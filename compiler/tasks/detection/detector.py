"""What tasks that look at whole images have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.selection import SelectionConfig, output_names
from compiler.selection.nms import select
from compiler.tasks import Result
from compiler.tasks.detection.pairing import Detected, pair
from compiler.tasks.resizing import Placement
from compiler.tasks.sdk import pipeline
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

# What the SDK's decoder is handed beside the network's outputs, as MMDeploy lists it for detectors.
_SDK_META_KEYS = (
    "ori_shape", "scale_factor", "img_norm_cfg", "pad_param", "img_shape", "ori_filename", "img_id", "filename",
    "flip", "flip_direction", "pad_shape", "valid_ratio", "img_path",
)  # fmt: skip


class Detector(WholeImageTask[FoundT]):
    """What tasks that look at whole images have in common; its fields are those of the dataclasses that derive from it.

    The network's outputs are `dets` `[n, max, 5]` and `labels` `[n, max]`, or with the `host` tail `boxes` `[n, m, 4]`
    and `scores` `[n, m, c]`; and after them the `extras`, `[n, max, ...]` or `[n, m, ...]`, by name.
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
        """Return what was found, image by image and the best first; see `Task.decode`."""
        found = self._selected(outputs)
        dets, labels = found["dets"], found["labels"]
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
                extras = {name: found[name][item, row] for name in self.extras}
                results.append(self.found(box.astype(np.float32), score, label, item, extras, placement))
        return results

    def in_input(self, box: Floats, size: Size) -> Floats:
        """Return a box within the network's input of that height and width: an MMDetection head has clipped it."""
        return box

    def _selected(self, outputs: Tensors) -> Tensors:
        """The detections, their labels and extras, by name, whichever tail the network has."""
        given = {name: outputs[name] for name in self.outputs}
        first, *_ = given.values()
        if first.ndim != 3 or first.shape[2] != (4 if self.tail == "host" else 5):
            raise ValueError(f"{self.outputs[0]} is {list(first.shape)}, which are no boxes")
        return select(given, self.test_cfg) if self.tail == "host" else given

    def comparable(self, outputs: Tensors, like: Tensors) -> Tensors:
        """Return detections in the order of the reference; see `Task.comparable`.

        Scores that are nearly equal may swap places, and where an overlap is just the threshold either box may be kept:
        a detection of the reference that only rounding decided about counts as found, see `pair`.
        """
        found, reference = self._selected(outputs), self._selected(like)
        images = [
            self._in_order(_of_image(found, item), _of_image(reference, item)) for item in range(len(found["dets"]))
        ]
        ordered = {name: np.stack([image[name] for image in images]).astype(np.float32) for name in found}
        dets = ordered["dets"]
        # What is selected are the best scores among many near zero: alone, their spread would be no measure.
        scores = np.stack([dets[..., 4], np.zeros_like(dets[..., 4])], axis=-1)
        extras = {name: ordered[name] for name in self.extras}
        return {"boxes": dets[..., :4], "scores": scores, "labels": ordered["labels"], **extras}

    def _in_order(self, found: Tensors, like: Tensors) -> Tensors:
        """One image's detections, labels and extras in the order of a reference's."""
        found, ordered = _padding_last(found), _padding_last(like)
        detected = []
        for side in (found, ordered):
            dets, labels = (side[name][side["labels"] >= 0] for name in ("dets", "labels"))
            detected.append(self._detected(dets[:, :4], dets[:, 4], labels))
        pairing = pair(detected[0], detected[1], self.test_cfg)
        left, missing = pairing.unpaired()
        # What one of them lacks meets what the other has instead, or its padding.
        rows = [*np.flatnonzero(left), *range(len(left), len(found["dets"]))]
        places = [*np.flatnonzero(missing), *range(len(missing), len(ordered["dets"]))]
        for row, place in (*pairing.pairs, *zip(rows, places, strict=False)):
            for name, tensor in ordered.items():
                tensor[place] = found[name][row]
        return ordered

    def _detected(self, boxes: NDArray[Any], scores: NDArray[Any], groups: NDArray[Any]) -> Detected:
        return Detected(boxes, scores, groups, is_full=len(boxes) == self.test_cfg.max_per_img)

    def matched(self, a: Sequence[FoundT], b: Sequence[FoundT]) -> tuple[list[tuple[FoundT, FoundT]], bool]:
        """Return which results of two lists are the same objects, and whether each list has all of the other's.

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
            pairing = pair(detected[0], detected[1], self.test_cfg)
            couples += [(sides[0][one], sides[1][other]) for one, other in pairing.pairs]
            are_complete &= not any(map(np.any, pairing.unpaired()))
        return couples, are_complete

    def group(self, result: FoundT) -> int:
        """Return what tells apart results that do not exclude each other where they overlap."""
        return 0

    def sdk_pipeline_of(
        self, transforms: Sequence[Mapping[str, Any]], module: str, component: str, batched: bool
    ) -> dict[str, Any]:
        """Return what `pipeline.json` holds, given what turns a read image into a padded and normalised one.

        The engine has selected the detections: what the SDK still drops is padding, whose score is zero.
        """
        collect = {"type": "Collect", "meta_keys": list(_SDK_META_KEYS), "keys": ["img"]}
        steps = [
            {"type": "LoadImageFromFile", "backend_args": None},
            *transforms,
            {"type": "DefaultFormatBundle"},
            collect,
        ]
        config = self.test_cfg
        params: dict[str, Any] = {
            "nms_pre": config.nms_pre,
            "min_bbox_size": 0,
            # With an objectness, scores are multiplied by it after the threshold, and may fall below it.
            "score_thr": 0.0 if config.conf_thr else config.score_thr,
            "max_per_img": config.max_per_img,
        }
        if config.iou_threshold is not None:
            params["nms"] = {"type": "nms", "iou_threshold": config.iou_threshold}
        decoder = {"module": module, "component": component, "params": params}
        return pipeline(steps, self.sdk_model, decoder, batched)

    def sdk_post_processing(self) -> dict[str, Any]:
        """Return the `post_processing` of MMDeploy's `detail.json`."""
        config = self.test_cfg
        return {
            "score_threshold": config.score_thr,
            "confidence_threshold": config.conf_thr,
            # No overlap is above 1.
            "iou_threshold": 1.0 if config.iou_threshold is None else config.iou_threshold,
            "max_output_boxes_per_class": config.max_per_img,
            "pre_top_k": config.nms_pre,
            "keep_top_k": config.max_per_img,
            "background_label_id": -1,
        }


def _of_image(found: Tensors, item: int) -> Tensors:
    return {name: tensor[item] for name, tensor in found.items()}


def _padding_last(found: Tensors) -> Tensors:
    """A copy of one image's detections, labels and extras, with the rows whose label is -1 at the end."""
    order = np.argsort(found["labels"] < 0, kind="stable")
    return {name: tensor[order] for name, tensor in found.items()}
