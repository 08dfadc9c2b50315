"""What NVIDIA's libraries cannot take is said before anything is built: the tables, and how graphs meet them."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.artifact import OnnxProgram
from compiler.backends.facts import ANY_OPERATOR, Condition, read_facts
from compiler.backends.facts.nodes import places
from compiler.backends.nvidia.plan import plan
from compiler.config.composition import compose
from rewriters import discover

LIBRARIES = ("tensorrt", "tensorrt_rtx")


def parsed(text, opset=18, domains=""):
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}{domains}]> {text}')


@pytest.fixture
def planned(tmp_path):
    """Plan for a graph in ONNX's text format; return the obstacles."""

    def obstacles(text, library="tensorrt_rtx", version="", capabilities=("SM86",), **model):
        path = tmp_path / "program.onnx"
        onnx.save(text if isinstance(text, onnx.ModelProto) else parsed(text, **model), path)
        return plan(OnnxProgram(path, (), (), 18, 0), library, version, capabilities)

    return obstacles


def limited_top_k(bound):
    """K is computed from the input's size, and at most `bound`."""
    return f"""g (float[n] x) => (float[k] values, int64[k] indices) <int64[1] most = {{{bound}}}> {{
        size = Shape (x)
        scalar = Min (size, most)
        k = Reshape (scalar, one)
        one = Constant <value_ints = [1]> ()
        values, indices = TopK (x, k)
    }}"""


def test_what_is_supported_is_no_obstacle(planned):
    assert planned("g (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Relu (x) }") == ()


def test_an_operator_that_is_in_no_table_is_one(planned):
    (obstacle,) = planned("g (float[2, 2] x) => (float y) { [first] y = Det (x) }")
    assert (obstacle.operator, obstacle.node, obstacle.why) == ("Det", "first", "TensorRT-RTX has no such operator")
    assert obstacle.seen == read_facts("tensorrt_rtx").seen


def test_nodes_alike_are_one_obstacle(planned):
    (obstacle,) = planned("g (float[2, 2] x) => (float a, float b) { [first] a = Det (x) [second] b = Det (x) }")
    assert obstacle.node == "first, second"


def test_a_suppression_is_left_to_the_host_only_where_it_has_to_be(planned):
    text = """g (float[1, 9, 4] boxes, float[1, 2, 9] scores) => (int64[n, 3] y) <int64 most = {3}> {
        y = NonMaxSuppression (boxes, scores, most)
    }"""
    (obstacle,) = planned(text)
    assert (obstacle.operator, obstacle.fix) == ("NonMaxSuppression", "tail=host")
    assert planned(text, library="tensorrt") == ()


@pytest.mark.parametrize("library", LIBRARIES)
def test_k_may_be_3840_and_no_more(planned, library):
    assert planned(limited_top_k(3840), library=library) == ()
    (obstacle,) = planned(limited_top_k(3841), library=library)
    assert (obstacle.operator, obstacle.fix) == ("TopK", "model.processing.test_cfg.nms_pre=3840")


def test_an_unbounded_k_is_not_held_against_it(planned):
    assert planned("g (float[n] x) => (float[k] v, int64[k] i) { k = Shape (x) v, i = TopK (x, k) }") == ()


def test_matrix_products_in_fp32_are_an_obstacle_on_turing_alone(planned):
    text = "g ({0}[4, 4] x) => ({0}[4, 4] y) {{ y = MatMul (x, x) }}"
    (obstacle,) = planned(text.format("float"), capabilities=("SM75", "SM120"))
    assert (obstacle.operator, obstacle.fix) == ("MatMul", "precision=fp16")
    assert planned(text.format("float"), capabilities=("SM86", "SM120")) == ()
    assert planned(text.format("float16"), capabilities=("SM75", "SM120")) == ()


def test_a_gpu_that_the_library_does_not_build_for_is_an_obstacle(planned):
    text = "g (float[4] x) => (float[4] y) { y = Relu (x) }"
    (obstacle,) = planned(text, capabilities=("SM90",))
    assert "not for SM90" in obstacle.why
    assert planned(text, library="tensorrt", capabilities=("SM90",)) == ()


def test_the_version_counts_where_it_is_known(planned):
    text = "g (float[4] x) => (float[4] y) { y = Swish (x) }"
    assert planned(text, library="tensorrt", version="11.4.0", opset=24) == ()
    (obstacle,) = planned(text, library="tensorrt", version="10.15.1", opset=24)
    assert obstacle.operator == "Swish"


def test_the_fused_suppression_is_a_plugin_of_tensorrt_alone(planned):
    model = fused_suppression()
    assert planned(model, library="tensorrt") == ()
    (obstacle,) = planned(model)
    assert (obstacle.operator, obstacle.fix) == ("NonMaxSuppression", "tail=host")


def fused_suppression():
    """A model that defines EfficientNMS_TRT itself, here simply as NonMaxSuppression."""
    model = parsed(
        """g (float[1, 9, 4] boxes, float[1, 2, 9] scores) => (int64[n, 3] y) {
            y = TRT.EfficientNMS_TRT (boxes, scores)
        }""",
        domains=', "TRT" : 1',
    )
    body = [onnx.helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["y"])]
    opsets = [onnx.helper.make_opsetid("", 18)]
    model.functions.append(
        onnx.helper.make_function("TRT", "EfficientNMS_TRT", ["boxes", "scores"], ["y"], body, opsets)
    )
    return model


def test_bodies_of_control_flow_are_looked_into_with_what_is_around_them(planned):
    text = """g (bool c, float[9] x) => (float[k] y) <int64[1] many = {4000}> {
        y = If (c) <
            then_branch = yes () => (float[k] values) { values, indices = TopK (x, many) },
            else_branch = no () => (float[k] same) { same = Identity (x) }
        >
    }"""
    assert [obstacle.operator for obstacle in planned(text)] == ["TopK"]


def test_types_follow_through_the_graph(planned):
    text = "g (float[4] x) => (float[4] y) { short = Cast <to = 5> (x) y = Cast <to = 1> (short) }"
    (obstacle,) = planned(text)
    assert (obstacle.operator, obstacle.why) == ("Cast", "there is no such type")


def test_large_weights_are_known_too(planned):
    model = parsed("g (float[40, 40] x) => (float[40, 40] y) { scales = Cast <to = 1> (short) y = Mul (x, scales) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((40, 40), np.int16), "short"))
    (obstacle,) = planned(model)
    assert (obstacle.operator, obstacle.why) == ("Cast", "there is no such type")


@pytest.mark.parametrize("library", LIBRARIES)
def test_tables_speak_of_operators_that_exist(library):
    facts = read_facts(library)
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    known |= {ANY_OPERATOR, "TRT::EfficientNMS_TRT"}
    assert facts.supported <= known
    assert {operator for limit in facts.limits for operator in limit.operators} <= known
    for limit in facts.limits:
        named = set(limit.operators) - facts.supported - {ANY_OPERATOR}
        assert not named or limit.when == Condition(), f"{named} is refused anyway: {limit.why} needs no condition"


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_fix_is_a_rewriter_or_overrides_that_compose(library):
    rewriters = {rewriter.name for rewriter in discover("compiler.networks")}
    for fix in {limit.fix for limit in read_facts(library).limits} - {""}:
        assert fix in rewriters or compose([f"backend={library}", "model=rtmdet-tiny", *fix.split()])


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_fact_says_where_it_is_known_from(library):
    assert all(limit.why and limit.seen for limit in read_facts(library).limits)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4))
def test_the_bound_of_k_is_the_smallest_of_what_it_is_the_minimum_of(limits):
    constants = ", ".join(f"int64 c{at} = {{{limit}}}" for at, limit in enumerate(limits))
    names = ", ".join(f"c{at}" for at in range(len(limits)))
    text = f"""g (float[n] x) => (float[k] v, int64[k] i) <{constants}, int64[1] one = {{1}}> {{
        size = Size (x)
        k = Min (size, {names})
        row = Reshape (k, one)
        v, i = TopK (x, row)
    }}"""
    (top_k,) = [place for place in places(parsed(text), ()) if place.operator == "TopK"]
    assert top_k.bound(1) == min(limits)
