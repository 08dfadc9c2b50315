"""Whichever tail selects a detector's boxes, eagerly or in an engine, they are the textbook's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.backends import build_backend
from compiler.config import compose
from compiler.config.schema import TAILS
from compiler.export import Axis, ExportOptions, export_traced
from compiler.selection import SelectionConfig
from compiler.selection.candidates import Candidates
from compiler.selection.tail import DetectionTail
from tests.exporting import export
from tests.selection.engines import finished, to_engine

LEVELS = (slice(24), slice(24, 36))
SELECTIONS = {
    "as many as there are": {"max_per_img": 150},
    "more than there is room for": {"nms_pre": 20, "max_per_img": 4},
    "any size": {"nms_pre": 0, "min_bbox_size": -1, "iou_threshold": 0.3},
    "large ones": {"nms_pre": 1000, "min_bbox_size": 5, "score_thr": 0.4, "iou_threshold": 0.0},
    "near certain objects": {"nms_pre": 7, "conf_thr": 0.6, "score_thr": 0.01},
    "whatever overlaps": {"nms_pre": 20, "iou_threshold": None, "max_per_img": 9},
    "more room than there are pairs": {"iou_threshold": None, "max_per_img": 150},
}

EXPORTED = ("more than there is room for", "large ones", "whatever overlaps")
"""Of these, each seconds of an export: with fewer than there are, with all that the settings drop, and without NMS."""


class Selecting(nn.Module):
    """The tails by themselves: they are given what a head would have decoded on two levels."""

    def __init__(self, test_cfg):
        super().__init__()
        self.tails = nn.ModuleList(DetectionTail(nn.Identity(), kind, test_cfg) for kind in TAILS)

    def forward(self, boxes, scores, factors):
        levels = [Candidates(boxes[:, at], scores[:, at], factors[:, at]) for at in LEVELS]
        return tuple(output for tail in self.tails for output in tail.select(levels).values())


def overlap_matrix(boxes):
    """Return the intersection over union of every box with every other; none where it is nothing by nothing."""
    left, top, right, bottom = boxes.T
    width = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    height = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    common = width.clip(0) * height.clip(0)
    area = (right - left) * (bottom - top)
    with np.errstate(all="ignore"):
        return np.nan_to_num(common / (np.add.outer(area, area) - common))


def textbook(levels, config):
    """Select boxes of one image one after the other, by definition: `levels` are boxes, scores and factors."""
    pairs = []
    for boxes, scores, factors in levels:
        found = [
            (score, factor, label, box)
            for box, row, factor in zip(boxes, scores, factors, strict=True)
            for label, score in enumerate(row)
            if score > config.score_thr and factor >= config.conf_thr
        ]
        found.sort(key=lambda pair: -pair[0])
        pairs += found[: config.nms_pre] if config.nms_pre > 0 else found
    if config.min_bbox_size >= 0:
        pairs = [pair for pair in pairs if (pair[3][2:] - pair[3][:2] > config.min_bbox_size).all()]
    pairs = [(score * factor, label, box) for score, factor, label, box in pairs]
    pairs.sort(key=lambda pair: -pair[0])
    overlaps = overlap_matrix(np.array([box for *_, box in pairs], np.float32).reshape(-1, 4))
    kept = []
    for index, (_, label, _) in enumerate(pairs):
        rivals = [other for other in kept if pairs[other][1] == label]
        if config.iou_threshold is None or not any(overlaps[other, index] > config.iou_threshold for other in rivals):
            kept.append(index)
    dets = np.zeros((config.max_per_img, 5), np.float32)
    labels = np.full(config.max_per_img, -1, np.int64)
    for row, index in enumerate(kept[: config.max_per_img]):
        score, labels[row], box = pairs[index]
        dets[row] = (*box, score)
    return dets, labels


def expected_of(scene, config):
    """Return the textbook's detections and labels of every image of a scene."""
    images = zip(*scene, strict=True)
    selected = [textbook([[tensor[at] for tensor in image] for at in LEVELS], config) for image in images]
    return tuple(map(np.stack, zip(*selected, strict=True)))


def draw_boxes(generator, batch, inverted):
    """Draw boxes of every kind: some are equal, touch, are slivers, lie far away, or are turned inside out."""
    count = LEVELS[-1].stop
    corners = generator.integers(-20, 60, (batch, count, 2))
    boxes = np.concatenate([corners, corners + generator.integers(1, 60, (batch, count, 2))], axis=2).astype("f4")
    boxes += generator.normal(0, 0.1, boxes.shape).astype("f4") * generator.choice([0, 1], (batch, count, 1))
    kind = generator.integers(0, 10, (batch, count))
    boxes[kind == 0] = boxes[0, 0]
    boxes[kind == 1] = boxes[0, 0] + (boxes[0, 0, 2] - boxes[0, 0, 0]) * np.array([1, 0, 1, 0], "f4")
    boxes[kind == 2, 3] = boxes[kind == 2, 1] + 0.01
    boxes[kind == 3] += 1e4
    boxes[kind == 4, 2] = boxes[kind == 4, 0]
    if inverted:
        boxes[kind == 5] = boxes[kind == 5][:, [2, 3, 0, 1]]
    return boxes


@st.composite
def scenes(draw, classes=(3,), inverted=True):
    """Boxes, scores and factors of a few images; no two scores are equal, and sometimes none is above a threshold."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch, classes = draw(st.integers(1, 3)), draw(st.sampled_from(classes))
    best = draw(st.sampled_from([0.0005, 0.3, 1.0]))
    boxes = draw_boxes(generator, batch, inverted)
    scores = np.linspace(best / 1000, best, boxes[..., 0].size * classes, dtype="f4")
    factors = generator.choice(np.geomspace(0.01, 1, 997, dtype="f4"), boxes.shape[:2])
    return boxes, generator.permutation(scores).reshape(*boxes.shape[:2], classes), factors


configs = st.builds(
    SelectionConfig,
    nms_pre=st.sampled_from([0, 1, 5, 20, 1000]),
    min_bbox_size=st.sampled_from([-1, 0, 5]),
    score_thr=st.sampled_from([0.0, 0.05, 0.5]),
    conf_thr=st.sampled_from([0.0, 0.3]),
    iou_threshold=st.sampled_from([None, 0.0, 0.3, 0.5, 1.0]),
    max_per_img=st.sampled_from([1, 5, 200]),
)


def assert_same(outputs, scene, config):
    expected_dets, expected_labels = expected_of(scene, config)
    for kind, found in finished(outputs, config).items():
        np.testing.assert_array_equal(found["labels"], expected_labels, err_msg=kind)
        np.testing.assert_array_equal(found["dets"], expected_dets, err_msg=kind)


@given(scene=scenes(classes=(1, 2, 4)), config=configs)
@settings(max_examples=60, deadline=None)
def test_tails_select_what_the_textbook_does(scene, config):
    assert_same(Selecting(vars(config))(*map(torch.from_numpy, scene)), scene, config)


@pytest.mark.parametrize(
    "selection", [one if one in EXPORTED else pytest.param(one, marks=pytest.mark.slow) for one in SELECTIONS]
)
def test_engines_select_what_the_textbook_does(selection, tmp_path):
    config = SelectionConfig(**SELECTIONS[selection])
    generator = np.random.default_rng(0)
    boxes = draw_boxes(generator, 2, inverted=False)
    example = boxes, generator.random((*boxes.shape[:2], 3), "f4"), generator.random(boxes.shape[:2], "f4")

    engine = to_engine(Selecting(vars(config)), example, (Axis(0, "batch"),), tmp_path)

    # To ONNX a box that is inside out is a box like any other: a tail that drops no small ones must not be given any.
    @given(scene=scenes(inverted=config.min_bbox_size >= 0))
    @settings(max_examples=30, deadline=None)
    def check(scene):
        assert_same(engine(*scene), scene, config)

    check()


def test_there_is_no_other_tail():
    with pytest.raises(ValueError, match="tail is fused, and must be native or host"):
        DetectionTail(nn.Identity(), "fused", {})


class Native(nn.Module):
    """The native tail alone, on one level."""

    def __init__(self, test_cfg):
        super().__init__()
        self.tail = DetectionTail(nn.Identity(), "native", test_cfg)

    def forward(self, boxes, scores):
        return tuple(self.tail.select([Candidates(boxes, scores)]).values())


@pytest.mark.parametrize(("iou_threshold", "obstacles"), [(None, []), (0.5, ["NonMaxSuppression"])])
def test_tensorrt_rtx_takes_a_tail_that_suppresses_nothing(iou_threshold, obstacles, tmp_path):
    example = {"boxes": np.zeros((2, 36, 4), "f4"), "scores": np.linspace(0, 1, 216, dtype="f4").reshape(2, 36, 3)}
    options = ExportOptions("dynamo", 18, dict.fromkeys(example, (Axis(0, "batch"),)), ("dets", "labels"))
    tail = Native({"nms_pre": 20, "min_bbox_size": -1, "iou_threshold": iou_threshold})
    program = export(tail.eval(), example, options, tmp_path)
    found = build_backend(compose(["backend=tensorrt_rtx"]).backend).plan(program)
    assert [obstacle.operator for obstacle in found] == obstacles


def test_a_tail_that_suppresses_nothing_needs_no_operator_of_our_own(tmp_path):
    """So that torch's other exporter, which knows none, can write it too."""
    generator = np.random.default_rng(0)
    example = {
        "boxes": draw_boxes(generator, 2, inverted=False),
        "scores": generator.permutation(np.linspace(0, 1, 216, dtype="f4")).reshape(2, 36, 3),
    }
    options = ExportOptions("torchscript", 18, dict.fromkeys(example, (Axis(0, "batch"),)), ("dets", "labels"))
    tail = Native({"nms_pre": 0, "iou_threshold": None})
    export(tail.eval(), example, options, tmp_path)


def test_torchscript_traces_a_tail_that_keeps_the_best(tmp_path):
    """TorchScript follows lengths as tensors, and holds for other numbers of boxes than it was traced with."""

    class Host(nn.Module):
        def __init__(self):
            super().__init__()
            self.tail = DetectionTail(nn.Identity(), "host", {"nms_pre": 20})

        def forward(self, boxes, scores):
            return tuple(self.tail.select([Candidates(boxes, scores)]).values())

    generator = np.random.default_rng(0)
    axes = {name: (Axis(0, "batch"), Axis(1, "count", smallest=12)) for name in ("boxes", "scores")}
    options = ExportOptions("torchscript", 18, axes, ("boxes", "scores"))
    example, *others = (
        {
            "boxes": generator.random((batch, count, 4), "f4"),
            "scores": generator.permutation(np.linspace(0, 1, batch * count * 3, dtype="f4")).reshape(batch, count, 3),
        }
        for batch, count in ((2, 36), (1, 12), (3, 50))
    )

    def in_any_order(outputs, like):
        return {name: np.sort(array, axis=1) for name, array in outputs.items()}

    program = export_traced(Host().eval(), example, others, options, tmp_path, comparable=in_any_order)
    assert [spec.shape for spec in program.outputs] == [("batch", "boxes_1", 4), ("batch", "scores_1", 3)]
