"""What is found beside a box is the head's own affair: here a detector's gives two tensors of different ranks."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from compiler.config.schema import TAILS
from compiler.export import Axis, ExportOptions, run_network
from compiler.graphs import OnnxRuntimeSession
from compiler.proof import proof_of
from compiler.selection import SelectionConfig, output_names
from compiler.selection.candidates import Candidates
from compiler.selection.nms import select
from compiler.selection.tail import DetectionTail
from compiler.tasks import Sample
from compiler.tasks.classes import Classes
from compiler.tasks.detection import Detection, ObjectDetection
from tests.exporting import export

SIDE, STRIDE, MASK = 32, 8, 3
SELECTIONS = {
    "suppressing": SelectionConfig(nms_pre=6, score_thr=0.5, iou_threshold=0.3, max_per_img=12),
    "not suppressing": SelectionConfig(nms_pre=6, score_thr=0.5, iou_threshold=None, max_per_img=30),
}


class Network(nn.Module):
    """At every point of a map a box, the scores of two classes, a mask, and an angle; on two levels of eight points."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 2 + 2 + 2 + MASK**2 + 1, STRIDE, STRIDE).requires_grad_(False)

    def forward(self, images):
        return (self.head(images),)

    def decode(self, outputs, height, width):
        corner, size, scores, masks, angles = outputs[0].flatten(2).transpose(1, 2).split([2, 2, 2, MASK**2, 1], dim=2)
        boxes = torch.cat([10 * corner, 10 * corner + 20 * size.abs() + 1], dim=2)
        extras = {"masks": masks.unflatten(2, (MASK, MASK)), "angles": angles.squeeze(2)}
        return tuple(
            Candidates(boxes[:, at], scores.sigmoid()[:, at], extras={name: extras[name][:, at] for name in extras})
            for at in (slice(8), slice(8, 16))
        )


@dataclass(frozen=True, eq=False)
class Masked(Detection):
    mask: np.ndarray | None = None
    angle: float = 0.0


class MaskDetection(ObjectDetection):
    extras = ("masks", "angles")

    def found(self, box, score, label, item, extras, placement):
        return Masked(box, score, label, self.classes.names[label], item, extras["masks"], float(extras["angles"]))


def task_of(tail, config):
    return MaskDetection((SIDE, SIDE), Classes(("cup", "spoon")), config, tail=tail)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(0, 1, (2, 3, SIDE, SIDE)).astype("f4")


@pytest.fixture(scope="module", params=["suppressing", pytest.param("not suppressing", marks=pytest.mark.slow)])
def config(request):
    return SELECTIONS[request.param]


@pytest.fixture(scope="module")
def found(config, images, tmp_path_factory):
    """The outputs of each tail, eagerly and in ONNX Runtime, by name."""
    outputs = {}
    for tail in TAILS:
        task = task_of(tail, config)
        network = DetectionTail(Network(), tail, vars(config)).eval()
        options = ExportOptions("dynamo", 18, {"input": (Axis(0, "batch"),)}, task.outputs)
        folder = tmp_path_factory.mktemp(tail)
        program = export(network, {"input": images}, options, folder, comparable=proof_of(task).comparable)
        outputs[tail, "eager"] = run_network(network, {"input": images}, task.outputs)
        outputs[tail, "engine"] = OnnxRuntimeSession(program.path).run({"input": images})
    return outputs


def test_they_come_last_by_name_and_keep_their_shapes(found, config):
    rows = config.max_per_img
    beside = {"angles": (2, rows), "masks": (2, rows, MASK, MASK)}
    expected = {"dets": (2, rows, 5), "labels": (2, rows), **beside}
    for way in ("eager", "engine"):
        native = found["native", way]
        assert list(native) == list(expected)
        assert {name: tensor.shape for name, tensor in native.items()} == expected
        assert list(found["host", way]) == ["boxes", "scores", "angles", "masks"]


def test_each_detection_has_those_of_its_own_box(found, config, images):
    network = Network()
    groups = network.decode(network(torch.from_numpy(images)), SIDE, SIDE)
    boxes, masks, angles = (
        torch.cat(tensors, dim=1).numpy()
        for tensors in zip(*((group.boxes, *group.extras.values()) for group in groups), strict=True)
    )
    for (tail, way), outputs in found.items():
        selected = outputs if tail == "native" else select(outputs, config)
        is_found = selected["labels"] >= 0
        assert is_found.any(axis=1).all(), (tail, way)
        assert not is_found.all(), (tail, way)
        for item, row in np.argwhere(is_found):
            (own,) = np.flatnonzero(np.isclose(boxes[item], selected["dets"][item, row, :4], atol=1e-4).all(axis=1))
            np.testing.assert_allclose(selected["masks"][item, row], masks[item, own], atol=1e-5)
            np.testing.assert_allclose(selected["angles"][item, row], angles[item, own], atol=1e-5)
        assert not selected["masks"][~is_found].any()
        assert not selected["angles"][~is_found].any()


def test_the_tails_find_the_same(found, config):
    reference = found["native", "eager"]
    for (tail, _), outputs in found.items():
        selected = outputs if tail == "native" else select(outputs, config)
        for name, tensor in reference.items():
            np.testing.assert_allclose(selected[name], tensor, rtol=0, atol=1e-4)


def test_a_task_decodes_them_whichever_tail_the_network_has(found, config):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    results = []
    for tail in TAILS:
        task = task_of(tail, config)
        one = task.preprocess(Sample(image))
        prepared = SimpleNamespace(tensors=one.tensors, placements=one.placements * 2, sizes=one.sizes * 2)
        results.append(task.decode(found[tail, "eager"], prepared))
    assert results[0]
    for native, *others in zip(*results, strict=True):
        for other in others:
            np.testing.assert_array_equal(native.box, other.box)
            np.testing.assert_array_equal(native.mask, other.mask)
            assert native.angle == other.angle != 0


def test_they_follow_their_boxes_into_the_order_of_a_reference(found, config):
    task, reference = task_of("native", config), found["native", "eager"]
    turned = {name: tensor[:, ::-1] for name, tensor in reference.items()}
    put = proof_of(task).comparable(turned, reference)
    assert set(put) == {"boxes", "scores", "labels", "masks", "angles"}
    for name in ("masks", "angles"):
        np.testing.assert_array_equal(put[name], reference[name])


def test_whole_numbers_and_truth_values_stay_what_they_are():
    boxes = torch.tensor([[[0.0, 0, 9, 9], [20, 0, 29, 9]]])
    extras = {"count": torch.tensor([[3, 4]]), "hidden": torch.tensor([[True, True]])}
    tail = DetectionTail(nn.Identity(), "native", {"max_per_img": 3})
    selected = tail.select([Candidates(boxes, torch.tensor([[[0.5], [0.6]]]), extras=extras)])
    assert selected["count"].tolist() == [[4, 3, 0]]
    assert selected["hidden"].tolist() == [[True, True, False]]


def test_an_extra_cannot_have_the_name_of_a_detection():
    with pytest.raises(ValueError, match="labels cannot be the name of what is found beside a box"):
        output_names("native", ["labels", "masks"])
