"""Boxes are suppressed, and the best of them selected, in the one node that TensorRT has a fused kernel for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from rewriters import Call, Contract, graph_rewriter
from rewriters.graph.patterns import Anything, Computed, Known, Match, attribute
from rewriters.graph.tensors import constant_input, is_output, name_of

if TYPE_CHECKING:
    from rewriters import Skip

NO_SCORE = 1e-5
"""Below every score in use: TensorRT's kernel does not promise to leave out candidates that score zero."""
BEST_FIRST = {"axis": 0, "largest": 1, "sorted": 1}
INT64 = 7
"""ONNX's number for the type."""


class NativeTail:
    """The pattern of `SelectDetections` in rewriters/onnx_functions.py: NonMaxSuppression, and what orders its result.

    The static attributes name what the fused node needs; `images` is left open, since its form depends on whether the
    batch varies.
    """

    boxes, scores, images = Anything(), Anything(), Anything()
    limit, iou_threshold, score_threshold = Known(), Known(), Known()
    class_scores = Computed("Transpose", (scores,), {"perm": [0, 2, 1]})
    selected = Computed(
        "NonMaxSuppression", (boxes, class_scores, limit, iou_threshold, score_threshold), {"center_point_box": 0}
    )
    is_own = Computed("Equal", (Computed("Gather", (selected, Known([0])), {"axis": 1}), images))
    pair_scores = Computed(
        "Unsqueeze", (Computed("GatherND", (class_scores, selected), {"batch_dims": 0}), Known([-1]))
    )
    room = Known()
    padded = Computed("Pad", (Computed("Where", (is_own, pair_scores, Known(0))), room), {"mode": "constant"})
    best = Computed("Transpose", (Computed("TopK", (padded, limit), BEST_FIRST),), {"perm": None})
    order = Computed("Transpose", (Computed("TopK", (padded, limit), BEST_FIRST, output=1),), {"perm": None})
    is_found = Computed("Greater", (best, Known(0)))
    rows = Computed("Gather", (Computed("Pad", (selected, room), {"mode": "constant"}), order), {"axis": 0})
    index = Computed("Gather", (rows, Known([2])), {"axis": 2})
    labels = Computed("Where", (is_found, Computed("Gather", (rows, Known(1)), {"axis": 2}), Known(-1)))
    best_boxes = Computed("GatherND", (boxes, index), {"batch_dims": 1})
    found_boxes = Computed("Where", (Computed("Unsqueeze", (is_found, Known([-1]))), best_boxes, Known(0)))
    dets = Computed("Concat", (found_boxes, Computed("Unsqueeze", (best, Known([-1])))), {"axis": 2})


@graph_rewriter(backends={"tensorrt"}, after={"fold_constants"}, contract=Contract.exact)
def fuse_nms(call: Call, graph: gs.Graph) -> list[str] | Skip:
    """TensorRT's plugin EfficientNMS_TRT does in one kernel what NonMaxSuppression and some thirty nodes after it do.

    What it is given, and what comes out, is the same: `dets` and `labels` of a fixed number of rows, for boxes as
    corners; the definition that the model gets is equal to the last bit. The kernel itself (NVIDIA/TensorRT, Efficient
    NMS Plugin) looks at the 4096 best pairs of a box and a class, drops a box whose overlap is just the threshold, and
    takes no score below `NO_SCORE` for a detection. Which boxes it keeps, it does not tell.
    """
    places, reasons = [], []
    for node in [node for node in graph.nodes if node.op == "NonMaxSuppression"]:
        match = _tail_of(node, graph)
        reason = _obstacle(node, match, graph)
        if match is None or reason:
            reasons.append(f"{name_of(node)}: {reason}")
            continue
        _fuse(match, graph)
        places.append(name_of(node))
    return call.skip("; ".join(reasons)) if reasons and not places else places


def _tail_of(suppression: gs.Node, graph: gs.Graph) -> Match | None:
    """What the pattern stands for where it ends with the detections of this node; None if it does not."""
    for join in [node for node in graph.nodes if node.op == "Concat"]:
        match = Match(graph.opset)
        if match.add(NativeTail.dets, join.outputs[0]) and any(node is suppression for node in match.nodes):
            return _with_labels(match)
    return None


def _with_labels(match: Match) -> Match | None:
    """A match of the detections with the labels added; None if there are none."""
    for user in match.tensors[NativeTail.is_found].outputs:
        tried = match.copy()
        if tried.add(NativeTail.labels, user.outputs[0]):
            return tried
    return None


def _obstacle(node: gs.Node, match: Match | None, graph: gs.Graph) -> str:
    """Why a suppression cannot be fused; nothing if it can."""
    if attribute(node, "center_point_box", graph.opset) != 0:
        return "its boxes are given by their centres"
    if any(constant_input(node, index) is None for index in (2, 3, 4)):
        return "its thresholds are not constant"
    if match is None or not _counts_images(match):
        return "what follows it does not select the best of each image as this compiler's native tail does"
    ends = match.tensors[NativeTail.dets], match.tensors[NativeTail.labels]
    inner = [tensor for node in match.nodes for tensor in node.outputs if not any(tensor is end for end in ends)]
    own = {id(node) for node in match.nodes}
    if any(is_output(tensor, graph) or any(id(user) not in own for user in tensor.outputs) for tensor in inner):
        return "which boxes it selects is used elsewhere too"
    return ""


def _counts_images(match: Match) -> bool:
    """Tell whether the tensor that selections are compared with holds the images' numbers, 0, 1, ... in one row."""
    images = match.tensors[NativeTail.images]
    if isinstance(images, gs.Constant):
        return images.values.ndim == 2 and np.array_equal(images.values, np.arange(images.values.size)[None])
    shape = Computed("Shape", (NativeTail.boxes,), {"start": 0, "end": 1})
    count = Computed("Squeeze", (shape,))
    numbers = Computed("Unsqueeze", (Computed("Range", (Known(0), count, Known(1))), Known([0])))
    # These nodes are no part of the tail: others may use them too.
    return match.copy().add(numbers, images)


def _fuse(match: Match, graph: gs.Graph) -> None:
    dets, labels = match.tensors[NativeTail.dets], match.tensors[NativeTail.labels]
    limit, iou, score = (
        match.tensors[pattern].values.item()
        for pattern in (NativeTail.limit, NativeTail.iou_threshold, NativeTail.score_threshold)
    )
    name = f"{dets.name}__fused"
    found = [gs.Variable(f"{name}_{part}") for part in ("count", "boxes", "scores", "classes")]
    fused = gs.Node(
        "EfficientNMS_TRT",
        name,
        domain="TRT",
        inputs=[match.tensors[NativeTail.boxes], match.tensors[NativeTail.scores]],
        outputs=found,
        attrs={
            "score_threshold": max(float(score), NO_SCORE),
            "iou_threshold": float(iou),
            "max_output_boxes": int(limit),
            "background_class": -1,
            "score_activation": 0,
            "class_agnostic": 0,
            "box_coding": 0,
        },
    )
    for end in (dets, labels):
        end.inputs.clear()
    graph.nodes.extend([fused, *_selected(found, int(limit), dets, labels)])
    _define(graph)


def _define(graph: gs.Graph) -> None:
    """Let the model define the fused node, so that runtimes without the plugin can run it."""
    from onnx.helper import make_opsetid
    from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter

    from rewriters.onnx_functions import DEFINITIONS, DOMAINS

    defined = {(function.domain, function.name) for function in graph.functions}
    functions = [OnnxImporter.import_function(own.to_function_proto()) for own in DEFINITIONS]
    graph.functions.extend(own for own in functions if (own.domain, own.name) not in defined)
    imported = {entry.domain for entry in graph.import_domains or ()}
    missing = sorted(set(DOMAINS) - imported)
    graph.import_domains = [*(graph.import_domains or ()), *(make_opsetid(domain, 1) for domain in missing)]


def _selected(found: list[gs.Variable], limit: int, dets: gs.Tensor, labels: gs.Tensor) -> Iterator[gs.Node]:
    """Yield the nodes that give detections and labels; what the plugin writes behind the last one is not specified."""
    count, boxes, scores, classes = found

    def named(part: str) -> gs.Variable:
        return gs.Variable(f"{dets.name}__{part}")

    def constant(part: str, values: np.ndarray | np.generic) -> gs.Constant:
        return gs.Constant(f"{dets.name}__{part}", np.asarray(values))

    is_found, column, joined, chosen = map(named, ("is_found", "column", "joined", "chosen"))
    scores_column, last = named("scores_column"), constant("last_axis", np.array([-1], np.int64))
    places = constant("places", np.arange(limit, dtype=np.int32))
    yield gs.Node("Less", is_found.name, inputs=[places, count], outputs=[is_found])
    yield gs.Node("Unsqueeze", column.name, inputs=[is_found, last], outputs=[column])
    yield gs.Node("Unsqueeze", scores_column.name, inputs=[scores, last], outputs=[scores_column])
    yield gs.Node("Concat", joined.name, {"axis": 2}, inputs=[boxes, scores_column], outputs=[joined])
    zero, none = constant("zero", np.float32(0)), constant("no_class", np.int32(-1))
    yield gs.Node("Where", dets.name, inputs=[column, joined, zero], outputs=[dets])
    yield gs.Node("Where", chosen.name, inputs=[is_found, classes, none], outputs=[chosen])
    yield gs.Node("Cast", labels.name, {"to": INT64}, inputs=[chosen], outputs=[labels])
