"""A Focus and its convolution as one convolution of every second pixel."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from compiler.networks.backbones.csp_darknet import Focus
from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fold_focus_into_convolution import fold_focus_into_convolution
from tests.rewriters.written_graphs import images, written_graph

TARGET = Target("onnxruntime")
END = 2**63 - 1
FOCUS = """
    top = Slice (x, zero, end, rows, two)
    bottom = Slice (x, one, end, rows, two)
    a = Slice (top, zero, end, columns, two)
    b = Slice (bottom, zero, end, columns, two)
    c = Slice (top, one, end, columns, two)
    d = Slice (bottom, one, end, columns, two)
"""
SQUARES = "s = Concat <axis = 1> (a, b, c, d)"
CONVOLVED = "y = Conv <pads = [1, 1, 1, 1]> (s, w, o)"


def model(body, outputs="y", **weights):
    numbers = {
        "zero": [0], "one": [1], "two": [2], "three": [3], "end": [END], "seven": [7], "rows": [2], "columns": [3],
        "both": [2, 3], "ones": [1, 1], "zeros": [0, 0], "ends": [END, END], "twos": [2, 2],
    }  # fmt: skip
    generator = np.random.default_rng(0)
    values = {name: np.array(value, np.int64) for name, value in numbers.items()}
    values |= {
        "w": generator.normal(size=(5, 12, 3, 3)).astype(np.float32),
        "o": generator.normal(size=5).astype(np.float32),
        **weights,
    }
    return written_graph("float[n, 3, 12, 8] x", images(outputs), body, values)


def run(graph, image):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})


def assert_same(before, after):
    image = np.random.default_rng(1).normal(size=(2, 3, 12, 8)).astype(np.float32)
    for first, second in zip(run(before, image), run(after, image), strict=True):
        np.testing.assert_allclose(second, first, atol=2e-6 * np.abs(first).max())


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        (FOCUS + SQUARES + CONVOLVED, {}),
        (FOCUS + SQUARES + "y = Conv (s, w)", {"w": np.random.default_rng(2).normal(size=(5, 12, 1, 1))}),
        (FOCUS + SQUARES + "y = Conv <pads = [0, 1, 2, 3]> (s, w)", {}),
        (FOCUS + "s = Concat <axis = -3> (d, a, c, b)" + CONVOLVED, {}),
        (
            """a = Slice (x, zeros, ends, both, twos)  d = Slice (x, ones, ends, both, twos)
            top = Slice (x, zero, end, rows, two)  c = Slice (top, one, end, columns, two)
            left = Slice (x, zero, end, columns, two)  b = Slice (left, one, end, rows, two)"""
            + SQUARES
            + CONVOLVED,
            {},
        ),
    ],
    ids=["3x3", "1x1", "uneven pads", "another order", "otherwise sliced"],
)
def test_a_focus_becomes_one_convolution(body, weights):
    graph = model(body, **{name: value.astype(np.float32) for name, value in weights.items()})
    folded, entry = apply_graph_rewriter(graph, fold_focus_into_convolution, TARGET)
    assert (entry.status, entry.where) == ("fired", ("y",))
    assert [node.op_type for node in folded.graph.node] == ["Conv"]
    assert_same(graph, folded)


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_the_focus_of_yolox_is_one(export, operators, dynamo):
    network = nn.Sequential(Focus(3, 4, 3, act_cfg={"type": "ReLU"}))
    graph = export(network, torch.randn(2, 3, 12, 8), dynamo=dynamo)
    if not dynamo:
        graph = with_constants_inside(graph)
    folded, entry = apply_graph_rewriter(graph, fold_focus_into_convolution, TARGET)
    assert entry.status == "fired"
    assert operators(folded) == ["Conv", "Relu"]


def with_constants_inside(graph):
    """What `fold_constants` does before, since it comes first in the alphabet."""
    from rewriters.graph.fold_constants import fold_constants

    return onnx.shape_inference.infer_shapes(apply_graph_rewriter(graph, fold_constants, TARGET)[0])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (FOCUS + "s = Concat <axis = 1> (a, a, c, d)" + CONVOLVED, "a pixel is there twice"),
        (FOCUS + SQUARES + "y = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (s, w)", "it goes by twos already"),
        (FOCUS + SQUARES + "y = Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (s, w)", "it leaves pixels out"),
        (FOCUS + SQUARES + "y = Conv <group = 4> (s, grouped)", "each group has pixels of its own"),
        (FOCUS + SQUARES + "v = Relu (w)  y = Conv (s, v)", "the weights are computed"),
        (FOCUS.replace("end, rows", "seven, rows") + SQUARES + CONVOLVED, "rows are cut off"),
        (FOCUS.replace("one, end, columns", "three, end, columns") + "y = Concat <axis = 1> (c, d)", "no convolution"),
        (
            FOCUS.replace("d = Slice (bottom", "n = Neg (x) e = Slice (n, one, end, rows, two) d = Slice (e")
            + SQUARES
            + CONVOLVED,
            "another image",
        ),
    ],
)
def test_what_is_nearly_one_stays(body, why):
    graph = model(body, grouped=np.ones((4, 3, 3, 3), np.float32))
    _, entry = apply_graph_rewriter(graph, fold_focus_into_convolution, TARGET)
    assert (entry.status, entry.reason) == ("skipped", "pattern not found"), why


def test_squares_that_something_else_reads_stay():
    graph = model(FOCUS + SQUARES + CONVOLVED, outputs="y s")
    assert apply_graph_rewriter(graph, fold_focus_into_convolution, TARGET)[1].status == "skipped"
