"""Where the best candidates score the same, rounding ranks them: what is selected from is compared, and how."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compiler.errors import CompileError
from compiler.export import ExportOptions, run_network
from compiler.export.frozen import check_not_frozen, run_for_candidates, ties_of
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, run_until_selection
from compiler.networks.detection import SingleStageDetector
from compiler.networks.heads.yolov3 import YOLOV3Head
from compiler.networks.layers.priors import YOLOAnchorGenerator
from compiler.proof import NETWORK, Tolerance, proof_of, prove
from compiler.selection import SelectionConfig
from compiler.selection.tail import DetectionTail
from compiler.tasks.classes import Classes
from compiler.tasks.detection import ObjectDetection
from compiler.tasks.resizing import Scaled
from tests.exporting import export

SIDE, ANCHORS = 64, [[(20, 16), (30, 40)], [(8, 12), (16, 10)], [(4, 6), (6, 4)]]
CONFIG = SelectionConfig(nms_pre=60, score_thr=0.05, conf_thr=0.005, iou_threshold=0.45, max_per_img=20)
TASK = ObjectDetection((SIDE, SIDE), Classes(("cup", "spoon")), CONFIG)
PROOF, TIGHT = proof_of(TASK), Tolerance(1e-4)


class Maps(nn.Module):
    """Feature maps of strides 32, 16 and 8."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, 4, stride, stride) for stride in (32, 16, 8))

    def forward(self, images):
        return [conv(images) for conv in self.convs]


def network(anchors=ANCHORS, strides=(32, 16, 8), levels=slice(None), decode=None, tail="native"):
    """A YOLOv3 that shouts: its scores are 1 or 0, and its boxes exponentials of large numbers."""
    torch.manual_seed(0)
    head = YOLOV3Head(2, [4] * 3, YOLOAnchorGenerator((32, 16, 8), ANCHORS), out_channels=[4] * 3)
    for predict in head.convs_pred:
        nn.init.normal_(predict.weight, std=25)
    head.anchor_generator = YOLOAnchorGenerator(strides, anchors)
    detector = SingleStageDetector(Maps(), head)
    plain = detector.decode
    detector.decode = lambda outputs, height, width: (decode or plain)(outputs[levels], height, width)
    return DetectionTail(detector, tail, vars(CONFIG)).eval().requires_grad_(False)


def swapped(outputs, height, width):
    """What is decoded with x and y in each other's place."""
    (group,) = network().network.decode(outputs, height, width)
    return (replace(group, boxes=group.boxes[..., [1, 0, 3, 2]]),)


@pytest.fixture(scope="module")
def prepared():
    images = np.random.default_rng(0).normal(0, 2, (2, 3, SIDE, SIDE)).astype("f4")
    placement = Scaled((1.0, 1.0))
    return SimpleNamespace(tensors={"input": images}, placements=(placement,) * 2, sizes=((SIDE, SIDE),) * 2)


@pytest.fixture(scope="module")
def program(prepared, tmp_path_factory):
    options = ExportOptions("dynamo", 18, {"input": ()}, TASK.outputs, PROOF)
    folder = tmp_path_factory.mktemp("program")
    return export(network(), prepared.tensors, options, folder, comparable=PROOF.comparable).path


def ways_of(network):
    """How a network is run, and how it is run for what it selects from."""
    outputs = partial(run_network, network, outputs=TASK.outputs)
    return outputs, partial(run_for_candidates, network, torch.no_grad)


def verdict(prepared, run, candidates=None):
    """The proof of a stage, against the network."""
    original, selects_from = ways_of(network())
    known = {NETWORK: selects_from, "stage": candidates}
    stages = [(NETWORK, original), ("stage", run)]
    (found,) = prove(stages, {"2x64x64": prepared}, PROOF, TIGHT, candidates=known.get)
    return found


def graph_ways(path):
    run = OnnxRuntimeSession(path, options=AS_WRITTEN).run
    return run, run_until_selection(path, PROOF.thresholds, AS_WRITTEN)


def edited(path, change, folder):
    """A copy of a Program in which something is changed."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, folder / "edited.onnx")
    return folder / "edited.onnx"


def test_the_network_is_one_whose_selection_says_nothing(prepared):
    outputs, selects_from = ways_of(network())
    found = outputs(prepared.tensors)
    assert PROOF.is_tied(found)
    assert np.abs(selects_from(prepared.tensors)["0/boxes"]).max() > 1e12
    # The same but for the order of what scores the same: other boxes are among the best.
    other = outputs({"input": prepared.tensors["input"] * np.float32(1 + 1e-6)})
    assert not np.allclose(found["dets"], other["dets"])


def test_detections_whose_scores_differ_are_compared_as_they_are():
    dets = np.zeros((1, 20, 5), np.float32)
    dets[0, :, 4] = np.linspace(0.9, 0.1, 20)
    assert not PROOF.is_tied({"dets": dets, "labels": np.zeros((1, 20), np.int64)})
    assert not PROOF.is_tied({"dets": dets, "labels": np.full((1, 20), -1)})


def test_the_program_is_proven_on_all_of_its_candidates(prepared, program):
    proof = verdict(prepared, *graph_ways(program))
    assert proof.within, proof.faults
    assert {one.output for one in proof.comparisons} == {
        f"{what} of candidates" for what in ("boxes", "scores", "factors")
    }
    (basis,) = proof.bases.values()
    boxes = 2 * 2 * (4 + 16 + 64)
    assert basis.numbers == boxes * (4 + 2 + 1)
    assert str(basis) == f"40 objects that rounding ranks, {boxes * 7} numbers of candidates"
    assert proof.worst_decoded < 1e-3


@pytest.mark.parametrize(
    "broken",
    [
        {"anchors": [[(20 * 1.01, 16), (30, 40)], *ANCHORS[1:]]},
        {"anchors": [*ANCHORS[:2], [(4, 6), (6, 4 * 1.01)]]},
        {"strides": (32, 16, 4)},
        {"levels": slice(2), "anchors": ANCHORS[:2], "strides": (32, 16)},
        {"decode": swapped},
    ],
    ids=["anchor", "small anchor", "stride", "dropped level", "x and y"],
)
def test_a_network_that_decodes_otherwise_is_not_proven(prepared, broken):
    assert not verdict(prepared, *ways_of(network(**broken))).within


def test_a_network_without_a_fault_is_proven(prepared):
    assert verdict(prepared, *ways_of(network())).within


def test_a_graph_that_suppresses_otherwise_is_not_proven(prepared, program, tmp_path):
    def keep_three(model):
        (node,) = (node for node in model.graph.node if node.op_type == "NonMaxSuppression")
        node.input[2] = "three"
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([3]), "three"))

    proof = verdict(prepared, *graph_ways(edited(program, keep_three, tmp_path)))
    assert not proof.within
    assert any("6 detections, and 20 of the network's" in fault for fault in proof.faults)


def shifted(outputs, row=3):
    """Outputs with one box elsewhere."""
    dets = outputs["dets"].copy()
    dets[0, row, :4] = dets[0, row, :4] * 1.01 + 1
    return {**outputs, "dets": dets}


def shortened(outputs):
    """Outputs that lack the last detection."""
    labels, dets = outputs["labels"].copy(), outputs["dets"].copy()
    labels[:, -1], dets[:, -1] = -1, 0
    return {"dets": dets, "labels": labels}


def relabelled(outputs):
    """Outputs in which the objects are of the other class."""
    return {**outputs, "labels": 1 - outputs["labels"]}


@pytest.mark.parametrize("are_known", [True, False])
@pytest.mark.parametrize("fault", [shifted, shortened, relabelled])
def test_a_selection_that_is_wrong_is_not_proven_whether_or_not_its_candidates_are_known(
    prepared, program, fault, are_known
):
    run, candidates = graph_ways(program)
    assert verdict(prepared, run, candidates if are_known else None).within
    proof = verdict(prepared, lambda tensors: fault(run(tensors)), candidates if are_known else None)
    assert not proof.within
    assert proof.faults


def test_an_order_that_rounding_might_have_given_is_as_good(prepared, program):
    run, candidates = graph_ways(program)

    def reordered(tensors):
        found = run(tensors)
        order = np.lexsort((-np.arange(20), -found["dets"][0, :, 4]))
        return {name: np.concatenate([array[:1, order], array[1:]]) for name, array in found.items()}

    assert verdict(prepared, reordered, candidates).within


def test_detections_that_overlap_are_no_selection(prepared, program):
    run, candidates = graph_ways(program)

    def doubled(tensors):
        found = run(tensors)
        return {
            name: np.concatenate([array[:, :1], array[:, :1], array[:, 2:]], axis=1) for name, array in found.items()
        }

    assert any("overlap" in fault or "twice" in fault for fault in verdict(prepared, doubled, candidates).faults)


HOST = proof_of(replace(TASK, tail="host", test_cfg=replace(CONFIG, max_per_img=5)))
"""There are more objects that score 1 than it keeps."""


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({}, ""),
        ({"strides": (32, 16, 4)}, "is none of the candidates"),
        ({"decode": swapped}, "none of the candidates"),
    ],
    ids=["none", "stride", "x and y"],
)
def test_an_archive_of_which_only_the_outputs_are_known_is_held_to_the_networks_candidates(prepared, broken, why):
    original, names = network(tail="host"), HOST.task.outputs
    pairs = [(prepared.tensors, run_network(original, prepared.tensors, names))]
    options = ExportOptions("dynamo", 18, {"input": ()}, names, HOST)
    ties = ties_of(original, options, torch.no_grad)
    program = network(tail="host", **broken)

    def reordered(tensors):
        return {name: array[:, ::-1] for name, array in run_network(program, tensors, names).items()}

    assert HOST.is_tied(pairs[0][1])
    with pytest.raises(CompileError) if why else nullcontext() as caught:
        check_not_frozen(reordered, pairs, options, HOST.comparable, ties)
    assert not why or why in caught.value.why
