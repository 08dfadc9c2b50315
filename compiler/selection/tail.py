"""The end of a detector's network: what chooses the best of its candidates, within the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true

from compiler.selection.boxes import clip_boxes
from compiler.selection.candidates import Candidates, found_rows, joined
from compiler.selection.config import SelectionConfig
from compiler.selection.operators import select
from compiler.selection.outputs import candidate_name, output_names


class DetectingNetwork(Protocol):
    """A network whose raw outputs it can decode itself, such as `SingleStageDetector`."""

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs."""

    def decode(self, outputs: tuple[Tensor, ...], height: int, width: int) -> tuple[Candidates, ...]:
        """Candidates."""


class DetectionTail(nn.Module):
    """Selects the best candidates as OpenMMLab's detectors do, and suppresses those that overlap a better one.

    What is selected is the same for either kind; they differ in where the suppression runs:

    - `native`: in the graph. Gives `dets` `[b, max_per_img, 5]` and `labels` `[b, max_per_img]`.
    - `host`: after the engine, in NumPy. Gives `boxes` `[b, n, 4]` and `scores` `[b, n, c]`, zero where not selected.
    - `raw`: the same, and nothing is selected in the graph: for engines that cannot look for the best. Gives all
      candidates, with what is left to do to them: `factors` and `levels`, `[b, n]`.

    What else the network finds about each box follows, by name: `[b, max_per_img, ...]`, or `[b, n, ...]`.

    Args:
        network: A detector: gives raw outputs for images `[b, 3, h, w]`, and decodes them to candidates.
        kind: `native`, `host` or `raw`.
        test_cfg: What `SelectionConfig` takes.
        clip: Clip the boxes of detections to the image, where the network has not clipped its candidates.
        image_size_input: Take the size of each image within the padded input too, and clip candidates to it before any
            is selected.

    Raises:
        ValueError: There is no such kind.
    """

    def __init__(
        self,
        network: DetectingNetwork,
        kind: str,
        test_cfg: Mapping[str, Any],
        *,
        clip: bool = False,
        image_size_input: bool = False,
    ) -> None:
        super().__init__()
        output_names(kind)  # which refuses another kind
        self.network = network
        self.kind = kind
        self.config = SelectionConfig(**test_cfg)
        self.clip = clip
        self.image_size_input = image_size_input

    def forward(self, images: Tensor, image_size: Tensor | None = None) -> tuple[Tensor, ...]:
        """The detections, or the selected candidates, of normalised images.

        Args:
            images: `[b, 3, h, w]`.
            image_size: `[b, 2]`, height and width of each without its padding; where `image_size_input` is set.
        """
        height, width = images.shape[-2:]
        found = self.select(self.decode(images, image_size))
        if self.clip and self.kind == "native":
            dets = found["dets"]
            found["dets"] = torch.cat([clip_boxes(dets[..., :4], height, width), dets[..., 4:]], dim=-1)
        return tuple(found.values())

    def select(self, groups: Sequence[Candidates]) -> dict[str, Tensor]:
        """The detections, or the selected candidates, of all groups together: the network's outputs, in order."""
        if self.kind == "raw":
            return _raw(groups)
        candidates = joined([self._best(group) for group in groups])
        scores = self._thresholded(candidates, self.config.score_thr)
        boxes, extras = candidates.boxes, candidates.extras
        found = {"boxes": boxes, "scores": scores, **extras}
        if self.kind == "native":
            dets, labels, indices = select(boxes, scores, self.config.iou_threshold, self.config.max_per_img)
            selected = {name: found_rows(tensor, indices) for name, tensor in extras.items()}
            found = {"dets": dets, "labels": labels, **selected}
        return {name: found[name] for name in output_names(self.kind, extras)}

    def decode(self, images: Tensor, image_size: Tensor | None = None) -> tuple[Candidates, ...]:
        """All candidates, within the images where their sizes are given; see `forward`."""
        height, width = images.shape[-2:]
        groups = self.network.decode(self.network(images), height, width)
        if image_size is None:
            return groups
        edges = image_size[:, None].flip(-1).repeat(1, 1, 2)
        return tuple(replace(group, boxes=group.boxes.clamp(min=0).minimum(edges)) for group in groups)

    def candidates(self, images: Tensor, image_size: Tensor | None = None) -> dict[str, Tensor]:
        """What is selected from, see `forward`: each level as it is, and all that score as one.

        A graph holds either: where no level has too many, their best are not looked for. No score is too low in it.
        """
        groups = self.decode(images, image_size)
        named = {
            candidate_name(level, name): tensor
            for level, group in enumerate(groups)
            for name, tensor in group.tensors().items()
        }
        together = joined(groups)
        together = replace(together, scores=self._thresholded(together, 0.0), factors=None)
        return named | {candidate_name(None, name): tensor for name, tensor in together.tensors().items()}

    def _best(self, group: Candidates) -> Candidates:
        """Keep the boxes of the `nms_pre` best pairs of a box and a class; the scores of other pairs become zero."""
        limit = self.config.nms_pre
        if group.factors is not None and self.config.conf_thr > 0:
            scores = group.scores.where(group.factors[..., None] >= self.config.conf_thr, 0.0)
            group = replace(group, scores=scores)
        if _may_exceed(group.scores.shape[1], limit):
            # A pair among the best has a box that is among the best by its best class.
            best = group.scores.amax(dim=2)
            group = group.at(best.topk(_at_most(limit, best)).indices)
        batch, boxes, classes = group.scores.shape
        if _may_exceed(boxes * classes, limit):
            pairs = group.scores.reshape(batch, 1, boxes * classes)
            # Only the last of the best is looked at, and to sort tens of thousands takes longer than to find them.
            last = pairs.topk(_at_most(limit, pairs), sorted=False).values.amin(dim=2, keepdim=True)
            group = replace(group, scores=group.scores.where(group.scores >= last, 0.0))
        return group

    def _thresholded(self, candidates: Candidates, lowest: float) -> Tensor:
        """The scores; those that are too low, or of boxes that are too small or inverted, are zero."""
        scores = candidates.scores
        is_candidate = scores > lowest
        if self.config.min_bbox_size >= 0:
            upper_left, lower_right = candidates.boxes.chunk(2, dim=2)
            smaller_side = (lower_right - upper_left).amin(dim=2, keepdim=True)
            is_candidate = is_candidate & (smaller_side > self.config.min_bbox_size)
        if candidates.factors is not None:
            scores = scores * candidates.factors[..., None]
        return scores.where(is_candidate, 0.0)


def _raw(groups: Sequence[Candidates]) -> dict[str, Tensor]:
    """All candidates, with the factors and the level of each; computed from the scores, whose number may vary."""
    zeros = [group.scores.amax(dim=2) * 0 for group in groups]
    factors = [zero + 1 if group.factors is None else group.factors for group, zero in zip(groups, zeros, strict=True)]
    candidates = joined(groups)
    found = {
        "boxes": candidates.boxes,
        "scores": candidates.scores,
        "factors": torch.cat(factors, dim=1),
        "levels": torch.cat([zero + level for level, zero in enumerate(zeros)], dim=1),
        **candidates.extras,
    }
    return {name: found[name] for name in output_names("raw", candidates.extras)}


@contextmanager
def open_selection(network: nn.Module) -> Iterator[None]:
    """Let the tails of a network select from all of their candidates for a while: no score is too low."""
    tails = [module for module in network.modules() if isinstance(module, DetectionTail)]
    configs = [tail.config for tail in tails]
    try:
        for tail in tails:
            tail.config = replace(tail.config, score_thr=0.0, conf_thr=0.0)
        yield
    finally:
        for tail, config in zip(tails, configs, strict=True):
            tail.config = config


def _may_exceed(count: int | torch.SymInt | Tensor, limit: int) -> bool:
    """Whether there may be more than a limit; a limit below 1 is none. To TorchScript any length may be another."""
    return limit > 0 and (isinstance(count, Tensor) or not statically_known_true(count <= limit))


def _at_most(limit: int, values: Tensor) -> int:
    """The limit, or how many values there are in each row where they are fewer."""
    length: Any = values.shape[-1]
    traced = isinstance(length, Tensor)  # by TorchScript, which follows lengths as tensors
    count: int = torch.minimum(length, torch.tensor(limit)) if traced else torch.sym_min(limit, length)  # type: ignore[no-untyped-call,assignment]
    return count
