"""Two channels of zeros beside thirty: the same numbers, in ONNX Runtime's fast layout."""

import numpy as np
import onnx
import onnxruntime
import pytest

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.pad_channels import pad_channels
from tests.rewriters.written_graphs import images, written_graph

TARGET = Target("onnxruntime")
BRANCH = """
    a = Conv <pads = [1, 1, 1, 1]> (x, first, offset)
    r = Relu (a)
    b = Conv <pads = [1, 1, 1, 1]> (r, inner)
    s = Add (b, r)
"""
"""Of thirty channels, `s` is what comes out."""
OTHERS = """
    d = Conv <pads = [1, 1, 1, 1], group = 30> (s, depthwise, offset)
    m = Mul (d, factors)
    g = GlobalAveragePool (m)
    h = HardSigmoid (g)
    w = Mul (m, h)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (w)
    u = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (p, , twice)
    z = Sigmoid (u)
    y = Conv (z, last)
"""


def model(body, channels=30, outputs="y", **weights):
    generator = np.random.default_rng(0)
    shapes = {
        "first": (channels, 3, 3, 3), "offset": (channels,), "inner": (channels, channels, 3, 3),
        "depthwise": (channels, 1, 3, 3), "factors": (channels, 1, 1), "last": (5, channels, 1, 1),
    }  # fmt: skip
    values = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    values |= {"twice": np.array([1, 1, 2, 2], np.float32), **weights}
    return written_graph("float[n, 3, h, w] x", images(outputs), body, values)


def session(graph, optimised=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if optimised:
        options.optimized_model_filepath = str(optimised)
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def in_fast_layout(graph, folder):
    """How many convolutions ONNX Runtime has in its layout."""
    session(graph, folder / "optimised.onnx")
    nodes = onnx.load(folder / "optimised.onnx").graph.node
    return sum(node.domain == "com.microsoft.nchwc" and node.op_type == "Conv" for node in nodes)


def weights(graph, name):
    (node,) = [node for node in graph.graph.node if node.name == name]
    return onnx.numpy_helper.to_array(next(one for one in graph.graph.initializer if one.name == node.input[1]))


@pytest.mark.parametrize("channels", [14, 27, 30, 54])
def test_all_that_has_the_channels_gets_more_and_computes_the_same(channels):
    graph = model(BRANCH + OTHERS.replace("30", str(channels)), channels)
    padded, entry = apply_graph_rewriter(graph, pad_channels, TARGET)
    assert (entry.status, sorted(entry.where)) == ("fired", ["b", "y"])
    wider = -(-channels // 4) * 4
    assert weights(padded, "b").shape == (wider, wider, 3, 3)
    assert not weights(padded, "b")[channels:].any()
    assert not weights(padded, "b")[:, channels:].any()
    assert weights(padded, "d").shape == (wider, 1, 3, 3)
    assert weights(padded, "y").shape == (5, wider, 1, 1)
    image = {"x": np.random.default_rng(1).normal(size=(2, 3, 8, 6)).astype(np.float32)}
    (before,), (after,) = session(graph).run(None, image), session(padded).run(None, image)
    np.testing.assert_allclose(after, before, atol=1e-5 * np.abs(before).max())


def test_the_convolutions_are_in_the_fast_layout_afterwards(tmp_path):
    if in_fast_layout(model(BRANCH + "y = Conv (s, last)", channels=32), tmp_path) != 3:
        pytest.skip("ONNX Runtime has no such layout on this processor")
    graph = model(BRANCH + "y = Conv (s, last)")
    assert in_fast_layout(graph, tmp_path) < 3
    assert in_fast_layout(apply_graph_rewriter(graph, pad_channels, TARGET)[0], tmp_path) == 3


def test_weights_that_two_convolutions_share_are_padded_for_each():
    body = BRANCH + "b2 = Conv <pads = [1, 1, 1, 1]> (s, inner)  q = Conv (b2, last)  o = Conv (x, inner_of_three)"
    graph = model(body + " y = Add (q, o)", inner_of_three=np.ones((5, 3, 1, 1), np.float32))
    padded, entry = apply_graph_rewriter(graph, pad_channels, TARGET)
    assert sorted(entry.where) == ["b", "b2", "q"]
    np.testing.assert_array_equal(weights(padded, "b"), weights(padded, "b2"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("e = Softmax <axis = 1> (s)  y = Conv (e, last)", "it adds the channels up"),
        ("e = Concat <axis = 1> (s, s)  y = Conv (e, wide)", "it counts them"),
        ("e = Log (s)  y = Conv (e, last)", "of zero it is infinite, and times zero nothing"),
        ("e = Add (s, x1)  y = Conv (e, last)", "what is added is made by no convolution"),
        ("w = Relu (last)  y = Conv (s, w)", "the weights are computed"),
        ("e = Conv <group = 2> (s, grouped)  y = Conv (e, last)", "the groups have channels of their own"),
    ],
)
def test_channels_stay_where(body, why):
    unknown = "x1 = Reshape (x, shape)" if "x1" in body else ""
    more = {
        "wide": np.ones((5, 60, 1, 1), np.float32),
        "grouped": np.ones((30, 15, 1, 1), np.float32),
        "shape": np.array([-1, 30, 8, 6]),
    }
    _, entry = apply_graph_rewriter(model(BRANCH + unknown + body, **more), pad_channels, TARGET)
    assert (entry.status, entry.reason) == ("skipped", "pattern not found"), why


def test_what_the_graph_gives_keeps_its_channels():
    _, entry = apply_graph_rewriter(model(BRANCH + "y = Conv (s, last)", outputs="y r"), pad_channels, TARGET)
    assert entry.status == "skipped"


@pytest.mark.parametrize("channels", [10, 18, 22, 32, 36, 64])
def test_channels_stay_where_nothing_is_gained(channels):
    _, entry = apply_graph_rewriter(model(BRANCH + "y = Conv (s, last)", channels), pad_channels, TARGET)
    assert entry.status == "skipped"


@pytest.mark.parametrize("target", [Target("openvino"), Target("onnxruntime", precision="int8")])
def test_it_is_for_fp32_in_onnx_runtime(target):
    assert pad_channels.conditions.unmet(target)
