"""The verdict on a detector whose best candidates score the same: what it selects from, and if it does so rightly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compiler.artifact import Tensors
from compiler.proof.candidates import found_among, joined_levels, levels_of
from compiler.proof.comparisons import Comparison, compare
from compiler.proof.greedy import OWN, Margins, selection_faults
from compiler.proof.pairing import OVERLAP_MARGIN
from compiler.selection.nms import detections
from compiler.selection.outputs import JOINED

if TYPE_CHECKING:
    from compiler.proof.detection import DetectorProof
    from compiler.tasks.whole_image import PreparedImages

FEW = 0.25
"""The share of the detections that the order among equals may add or take away."""


@dataclass(frozen=True, eq=False)
class Selecting:
    """What a stage does with one input.

    Attributes:
        size: Of the input.
        outputs: What the stage gives.
        expected: What the network gives.
        pool: All that it computes before it selects anything; None where only its outputs are known.
    """

    size: str
    outputs: Tensors
    expected: Tensors
    pool: Tensors | None


@dataclass(frozen=True)
class Judgement:
    """What is thought of one stage and input.

    Attributes:
        comparisons: Of every candidate; of the detections where the candidates are not known.
        decoded: The largest difference of what the candidates that the network selects are decoded to.
        faults: What is wrong with the selection, in words.
        numbers: How many numbers were compared.
    """

    comparisons: tuple[Comparison, ...]
    decoded: float
    faults: tuple[str, ...]
    numbers: int


def judge(
    proof: DetectorProof[Any], reference: Tensors, stage: Selecting, prepared: PreparedImages, margin: float
) -> Judgement:
    """See `TaskProof.judge_selection`.

    Where a stage's candidates are known, they are held to the network's, and its detections to them. Where they are
    not, its detections are held to the network's candidates.
    """
    if stage.pool is None:
        return judge_outputs(proof, reference, stage, margin)
    selected = proof.task.selected(stage.outputs)
    counted = tuple(_count_faults(selected, proof.task.selected(stage.expected)))
    comparisons = proof.compare_candidates(reference, stage.pool, stage.size)
    if any(one.max_absolute_error == np.inf and one.cosine_similarity == 0 for one in comparisons):
        return Judgement(tuple(comparisons), np.inf, (), 0)  # some are missing
    own = found_among(stage.pool, reference)
    like = {name: reference[name] for name in own}
    decoded = _decoded_difference(proof, like, own, prepared)
    numbers = sum(tensor.size for tensor in own.values())
    return Judgement(tuple(comparisons), decoded, counted + _selection_faults(proof, selected, own, OWN), numbers)


def judge_outputs(proof: DetectorProof[Any], reference: Tensors, stage: Selecting, margin: float) -> Judgement:
    """See `TaskProof.judge_outputs`."""
    selected = proof.task.selected(stage.outputs)
    by_level = {name: tensor for name, tensor in reference.items() if not name.startswith(JOINED)}
    margins = Margins(margin, max(OVERLAP_MARGIN, 2 * margin), margin)
    faults = tuple(_count_faults(selected, proof.task.selected(stage.expected)))
    faults += _selection_faults(proof, selected, by_level, margins)
    scores = [one for one in compare(stage.expected, stage.outputs, proof, stage.size) if one.output == "scores"]
    return Judgement(tuple(scores), 0.0, faults, proof.count(stage.outputs))


def _count_faults(selected: Tensors, expected: Tensors) -> Iterator[str]:
    """Yield for which images there are many more or fewer detections than the network's: a few, the order decides."""
    counts = [(side["labels"] >= 0).sum(axis=1).tolist() for side in (selected, expected)]
    for item, (count, wanted) in enumerate(zip(*counts, strict=True)):
        if abs(count - wanted) > FEW * max(count, wanted):
            yield f"image {item}: there are {count} detections, and {wanted} of the network's"


def _selection_faults(
    proof: DetectorProof[Any], selected: Tensors, candidates: Tensors, margins: Margins
) -> tuple[str, ...]:
    config = proof.task.test_cfg
    if all(name.startswith(JOINED) for name in candidates):
        config = replace(config, nms_pre=0)  # these are put together where no level has too many
    return tuple(selection_faults(selected, levels_of(candidates), config, margins, proof.reach))


def _decoded_difference(
    proof: DetectorProof[Any], reference: Tensors, found: Tensors, prepared: PreparedImages
) -> float:
    """How far what the best candidates of the reference are decoded to is from what the same ones are here."""
    selected = _best(proof, reference, reference), _best(proof, reference, found)
    task: Any = proof.task  # a dataclass, whichever it is
    native = replace(proof, task=replace(task, tail="native"))
    return native.decoded_difference(*selected, prepared)


def _best(proof: DetectorProof[Any], ranked: Tensors, candidates: Tensors) -> Tensors:
    """Those of some candidates that would be selected if they scored what others do, in their order."""
    config, parts = proof.task.test_cfg, []
    images = zip(joined_levels(levels_of(ranked)), joined_levels(levels_of(candidates)), strict=True)
    for (boxes, scores, _), (own, _, extras) in images:
        wide = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, keepdims=True) > max(config.min_bbox_size, 0)
        values = np.where(wide & (scores > config.score_thr), scores, 0)[None]
        dets, labels, indices = detections(boxes[None], values, config.iou_threshold, config.max_per_img)
        (rows,) = indices
        dets[0, rows >= 0, :4] = own[rows[rows >= 0]]
        beside = {name: tensor[rows][None] for name, tensor in extras.items()}
        parts.append({"dets": dets, "labels": labels, **beside})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
