"""Our operator becomes nodes that runtimes know: NonMaxSuppression, and after `fuse_nms` TensorRT's one node."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compiler.errors import CompileError
from compiler.export import Axis, ExportOptions, export_onnx
from compiler.graphs import OnnxRuntimeSession
from compiler.selection.operators import nms, select, top_k
from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fuse_nms import fuse_nms

IOU_THRESHOLD, MAX_PER_IMAGE = 0.5, 3
BOXES = 6
EXAMPLE = {
    "boxes": np.array([[[20 * at, 0, 20 * at + 10, 10] for at in range(BOXES)]] * 2, "f4"),
    "scores": np.linspace(0.1, 0.9, 4 * BOXES, dtype="f4").reshape(2, BOXES, 2),
}


class Suppress(nn.Module):
    def forward(self, boxes, scores):
        return nms(boxes, scores, IOU_THRESHOLD, MAX_PER_IMAGE)


class WithoutIndices(nn.Module):
    def forward(self, boxes, scores):
        return nms(boxes, scores, IOU_THRESHOLD, MAX_PER_IMAGE)[:2]


def export_to(folder, network, *outputs):
    options = ExportOptions("dynamo", 18, dict.fromkeys(EXAMPLE, (Axis(0, "batch"),)), outputs)
    return export_onnx(network.eval(), EXAMPLE, others(), options, folder).path


def others():
    """Yield inputs of other batches."""
    yield {name: tensor[:1] for name, tensor in EXAMPLE.items()}
    yield {name: np.concatenate([tensor, tensor[:1]]) for name, tensor in EXAMPLE.items()}


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return export_to(tmp_path_factory.mktemp("native"), Suppress(), "dets", "labels", "indices")


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    path = export_to(tmp_path_factory.mktemp("fused"), WithoutIndices(), "dets", "labels")
    model, _ = apply_graph_rewriter(onnx.load(path), fuse_nms, Target("tensorrt"))
    onnx.save(model, path)
    return path


@pytest.fixture(params=["native", "fused"])
def engine(request):
    """Select from boxes and scores in ONNX Runtime: gives detections and labels."""
    session = OnnxRuntimeSession(request.getfixturevalue(request.param))

    def run(boxes, scores):
        found = session.run({"boxes": np.asarray(boxes, "f4"), "scores": np.asarray(scores, "f4")})
        return found["dets"], found["labels"]

    return run


def pair_of_boxes(second, labels=(0, 0)):
    """Return the box 0, 0, 4, 1, a second one that scores less, of the given classes, and nothing else."""
    boxes, scores = np.zeros((1, BOXES, 4)), np.zeros((1, BOXES, 2))
    boxes[0, :2] = [0, 0, 4, 1], second
    scores[0, [0, 1], labels] = 0.9, 0.8
    return boxes, scores


def test_an_overlap_at_the_threshold_is_allowed(engine):
    _, labels = engine(*pair_of_boxes([0, 0, 2, 1]))
    assert labels.tolist() == [[0, 0, -1]]


def test_an_overlap_a_hair_above_the_threshold_is_not(engine):
    dets, labels = engine(*pair_of_boxes([0, 0, np.nextafter(np.float32(2), np.float32(3)), 1]))
    assert labels.tolist() == [[0, -1, -1]]
    assert dets[0].tolist() == [[0, 0, 4, 1, np.float32(0.9)], [0] * 5, [0] * 5]


def test_boxes_of_different_classes_leave_each_other_alone(engine):
    dets, labels = engine(*pair_of_boxes([0, 0, 4, 1], labels=(1, 0)))
    assert labels.tolist() == [[1, 0, -1]]
    assert dets[0, :, 4].tolist() == np.float32([0.9, 0.8, 0]).tolist()


def test_one_box_can_be_of_two_classes(engine):
    boxes, scores = pair_of_boxes([9, 9, 10, 10])
    scores[0, 0] = 0.9, 0.7
    assert engine(boxes, scores)[1].tolist() == [[0, 0, 1]]


def test_images_of_a_batch_do_not_suppress_each_other(engine):
    pair, near = pair_of_boxes([0, 0, 4, 1]), pair_of_boxes([0, 0, 1, 1])
    empty = pair[0], np.zeros_like(pair[1])
    dets, labels = engine(*(np.concatenate(parts) for parts in zip(near, empty, pair, near, strict=True)))
    assert labels.tolist() == [[0, 0, -1], [-1] * 3, [0, -1, -1], [0, 0, -1]]
    assert dets[0, 1].tolist() == [0, 0, 1, 1, np.float32(0.8)]
    np.testing.assert_array_equal(dets[0], dets[3])
    assert not dets[1].any()


def test_of_too_many_the_best_remain(engine):
    scores = np.zeros((1, BOXES, 2), "f4")
    scores[0, np.arange(BOXES), [0, 1, 0, 1, 0, 1]] = [0.1, 0.6, 0.2, 0.5, 0.3, 0.4]
    dets, labels = engine(EXAMPLE["boxes"][:1], scores)
    assert labels.tolist() == [[1, 1, 1]]
    assert dets[0, :, 0].tolist() == [20, 60, 100]


def test_indices_tell_which_boxes_were_found(native):
    boxes, scores = pair_of_boxes([0, 0, 4, 1])
    found = OnnxRuntimeSession(native).run(
        {"boxes": boxes[:, ::-1].astype("f4"), "scores": scores[:, ::-1].astype("f4")}
    )
    assert found["indices"].tolist() == [[BOXES - 1, -1, -1]]


def test_the_fused_node_is_one_that_tensorrts_plugin_takes(fused):
    model = onnx.load(fused)
    (node,) = [node for node in model.graph.node if node.domain == "TRT"]
    assert (node.op_type, len(node.input), len(node.output)) == ("EfficientNMS_TRT", 2, 4)
    assert {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute} == {
        "score_threshold": np.float32(1e-5),
        "iou_threshold": IOU_THRESHOLD,
        "max_output_boxes": MAX_PER_IMAGE,
        "background_class": -1,  # there is none
        "score_activation": 0,  # the scores are what they are
        "class_agnostic": 0,
        "box_coding": 0,  # corners
    }
    types = {attribute.name: onnx.AttributeProto.AttributeType.Name(attribute.type) for attribute in node.attribute}
    assert {name for name, kind in types.items() if kind == "FLOAT"} == {"score_threshold", "iou_threshold"}
    assert set(types.values()) == {"FLOAT", "INT"}
    assert not [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]


def test_the_model_itself_defines_the_fused_node(fused, tmp_path):
    model = onnx.load(fused)
    assert ("TRT", "EfficientNMS_TRT") in {(function.domain, function.name) for function in model.functions}
    OnnxRuntimeSession(fused)
    del model.functions[:]
    onnx.save(model, tmp_path / "undefined.onnx")
    with pytest.raises(CompileError, match="EfficientNMS_TRT"):
        OnnxRuntimeSession(tmp_path / "undefined.onnx")


def test_a_model_without_the_fused_node_has_no_definition_of_it(native):
    model = onnx.load(native)
    assert "TRT" not in {function.domain for function in model.functions}
    assert "TRT" not in {entry.domain for entry in model.opset_import}


@pytest.mark.parametrize("iou_threshold", [IOU_THRESHOLD, None])
def test_the_operators_have_shapes_before_they_have_values(iou_threshold):
    with torch.device("meta"):
        boxes, scores = torch.zeros(2, BOXES, 4), torch.zeros(2, BOXES, 2)
    shapes = [[2, MAX_PER_IMAGE, 5], [2, MAX_PER_IMAGE], [2, MAX_PER_IMAGE]]
    assert [list(output.shape) for output in select(boxes, scores, iou_threshold, MAX_PER_IMAGE)] == shapes


def test_the_best_by_themselves_may_overlap_and_be_of_two_classes():
    boxes, scores = pair_of_boxes([0, 0, 4, 1])
    scores[0, 0] = 0.9, 0.7
    scores[0, 5] = np.nan, -1
    dets, labels, indices = top_k(*(torch.from_numpy(tensor.astype("f4")) for tensor in (boxes, scores)), 4)
    assert labels.tolist() == [[0, 0, 1, -1]]
    assert indices.tolist() == [[0, 1, 0, -1]]
    assert dets[0].tolist() == [[0, 0, 4, 1, np.float32(score)] for score in (0.9, 0.8, 0.7)] + [[0] * 5]
