"""Tails: what follows a network's raw outputs within the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true

from compiler.networks.candidates import Candidates
from compiler.networks.layers.boxes import clip_boxes
from compiler.networks.layers.nms import efficient_nms, nms
from compiler.tasks.nms import SelectionConfig


class DetectingNetwork(Protocol):
    """A network whose raw outputs it can decode itself, such as `SingleStageDetector`."""

    def __call__(self, input: Tensor) -> tuple[Tensor, ...]:
        """Return raw outputs."""

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """Return candidates."""


class LastOutput(nn.Module):
    """The last of several outputs: what networks with intermediate supervision are decoded from.

    Args:
        network: Gives a tuple.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input: Tensor) -> tuple[Tensor]:
        """Return the last raw output for the normalised images `input`."""
        return (self.network(input)[-1],)


class DetectionTail(nn.Module):
    """Selects the best candidates as OpenMMLab's detectors do, and suppresses those that overlap a better one.

    What is selected is the same for every kind; they differ in where the suppression runs:

    - `native`: in the graph, as ONNX NonMaxSuppression. Gives `dets` `[b, max_per_img, 5]` and `labels`.
    - `plugin`: in the graph, as the one node EfficientNMS_TRT. Gives the same.
    - `host`: after the engine, in NumPy. Gives `boxes` `[b, n, 4]` and `scores` `[b, n, c]`, zero where not selected.

    Where candidates have key points, they are given too: `[b, max_per_img, k, 3]`, or `[b, n, k, 3]` for `host`.

    Args:
        network: A detector: gives raw outputs for images `[b, 3, h, w]`, and decodes them to candidates.
        kind: `native`, `plugin` or `host`.
        test_cfg: What `SelectionConfig` takes.
        clip: Clip the boxes of detections to the image, where the network has not clipped its candidates.

    Raises:
        ValueError: There is no such kind.
    """

    def __init__(
        self, network: DetectingNetwork, kind: str, test_cfg: Mapping[str, Any], *, clip: bool = False
    ) -> None:
        super().__init__()
        if kind not in ("native", "plugin", "host"):
            raise ValueError(f"kind {kind!r} is not supported, only native, plugin and host")
        self.network = network
        self.kind = kind
        self.config = SelectionConfig(**test_cfg)
        self.clip = clip

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """Return the detections, or the selected candidates, for the normalised images `input`."""
        height, width = input.shape[-2:]
        selected = self.select(self.network.decode(self.network(input), height, width))
        if not self.clip or self.kind == "host":
            return selected
        dets, *others = selected
        boxes = clip_boxes(dets[..., :4], height, width)
        return torch.cat([boxes, dets[..., 4:]], dim=-1), *others

    def select(self, groups: Sequence[Candidates]) -> tuple[Tensor, ...]:
        """Return the detections, or the selected candidates, of all groups together."""
        candidates = _joined([self._best(group) for group in groups])
        boxes, scores = candidates.boxes, self._thresholded(candidates)
        given = () if candidates.keypoints is None else (candidates.keypoints,)
        if self.kind == "host":
            return boxes, scores, *given
        limits = self.config.iou_threshold, self.config.max_per_img
        if self.kind == "plugin":
            dets, labels = efficient_nms(boxes, scores, *limits)
            return dets, labels
        dets, labels, indices = nms(boxes, scores, *limits)
        return dets, labels, *(_found_rows(tensor, indices) for tensor in given)

    def _best(self, group: Candidates) -> Candidates:
        """Keep the boxes of the `nms_pre` best pairs of a box and a class; the scores of other pairs become zero."""
        limit = self.config.nms_pre
        if group.factors is not None and self.config.conf_thr > 0:
            scores = group.scores.where(group.factors[..., None] >= self.config.conf_thr, 0.0)
            group = replace(group, scores=scores)
        if _may_exceed(group.scores.shape[1], limit):
            # A pair among the best has a box that is among the best by its best class.
            best = group.scores.amax(dim=2)
            group = _picked(group, best.topk(_at_most(limit, best)).indices)
        batch, boxes, classes = group.scores.shape
        if _may_exceed(boxes * classes, limit):
            pairs = group.scores.reshape(batch, 1, boxes * classes)
            # Only the last of the best is looked at, and to sort tens of thousands takes longer than to find them.
            last = pairs.topk(_at_most(limit, pairs), sorted=False).values.amin(dim=2, keepdim=True)
            group = replace(group, scores=group.scores.where(group.scores >= last, 0.0))
        return group

    def _thresholded(self, candidates: Candidates) -> Tensor:
        """Return the scores; those that are too low, or of boxes that are too small or inverted, are zero."""
        scores = candidates.scores
        is_candidate = scores > self.config.score_thr
        if self.config.min_bbox_size >= 0:
            upper_left, lower_right = candidates.boxes.chunk(2, dim=2)
            smaller_side = (lower_right - upper_left).amin(dim=2, keepdim=True)
            is_candidate = is_candidate & (smaller_side > self.config.min_bbox_size)
        if candidates.factors is not None:
            scores = scores * candidates.factors[..., None]
        return scores.where(is_candidate, 0.0)


def _may_exceed(count: int | torch.SymInt, limit: int) -> bool:
    """Tell whether there may be more than a limit; a limit below 1 is none."""
    return limit > 0 and not statically_known_true(count <= limit)


def _at_most(limit: int, values: Tensor) -> int:
    """Return the limit, or how many values there are in each row where they are fewer."""
    count: int = torch.sym_min(limit, values.shape[-1])  # type: ignore[no-untyped-call]
    return count


def _picked(group: Candidates, indices: Tensor) -> Candidates:
    """Return the candidates at indices `[b, k]`."""
    return Candidates(
        boxes=_rows(group.boxes, indices),
        scores=_rows(group.scores, indices),
        factors=None if group.factors is None else _rows(group.factors, indices),
        keypoints=None if group.keypoints is None else _rows(group.keypoints, indices),
    )


def _rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """Return the rows of `[b, n, ...]` at indices `[b, k]`."""
    index = indices.reshape(*indices.shape, *(1 for _ in tensor.shape[2:]))
    return tensor.gather(1, index.expand(-1, -1, *tensor.shape[2:]))


def _found_rows(tensor: Tensor, indices: Tensor) -> Tensor:
    """Return the rows of `[b, n, ...]` at indices `[b, k]`; those at -1 are zero."""
    rows = _rows(tensor, indices.clamp(min=0))
    return rows.where(indices.reshape(*indices.shape, *(1 for _ in tensor.shape[2:])) >= 0, 0.0)


def _joined(groups: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all groups as one."""
    if len(groups) == 1:
        return groups[0]
    factors = [group.factors for group in groups if group.factors is not None]
    keypoints = [group.keypoints for group in groups if group.keypoints is not None]
    return Candidates(
        boxes=torch.cat([group.boxes for group in groups], dim=1),
        scores=torch.cat([group.scores for group in groups], dim=1),
        factors=torch.cat(factors, dim=1) if factors else None,
        keypoints=torch.cat(keypoints, dim=1) if keypoints else None,
    )
