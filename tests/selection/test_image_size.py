"""Where the images end in a padded input: a graph that is told clips its candidates there before it selects any."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compiler.backends.nvidia.plan import plan
from compiler.export import Axis, ExportOptions, run_network
from compiler.graphs import OnnxRuntimeSession
from compiler.proof import proof_of
from compiler.selection.candidates import Candidates
from compiler.selection.outputs import DETECTIONS
from compiler.selection.tail import DetectionTail
from compiler.tasks import Sample
from tests.exporting import export
from tests.tasks.detectors import detector

SIDE, IOU, MOST = 64, 0.7, 4
BOXES = np.array(
    [
        [10, 0, 40, 40],  # reaches down to 40
        [10, 0, 40, 64],  # the same, where the image ends there; but two where it goes on
        [5, 42, 40, 60],  # lies below 40
        [50, 10, 60, 20],
        [30, 20, 64, 36],
        [44, 4, 58, 30],
    ],
    np.float32,
)
SCORES = np.array([0.8, 0.7, 0.9, 0.5, 0.4, 0.3], np.float32)
SIZES = np.array([[40, 64], [64, 64], [40, 48]], np.float32)
IMAGES = np.zeros((3, 3, SIDE, SIDE), np.float32)
SELECTION = {"nms_pre": 0, "score_thr": 0.05, "iou_threshold": IOU, "max_per_img": MOST}


class Network(nn.Module):
    """The same boxes in every image that is black."""

    def forward(self, images):
        return (images.mean(dim=(1, 2, 3)),)

    def decode(self, outputs, height, width):
        zeros = outputs[0][:, None, None]
        return (Candidates(torch.tensor(BOXES)[None] + zeros, torch.tensor(SCORES)[None, :, None] + zeros),)


def as_mmdetection(size):
    """The scores that MMDetection keeps: it clips to the image, drops what has no side, and then suppresses."""
    height, width = size
    boxes = BOXES.copy()
    boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clip(0, width), boxes[:, 1::2].clip(0, height)
    wide = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    kept = []
    for row in np.argsort(-SCORES):
        if wide[row] and all(overlap(boxes[row], boxes[better]) <= IOU for better in kept):
            kept.append(row)
    return boxes[kept[:MOST]], SCORES[kept[:MOST]]


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


@pytest.fixture(scope="module")
def tail():
    return DetectionTail(Network(), "native", SELECTION, image_size_input=True).eval()


@pytest.fixture(scope="module")
def program(tail, tmp_path_factory):
    inputs = {"input": IMAGES, "image_size": SIZES}
    options = ExportOptions("dynamo", 18, dict.fromkeys(inputs, (Axis(0, "batch"),)), DETECTIONS)
    return export(tail, inputs, options, tmp_path_factory.mktemp("sized"))


@pytest.fixture(scope="module")
def runs(tail, program):
    """The tail in torch and in ONNX Runtime."""
    return lambda tensors: run_network(tail, tensors, DETECTIONS), OnnxRuntimeSession(program.path).run


def test_candidates_are_clipped_to_each_image_before_they_are_selected(runs):
    for run in runs:
        found = run({"input": IMAGES, "image_size": SIZES})
        for item, size in enumerate(SIZES):
            boxes, scores = as_mmdetection(size)
            rows = found["labels"][item] >= 0
            np.testing.assert_array_equal(found["dets"][item, rows], np.column_stack([boxes, scores]))
        assert found["dets"][0, 0, 4] == np.float32(0.8)
        assert found["dets"][1, 0, 4] == np.float32(0.9)
        assert np.float32(0.7) not in found["dets"][0, :, 4]  # it is the first one, where the image ends
        assert np.float32(0.7) in found["dets"][1, :, 4]


@pytest.mark.parametrize(("backend", "refused"), [("tensorrt", []), ("tensorrt_rtx", ["NonMaxSuppression"])])
def test_no_backend_objects_to_what_clips_in_the_graph(program, backend, refused):
    assert [obstacle.operator for obstacle in plan(program, backend, "", ("SM86",))] == refused


def test_without_the_sizes_what_lies_in_the_padding_takes_a_place():
    (dets, _) = DetectionTail(Network(), "native", SELECTION)(torch.tensor(IMAGES))
    _, scores = as_mmdetection(SIZES[1])
    np.testing.assert_array_equal(dets[0, :, 4].numpy(), scores)
    assert scores[0] == np.float32(0.9)


@pytest.fixture(scope="module")
def task():
    return replace(detector("retinanet"), image_size_input=True)


def test_a_task_says_where_its_images_end(task):
    prepared = task.preprocess(Sample(np.zeros((400, 600, 3), np.uint8)))
    assert task.inputs == ("input", "image_size")
    assert task.axes["image_size"] == {0: "batch"}
    np.testing.assert_array_equal(prepared.tensors["image_size"], [[800, 1200]])
    assert prepared.tensors["input"].shape == (1, 3, 800, 1216)
    batch = proof_of(task).samples(Sample(np.zeros((400, 600, 3), np.uint8)), 3, (96, 128))
    assert batch.tensors["image_size"].shape == (3, 2)
    assert (batch.tensors["image_size"] <= [96, 128]).all()


def test_a_task_whose_network_is_not_told_has_one_input():
    assert detector("retinanet").inputs == ("input",)
    assert set(detector("retinanet").preprocess(Sample(np.zeros((40, 60, 3), np.uint8))).tensors) == {"input"}


@pytest.mark.parametrize("changed", [{"tail": "host"}, {"clip_to_image": False}])
def test_what_does_not_clip_in_the_graph_is_not_told(task, changed):
    with pytest.raises(ValueError, match="image_size_input"):
        replace(task, **changed)
