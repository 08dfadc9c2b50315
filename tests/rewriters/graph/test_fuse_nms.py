import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from compiler.export import Axis, ExportOptions
from compiler.selection.operators import nms
from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fuse_nms import fuse_nms
from tests.exporting import export

TARGET = Target("tensorrt")
IOU_THRESHOLD, MAX_PER_IMAGE = 0.5, 3
BOXES, CLASSES = 6, 2
EXAMPLE = {
    "boxes": np.array([[[20 * at, 0, 20 * at + 10, 10] for at in range(BOXES)]] * 2, "f4"),
    "scores": np.linspace(0.1, 0.9, 2 * BOXES * CLASSES, dtype="f4").reshape(2, BOXES, CLASSES),
}


class Detections(nn.Module):
    """The native tail: detections and labels, and which boxes they are where that is wanted."""

    def __init__(self, *, indices=False):
        super().__init__()
        self.indices = indices

    def forward(self, boxes, scores):
        dets, labels, indices = nms(boxes, scores, IOU_THRESHOLD, MAX_PER_IMAGE)
        return (dets, labels, indices) if self.indices else (dets, labels)


def exported(folder, *, axes=(), indices=False):
    outputs = ("dets", "labels", "indices") if indices else ("dets", "labels")
    options = ExportOptions("dynamo", 18, dict.fromkeys(EXAMPLE, axes), outputs)
    return onnx.load(export(Detections(indices=indices).eval(), EXAMPLE, options, folder).path)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("native"), axes=(Axis(0, "batch"),))


@pytest.fixture(scope="module")
def fused(native):
    changed, entry = apply_graph_rewriter(native, fuse_nms, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    return changed


@pytest.fixture(scope="module")
def sessions(native, fused):
    return [onnxruntime.InferenceSession(model.SerializeToString()) for model in (native, fused)]


def both(sessions, boxes, scores):
    return [session.run(None, {"boxes": boxes, "scores": scores}) for session in sessions]


def operators(model):
    return [node.op_type for node in model.graph.node]


def test_the_suppression_becomes_the_one_node_that_the_plugin_takes(native, fused):
    assert "NonMaxSuppression" in operators(native)
    assert "NonMaxSuppression" not in operators(fused)
    (node,) = [node for node in fused.graph.node if node.domain == "TRT"]
    assert (node.op_type, list(node.input), len(node.output)) == ("EfficientNMS_TRT", ["boxes", "scores"], 4)
    assert {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute} == {
        "score_threshold": np.float32(1e-5),
        "iou_threshold": IOU_THRESHOLD,
        "max_output_boxes": MAX_PER_IMAGE,
        "background_class": -1,  # there is none
        "score_activation": 0,  # the scores are what they are
        "class_agnostic": 0,
        "box_coding": 0,  # corners
    }


def test_the_model_defines_the_node_itself(fused):
    assert {(function.domain, function.name) for function in fused.functions} >= {("TRT", "EfficientNMS_TRT")}
    assert {entry.domain for entry in fused.opset_import} >= {"TRT", "deploy_compiler"}


SCORES = st.sampled_from([0.0, 0.0, 0.01, 0.25, 0.5, 0.75, 1.0]) | st.floats(0.0009765625, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), batch=st.integers(1, 3))
def test_detections_are_those_of_the_native_tail(sessions, data, batch):
    corners = data.draw(arrays("f4", (batch, BOXES, 2), elements=st.integers(0, 8)))
    sizes = data.draw(arrays("f4", (batch, BOXES, 2), elements=st.integers(0, 8)))
    scores = data.draw(arrays("f4", (batch, BOXES, CLASSES), elements=SCORES))
    native, fused = both(sessions, np.concatenate([corners, corners + sizes], axis=2), scores)
    for before, after in zip(native, fused, strict=True):
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)


def test_an_image_without_detections_has_none(sessions):
    scores = EXAMPLE["scores"].copy()
    scores[0] = 0
    for dets, labels in both(sessions, EXAMPLE["boxes"], scores):
        assert (labels[0] == -1).all()
        assert not dets[0].any()
        assert (labels[1] >= 0).all()


def test_of_too_many_the_best_remain(sessions):
    for dets, labels in both(sessions, EXAMPLE["boxes"], EXAMPLE["scores"]):
        assert labels.tolist() == [[1, 0, 1]] * 2
        assert (np.diff(dets[..., 4]) < 0).all()


def test_a_fixed_batch_is_fused_too(tmp_path):
    changed, entry = apply_graph_rewriter(exported(tmp_path), fuse_nms, TARGET)
    assert entry.status == "fired"
    assert "NonMaxSuppression" not in operators(changed)


def test_what_goes_in_may_be_used_elsewhere(native):
    model = copied(native)
    model.graph.node.append(onnx.helper.make_node("Relu", ["scores"], ["clipped"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("clipped", 1, ["batch", BOXES, CLASSES]))
    assert apply_graph_rewriter(model, fuse_nms, TARGET)[1].status == "fired"


def test_the_number_of_images_may_be_used_elsewhere(native):
    model = copied(native)
    (shape,) = [node for node in model.graph.node if node.op_type == "Shape"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(shape.output[0], 7, [1]))
    assert apply_graph_rewriter(model, fuse_nms, TARGET)[1].status == "fired"


def test_a_tail_that_tells_which_boxes_it_kept_stays(tmp_path):
    assert reason_to_skip(exported(tmp_path, indices=True)).endswith("which boxes it selects is used elsewhere too")


def test_a_selection_that_is_an_output_stays(native):
    model = copied(native)
    model.graph.output.append(onnx.helper.make_tensor_value_info(suppression(model).output[0], 7, [None, 3]))
    assert reason_to_skip(model).endswith("which boxes it selects is used elsewhere too")


def test_boxes_given_by_their_centres_stay(native):
    model = copied(native)
    suppression(model).attribute.append(onnx.helper.make_attribute("center_point_box", 1))
    assert reason_to_skip(model).endswith("its boxes are given by their centres")


def test_a_threshold_that_is_an_input_stays(native):
    model = copied(native)
    suppression(model).input[3] = "threshold"
    model.graph.input.append(onnx.helper.make_tensor_value_info("threshold", 1, []))
    assert reason_to_skip(model).endswith("its thresholds are not constant")


@pytest.mark.parametrize(("operator", "attribute", "value"), [("TopK", "largest", 0), ("Concat", "axis", 1)])
def test_another_selection_stays(native, operator, attribute, value):
    model = copied(native)
    (node,) = [node for node in model.graph.node if node.op_type == operator]
    kept = [given for given in node.attribute if given.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])
    assert "does not select the best of each image" in reason_to_skip(model)


def test_a_graph_without_suppression_is_left_alone():
    graph = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
    )
    same, entry = apply_graph_rewriter(graph, fuse_nms, TARGET)
    assert same is graph
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def copied(model):
    return onnx.ModelProto.FromString(model.SerializeToString())


def suppression(model):
    (node,) = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
    return node


def reason_to_skip(model):
    same, entry = apply_graph_rewriter(model, fuse_nms, TARGET)
    assert same is model
    assert entry.status == "skipped"
    return entry.reason
