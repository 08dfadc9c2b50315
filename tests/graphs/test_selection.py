"""Where a graph begins to select."""

import onnx
import pytest

from compiler.graphs import before_selection


def graph(body, outputs="float[n] y"):
    text = f"""<ir_version: 9, opset_import: ["" : 18, "TRT" : 1]> g (float[1, 9, 4] x, float[1, 2, 9] s) => ({outputs})
        <int64[1] k = {{3}}, int64[1] one = {{1}}> {{ {body} }}"""
    return onnx.parser.parse_model(text)


def test_a_graph_that_selects_nothing_is_judged_by_its_outputs():
    assert before_selection(graph("a = Relu (x) y = Neg (a) z = Abs (a)", "float[n] y, float[n] z")) == ("y", "z")


def test_what_is_selected_from_and_what_is_taken_by_it_count_and_nothing_behind_them():
    model = graph("""
        scores = Sigmoid (s)  boxes = Exp (x)
        best, places = TopK (scores, k)
        taken = Gather <axis = 1> (boxes, places)
        y = Neg (taken)
    """)
    assert before_selection(model) == ("scores", "boxes")


def test_an_output_beside_the_selection_counts_too():
    model = graph("a = Relu (s) y, i = TopK (a, k) z = Neg (a) w = Neg (x)", "float[n] y, float[m] z, float[l] w")
    assert before_selection(model) == ("a", "z", "w")


@pytest.mark.parametrize(
    "selection",
    [
        "y = NonMaxSuppression (b, c, k)",
        "y = Compress (b, c)",
        "y = TRT.EfficientNMS_TRT (b, c)",
        "i = ArgMax (c) y = Mul (b, i)",
    ],
)
def test_other_selections(selection):
    assert set(before_selection(graph(f"b = Relu (x) c = Relu (s) {selection}"))) == {"b", "c"}


def test_an_input_is_computed_by_nobody():
    assert before_selection(graph("y, i = TopK (s, k)")) == ()


def with_function(inside):
    model = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 18, "mine" : 1]>
        g (float[1, 9] x) => (float[n] y) {{ b = Relu (x)  c = mine.choose (b)  y = Neg (c) }}
        <domain: "mine", opset_import: ["" : 18]> choose (s) => (r) {{ {inside} }}""")
    return before_selection(model)


def test_a_selection_inside_a_function_is_one_and_a_function_without_is_none():
    assert with_function("k = Constant <value_ints = [3]> ()  r, i = TopK (s, k)") == ("b",)
    assert with_function("r = Neg (s)") == ("y",)


def test_a_selection_inside_a_branch_is_one():
    model = graph("""b = Relu (x)  c = Relu (s)  y = If (yes) <
        then_branch = t () => (float[n] p) { p, i = TopK (c, k) },
        else_branch = e () => (float[n] q) { q = Neg (b) } >""")
    model.graph.input.append(onnx.helper.make_tensor_value_info("yes", onnx.TensorProto.BOOL, []))
    assert set(before_selection(model)) == {"b", "c"}
