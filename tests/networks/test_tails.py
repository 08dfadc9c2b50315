"""Whichever tail selects a detector's boxes, eagerly or in an engine, they are the textbook's, and OpenMMLab's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.export import Axis, ExportOptions
from compiler.graphs.runtime import OnnxRuntimeSession
from compiler.networks import build
from compiler.networks.candidates import Candidates
from compiler.networks.tails import DetectionTail, LastOutput
from compiler.tasks.nms import SelectionConfig, detections
from tests.exporting import export

KINDS = ("native", "plugin", "host")
LEVELS = (slice(24), slice(24, 36))
SELECTIONS = {
    "as many as there are": {"max_per_img": 150},
    "more than there is room for": {"nms_pre": 20, "max_per_img": 4},
    "any size": {"nms_pre": 0, "min_bbox_size": -1, "iou_threshold": 0.3},
    "large ones": {"nms_pre": 1000, "min_bbox_size": 5, "score_thr": 0.4, "iou_threshold": 0.0},
    "near certain objects": {"nms_pre": 7, "conf_thr": 0.6, "score_thr": 0.01},
}
# Our model, and the raw outputs that the original's decoder was run on.
DECODED = {"retinanet": "retinanet_r50", "rtmdet-tiny": "rtmdet_tiny", "yolov3": "yolov3_d53"}


class Selecting(nn.Module):
    """The three tails by themselves: they are given what a head would have decoded on two levels."""

    def __init__(self, test_cfg):
        super().__init__()
        self.tails = nn.ModuleList(DetectionTail(nn.Identity(), kind, test_cfg) for kind in KINDS)

    def forward(self, boxes, scores, factors):
        levels = [Candidates(boxes[:, at], scores[:, at], factors[:, at]) for at in LEVELS]
        return tuple(output for tail in self.tails for output in tail.select(levels))


class Decoding(nn.Module):
    """The three tails behind a head's decoder: they are given raw outputs."""

    def __init__(self, head, size, test_cfg):
        super().__init__()
        self.head, self.size = head, size
        self.tails = nn.ModuleList(DetectionTail(nn.Identity(), kind, test_cfg) for kind in KINDS)

    def forward(self, *outputs):
        groups = self.head.decode(outputs, *self.size)
        return tuple(output for tail in self.tails for output in tail.select(groups))


def finished(outputs, config):
    """Return the detections and labels of every tail; what the host's leaves to do is done."""
    native_dets, native_labels, plugin_dets, plugin_labels, boxes, scores = map(np.asarray, outputs)
    dets, labels, _ = detections(boxes, scores, config.iou_threshold, config.max_per_img)
    return {"native": (native_dets, native_labels), "plugin": (plugin_dets, plugin_labels), "host": (dets, labels)}


def to_engine(network, tensors, axes, folder):
    """Export a network that takes and gives tuples, and open the engine, which does too."""
    inputs = tuple(f"input_{index}" for index in range(len(tensors)))
    outputs = tuple(f"output_{index}" for index in range(len(network(*map(torch.from_numpy, tensors)))))
    options = ExportOptions("dynamo", 18, dict.fromkeys(inputs, axes), outputs)
    example = dict(zip(inputs, tensors, strict=True))
    # What the engine gives is compared by each test.
    program = export(network.eval(), example, options, folder, comparable=lambda outputs, like: {})
    session = OnnxRuntimeSession(program.path)
    return lambda *arrays: tuple(session.run(dict(zip(inputs, arrays, strict=True))).values())


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
        if not any(pairs[other][1] == label and overlaps[other, index] > config.iou_threshold for other in kept):
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
    iou_threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    max_per_img=st.sampled_from([1, 5, 200]),
)


def assert_same(outputs, scene, config):
    expected_dets, expected_labels = expected_of(scene, config)
    for kind, (dets, labels) in finished(outputs, config).items():
        np.testing.assert_array_equal(labels, expected_labels, err_msg=kind)
        np.testing.assert_array_equal(dets, expected_dets, err_msg=kind)


@given(scene=scenes(classes=(1, 2, 4)), config=configs)
@settings(max_examples=60, deadline=None)
def test_tails_select_what_the_textbook_does(scene, config):
    assert_same(Selecting(vars(config))(*map(torch.from_numpy, scene)), scene, config)


@pytest.mark.parametrize("selection", SELECTIONS)
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


def original_of(name, model, references):
    """Return a head with the settings of its reference, the size of the input, and what the original decodes."""
    original = references(f"decode/{DECODED[name]}")
    test_cfg = dict(original["decode"]["test_cfg"])
    test_cfg["iou_threshold"] = test_cfg.pop("nms")["iou_threshold"]
    head = build(model(name).network.bbox_head)
    expected = {key.removeprefix("decoded."): array for key, array in original["arrays"].items()}
    return head, original["input_shape"][-2:], test_cfg, expected


@pytest.mark.parametrize("name", DECODED)
def test_engines_decode_what_openmmlab_decodes(name, model, references, raw_outputs, tmp_path):
    head, size, test_cfg, expected = original_of(name, model, references)
    outputs = tuple(raw_outputs(DECODED[name]))
    decoding = Decoding(head, size, test_cfg)
    config = SelectionConfig(**test_cfg)
    eager = decoding(*map(torch.from_numpy, outputs))
    engine = to_engine(decoding, outputs, (), tmp_path)
    for found in (eager, engine(*outputs)):
        for kind, (dets, labels) in finished(found, config).items():
            np.testing.assert_array_equal(labels[0], expected["labels"], err_msg=kind)
            np.testing.assert_allclose(dets[0, :, :4], expected["bboxes"], rtol=0, atol=1e-3, err_msg=kind)
            np.testing.assert_allclose(dets[0, :, 4], expected["scores"], rtol=0, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize("kind", ["native", "host"])
def test_key_points_stay_with_their_boxes(kind, model, references, raw_outputs):
    original = references("decode/yoloxpose_s")
    own, expected = original["decode"]["test_cfg"], original["arrays"]
    config = SelectionConfig(100_000, 0, own["score_thr"], 0.0, own["nms_thr"], 1200)
    groups = build(model("yoloxpose").network.head).decode(
        tuple(map(torch.from_numpy, raw_outputs("yoloxpose_s"))), *original["input_shape"][-2:]
    )
    first, second, keypoints = map(np.asarray, DetectionTail(nn.Identity(), kind, vars(config)).select(groups))
    dets, labels = first, second
    if kind == "host":
        dets, labels, indices = detections(first, second, config.iou_threshold, config.max_per_img)
        keypoints = keypoints[:, indices[0]]
    count = len(expected["decoded.noflip.scores"])
    assert labels[0].tolist() == [0] * count + [-1] * (config.max_per_img - count)
    boxes = dets[0, :count, :4].clip(0, original["input_shape"][-1])
    np.testing.assert_allclose(boxes, expected["decoded.noflip.bboxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(dets[0, :count, 4], expected["decoded.noflip.scores"], rtol=0, atol=1e-6)
    found = keypoints[0, :count]
    np.testing.assert_allclose(found[..., :2], expected["decoded.noflip.keypoints"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[..., 2], expected["decoded.noflip.keypoint_scores"], rtol=0, atol=1e-6)


def test_there_is_no_other_tail():
    with pytest.raises(ValueError, match="kind 'fused' is not supported, only native, plugin and host"):
        DetectionTail(nn.Identity(), "fused", {})


def test_of_several_outputs_the_last_remains():
    assert LastOutput(lambda image: (image, image + 1))(torch.zeros(1))[0].tolist() == [1]
