import importlib

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.split_top_k import split_top_k

TARGET = Target("tensorrt_rtx")
MODULE = importlib.import_module("rewriters.graph.split_top_k")


def best_values(limit, *, outputs="float[b, k] values", attributes="axis = -1", type="float"):
    """Up to `limit` values of each row, fewer where it is shorter."""
    return onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : 18]>
        g ({type}[b, n] x) => ({outputs}) <int64[1] limit = {{{limit}}}> {{
            length = Shape <start = 1> (x)
            k = Min (length, limit)
            values, places = TopK <{attributes}> (x, k)
        }}""")


def split(model):
    changed, entry = apply_graph_rewriter(onnx.shape_inference.infer_shapes(model), split_top_k, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    return changed


def run(model, x):
    (values,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    return values


def operators(model):
    return [node.op_type for node in model.graph.node]


def test_no_node_finds_more_than_the_library_can():
    model = best_values(9000)
    changed = split(model)
    assert operators(changed).count("TopK") == 3
    x = np.random.default_rng(0).integers(0, 500, (2, 20000)).astype("f4")  # with many ties
    for length in (20000, 9001, 5000, 100):
        assert np.array_equal(run(model, x[:, :length]), run(changed, x[:, :length]))
    (at_once,) = {node.input[1] for node in changed.graph.node if node.op_type == "TopK"}
    (least,) = [node for node in changed.graph.node if at_once in node.output]
    (most,) = [onnx.numpy_helper.to_array(weight) for weight in changed.graph.initializer if weight.name in least.input]
    assert (least.op_type, most.tolist()) == ("Min", [3840])


@pytest.fixture(scope="module")
def in_twos():
    """Models of each order before and after, as for a library that finds two at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "MOST", 2)
        models = [best_values(5, attributes=f"largest = {largest}, sorted = 1") for largest in (0, 1)]
        return [(model, split(model)) for model in models]


VALUES = st.sampled_from([0.0, 1.0, -np.inf, np.inf]) | st.floats(width=32, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(x=arrays("f4", st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=VALUES))
def test_values_are_those_of_one_node_ties_and_infinities_too(in_twos, x):
    for model, changed in in_twos:
        assert np.array_equal(run(model, x), run(changed, x))


def test_a_node_that_finds_as_many_as_the_library_can_stays():
    model = best_values(3840)
    same, entry = apply_graph_rewriter(model, split_top_k, TARGET)
    assert same is model
    assert entry.reason == "pattern not found"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            best_values(5000, outputs="float[b, k] values, int64[b, k] places"),
            "the places of the values are needed too",
        ),
        (best_values(5000, outputs="int32[b, k] values", type="int32"), "not known to be floating-point numbers"),
        (
            onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 18]>
                g (float[n] x, int64[1] k) => (float[m] values) { values, places = TopK (x, k) }"""),
            "does not say how large K can be",
        ),
        (best_values(16 * 3840 + 1), "it would take 17 rounds"),
    ],
    ids=["places", "integers", "unbounded", "too many"],
)
def test_what_cannot_be_split_exactly_stays(model, reason):
    same, entry = apply_graph_rewriter(onnx.shape_inference.infer_shapes(model), split_top_k, TARGET)
    assert entry.status == "skipped"
    assert reason in entry.reason
    assert operators(same).count("TopK") == 1
