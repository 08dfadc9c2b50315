"""Detections in TensorRT's own plugin: the Program that it is given, and the same Program where there is no plugin."""

import numpy as np
import onnx
import onnxruntime
import pytest
from torch import nn

from compiler.backends import build_backend
from compiler.export import Axis, ExportOptions
from compiler.graphs import describe
from compiler.selection.operators import nms
from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fuse_nms import fuse_nms
from rewriters.onnx_functions import with_definitions
from tests.backends.nvidia import batches, request
from tests.exporting import export

TENSORRT = {"_target_": "compiler.backends.tensorrt.TensorRT", "name": "tensorrt"}
# NVIDIA/TensorRT, plugin/efficientNMSPlugin/README.md: "Parameters" and "Outputs".
PARAMETERS = {
    "score_threshold": onnx.AttributeProto.FLOAT,
    "iou_threshold": onnx.AttributeProto.FLOAT,
    "max_output_boxes": onnx.AttributeProto.INT,
    "background_class": onnx.AttributeProto.INT,
    "score_activation": onnx.AttributeProto.INT,
    "class_agnostic": onnx.AttributeProto.INT,
    "box_coding": onnx.AttributeProto.INT,
}
INPUTS = ("boxes", "scores")
OUTPUTS = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")


class Detections(nn.Module):
    """Boxes and scores as any head gives them: each box overlaps its neighbours."""

    def forward(self, boxes, scores):
        return nms(boxes, scores, 0.5, 5)[:2]


@pytest.fixture(scope="module")
def tensors():
    corners = np.arange(24, dtype=np.float32)[:, None] * 3 + np.zeros(2, np.float32)
    scores = np.random.default_rng(0).random((2, 24, 3), np.float32)
    return {"boxes": np.stack([np.concatenate([corners, corners + 10], 1)] * 2), "scores": scores}


@pytest.fixture(scope="module")
def fused(tensors, tmp_path_factory):
    """The Program as it is after the rewriters, which defines the plugin itself."""
    folder = tmp_path_factory.mktemp("program")
    axes = dict.fromkeys(tensors, (Axis(0, "batch"),))
    path = export(Detections().eval(), tensors, ExportOptions("dynamo", 18, axes, ("dets", "labels")), folder).path
    model, _ = apply_graph_rewriter(onnx.load(path), fuse_nms, Target("tensorrt"))
    onnx.save(model, path)
    return describe(path)


@pytest.fixture(scope="module")
def delivered(fused, tmp_path_factory):
    """What TensorRT reads."""
    asked = request(fused, tmp_path_factory.mktemp("bundle") / "engine", batches(fused, 1, 2, 4))
    build_backend(TENSORRT).deferred_build(asked)
    return onnx.load(asked.folder / "end2end.onnx")


def run(model, tensors):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, tensors)


def test_tensorrt_is_given_no_definition_that_would_keep_it_from_its_plugin(fused, delivered):
    defined = {function.domain for function in onnx.load(fused.path).functions}
    assert "TRT" in defined
    assert {function.domain for function in delivered.functions} == defined - {"TRT"}
    assert "TRT" in {entry.domain for entry in delivered.opset_import}


def test_the_node_has_the_parameters_inputs_and_outputs_of_the_plugin(delivered):
    (node,) = [node for node in delivered.graph.node if node.domain == "TRT"]
    assert node.op_type == "EfficientNMS_TRT"
    assert {attribute.name: attribute.type for attribute in node.attribute} == PARAMETERS
    assert (len(node.input), len(node.output)) == (len(INPUTS), len(OUTPUTS))
    assert tuple(node.input) == INPUTS


def test_with_the_definition_it_runs_without_the_plugin_as_before(fused, delivered, tensors):
    with pytest.raises(Exception, match="EfficientNMS_TRT"):
        run(delivered, tensors)
    defined = with_definitions(onnx.ModelProto.FromString(delivered.SerializeToString()))
    for before, after in zip(run(onnx.load(fused.path), tensors), run(defined, tensors), strict=True):
        assert (before >= 0).any()
        np.testing.assert_array_equal(after, before)


def test_a_program_without_plugins_is_given_as_it_is_and_needs_no_definitions(tensors, tmp_path):
    axes = dict.fromkeys(tensors, (Axis(0, "batch"),))
    program = export(Detections().eval(), tensors, ExportOptions("dynamo", 18, axes, ("dets", "labels")), tmp_path)
    asked = request(program, tmp_path / "engine", batches(program, 1, 2, 4))
    build_backend(TENSORRT).deferred_build(asked)
    delivered, original = onnx.load(asked.folder / "end2end.onnx"), onnx.load(program.path)
    assert delivered == original
    assert with_definitions(delivered) == original
