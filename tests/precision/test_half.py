"""A Program in fp16 or bf16: what stays in fp32, and why."""

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper

from compiler.errors import CompileError, UsageError
from compiler.precision.half import HalfOptions, to_half
from compiler.precision.half.formats import find_format

RANDOM = np.random.default_rng(0)


def model(body, opset=18, **weights):
    """A graph from `x` to `y`, both [n, 64] in fp32, in ONNX's text form."""
    parsed = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]>\n{body}')
    parsed.graph.initializer.extend(numpy_helper.from_array(np.float32(v), name) for name, v in weights.items())
    return parsed


def graph(nodes):
    return f"g (float[n, 64] x) => (float[n, 64] y) {{ {nodes} }}"


def samples(scale=1.0, offset=0.0):
    return [{"x": np.float32(RANDOM.standard_normal((3, 64)) * scale + offset)}]


def half(model, samples, kind="fp16", **options):
    return to_half(model, samples, HalfOptions(kind, **options))


def run(model, tensors):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, tensors)[0]


def operators(model):
    return [node.op_type for node in model.graph.node]


def reasons(result):
    return {kept.operator: kept.why.partition(":")[0] for kept in result.excluded}


def types(model):
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


SCALE_NORM = graph("norm = ReduceL2 <keepdims = 1> (x, last)  bounded = Max(norm, least)  y = Div(x, bounded)")


def scale_norm():
    parsed = model(SCALE_NORM, least=0.01)
    parsed.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))
    return parsed


class TestRanges:
    def test_a_norm_whose_squares_overflow_stays(self):
        large = samples(scale=200)
        with np.errstate(over="ignore"):
            squares = np.square(large[0]["x"].astype(np.float16))
        assert np.isinf(squares).any(), "in fp16 throughout it is broken"
        result = half(scale_norm(), large)
        assert reasons(result)["ReduceL2"] == "overflows"
        assert "inside" in next(kept.why for kept in result.excluded if kept.operator == "ReduceL2")
        assert np.allclose(run(result.model, large[0]), run(scale_norm(), large[0]), atol=2e-3)

    def test_a_norm_whose_squares_vanish_stays(self):
        result = half(scale_norm(), samples(scale=5e-4))
        assert reasons(result)["ReduceL2"] == "underflows"

    def test_a_norm_of_usual_values_is_converted(self):
        result = half(scale_norm(), samples())
        assert result.excluded == ()
        assert result.half == 3

    def test_a_sum_of_exponentials_that_overflows_stays(self):
        body = graph("e = Exp(x)  sum = ReduceSum <keepdims = 1> (e)  y = Div(e, sum)")
        assert reasons(half(model(body), samples(offset=7)))["ReduceSum"] == "overflows"
        assert half(model(body), samples()).excluded == ()

    def test_a_normalisation_of_large_values_stays(self):
        body = graph("y = LayerNormalization <axis = -1> (x, scale, bias)")
        weights = {"scale": np.ones(64), "bias": np.zeros(64)}
        assert reasons(half(model(body, **weights), samples(scale=100))) == {"LayerNormalization": "overflows"}
        assert half(model(body, **weights), samples()).excluded == ()

    def test_an_output_that_overflows_stays_with_what_reads_it(self):
        body = graph("s = Mul(x, x)  r = Sqrt(s)  y = Sin(r)")
        assert reasons(half(model(body), samples(scale=100))) == {"Mul": "overflows", "Sqrt": "overflows"}

    def test_headroom_is_what_is_left_for_other_input(self):
        body, reached = graph("y = Mul(x, ten)"), [{"x": np.full((3, 64), 3000, np.float32)}]
        assert half(model(body, ten=10), reached, headroom=1.0).excluded == ()
        assert reasons(half(model(body, ten=10), reached, headroom=4.0)) == {"Mul": "overflows"}

    def test_an_epsilon_that_would_vanish_stays_with_the_division_that_it_guards(self):
        body = graph("n = Abs(x)  safe = Add(n, epsilon)  y = Div(x, safe)")
        zeros = [{"x": np.float32(RANDOM.integers(-1, 2, (3, 64)))}]
        assert np.float16(1e-8) == 0
        result = half(model(body, epsilon=1e-8), zeros)
        assert reasons(result) == {"Add": "underflows", "Div": "underflows"}
        assert np.array_equal(run(result.model, zeros[0]), zeros[0]["x"])
        assert half(model(body, epsilon=1e-3), zeros).excluded == ()

    def test_a_constant_that_does_not_fit_is_not_clipped(self):
        body = graph("y = Min(x, bound)")
        result = half(model(body, bound=3e38), samples())
        assert reasons(result) == {"Min": "overflows"}
        assert [t.data_type for t in result.model.graph.initializer] == [TensorProto.FLOAT]
        assert half(model(body, bound=np.inf), samples()).excluded == ()

    def test_bf16_has_the_range_of_fp32(self):
        assert half(scale_norm(), samples(scale=200), "bf16").excluded == ()


def chain(length, before="x0 = Identity(x)", **constants):
    """Multiply and squash again and again: every step rounds, none more than another."""
    steps = "".join(f"  m{i} = MatMul(x{i}, weight)  x{i + 1} = Tanh(m{i})" for i in range(length // 2))
    weight = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 64)))[0]
    return model(graph(f"{before}{steps}  y = Identity(x{length // 2})"), weight=weight, **constants)


class TestErrors:
    # The differences between neighbours are 1, and fp16 knows every eighth number here.
    CANCELLING = graph("large = Add(x, offset)  moved = Identity(large)  small = Sub(moved, offset)  y = Sin(small)")

    def test_a_difference_of_large_numbers_stays(self):
        result = half(model(self.CANCELLING, offset=9000), samples())
        assert {"Add", "Identity", "Sub"} <= reasons(result).keys()
        assert "cancels" in reasons(result).values()
        assert max(result.errors.values()) <= 0.1

    def test_a_difference_of_small_numbers_is_converted(self):
        assert half(model(self.CANCELLING, offset=2), samples()).excluded == ()

    @pytest.mark.parametrize(("kind", "tolerance", "converted"), [("fp16", 0.01, 4), ("bf16", 0.01, 0)])
    def test_bf16_cancels_where_fp16_does_not(self, kind, tolerance, converted):
        result = half(model(self.CANCELLING, offset=2), samples(), kind, tolerance=tolerance)
        assert (result.half == 4) == bool(converted)
        assert max(result.errors.values()) <= tolerance

    @pytest.mark.parametrize(("kind", "converted"), [("fp16", 1), ("bf16", 4)])
    def test_each_format_has_a_tolerance_of_its_own(self, kind, converted):
        moved = {"fp16": 1024, "bf16": 32}[kind]  # the errors are about 0.3 σ
        result = half(model(self.CANCELLING, offset=moved), samples(), kind)
        assert 0.1 < max(half(model(self.CANCELLING, offset=moved), samples(), kind, tolerance=9).errors.values()) < 1
        assert result.half == converted

    def test_an_error_that_is_everywhere_sends_nothing_back_and_is_reported(self):
        result = half(chain(40), samples(), tolerance=1e-4)
        assert result.excluded == ()
        assert 1e-4 < max(result.errors.values()) < 0.1

    def test_a_cancellation_within_it_still_goes_back(self):
        cancelling = "large = Add(x, offset)  moved = Identity(large)  x0 = Sub(moved, offset)"
        result = half(chain(40, before=cancelling, offset=10000), samples(), tolerance=1e-4)
        assert [kept.operator for kept in result.excluded] == ["Add", "Identity", "Sub"]
        assert 1e-4 < max(result.errors.values()) < 0.1

    def test_where_it_can_be_brought_within_the_tolerance_it_is(self):
        cancelling = "large = Add(x, offset)  moved = Identity(large)  x0 = Sub(moved, offset)"
        result = half(chain(40, before=cancelling, offset=10000), samples(), tolerance=0.1)
        assert [kept.operator for kept in result.excluded] == ["Add", "Identity", "Sub"]
        assert max(result.errors.values()) <= 0.1

    def test_the_simulated_error_is_that_of_the_model(self):
        body, given_samples = graph("m = MatMul(x, w)  y = Tanh(m)"), samples()
        original = model(body, w=RANDOM.standard_normal((64, 64)) / 8)
        result = half(original, given_samples)
        exact = run(original, given_samples[0])
        found = np.abs(run(result.model, given_samples[0]) - exact).max() / exact.std()
        assert found == pytest.approx(result.errors["y"], rel=0.5)


class TestGraph:
    def test_inputs_and_outputs_stay_in_fp32(self):
        result = half(model(graph("a = Relu(x)  y = Neg(a)")), samples())
        assert operators(result.model) == ["Cast", "Relu", "Neg", "Cast"]
        found = types(result.model)
        assert (found["x"], found["y"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
        assert result.model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"

    def test_a_tensor_is_cast_once_for_all_that_read_it(self):
        result = half(model(graph("a = Relu(x)  b = Neg(x)  c = Add(a, b)  y = Add(c, x)")), samples())
        assert operators(result.model).count("Cast") == 2

    def test_a_constant_is_converted_and_not_cast(self):
        body = graph("a = Mul(x, w)  b = Sin(a)  y = Mul(b, w)")
        result = half(model(body, w=np.ones(64)), samples())
        assert [t.data_type for t in result.model.graph.initializer] == [TensorProto.FLOAT16]
        assert operators(result.model).count("Cast") == 2

    def test_a_constant_that_both_precisions_read_is_there_in_both(self):
        body = graph("a = Mul(x, w)  b = Sin(a)  y = Add(b, w)")
        result = half(model(body, w=np.ones(64)), samples(), exclude=("Add",))
        assert sorted(t.data_type for t in result.model.graph.initializer) == [TensorProto.FLOAT, TensorProto.FLOAT16]

    def test_no_cast_follows_another(self):
        body = graph("i = Cast <to = 7> (x)  f = Cast <to = 1> (i)  y = Mul(f, x)")
        result = half(model(body), samples(scale=5))
        casts = [node for node in result.model.graph.node if node.op_type == "Cast"]
        made = {name: node for node in casts for name in node.output}
        floating = {TensorProto.FLOAT, TensorProto.FLOAT16}
        assert result.half == 1
        for node in casts:
            before = made.get(node.input[0])
            assert before is None or not {node.attribute[0].i, before.attribute[0].i} <= floating

    def test_a_cast_that_changed_nothing_casts_nothing_in_16_bits(self):
        result = half(model(graph("a = Relu(x)  b = Cast <to = 1> (a)  y = Neg(b)")), samples())
        assert operators(result.model) == ["Cast", "Relu", "Identity", "Neg", "Cast"]

    def test_a_cast_to_what_is_16_bits_wide_already_casts_nothing(self):
        body = graph("h = Cast <to = 10> (x)  s = Sign(h)  b = Cast <to = 1> (s)  y = Neg(b)")
        result = half(model(body), samples())
        assert operators(result.model) == ["Cast", "Sign", "Identity", "Neg", "Cast"]

    def test_an_output_that_is_read_again_is_both(self):
        body = "g (float[n, 64] x) => (float[n, 64] y, float[n, 64] z) { y = Relu(x)  z = Neg(y) }"
        result = half(model(body), samples())
        assert operators(result.model) == ["Cast", "Relu", "Cast", "Neg", "Cast"]

    def test_scales_of_a_resize_stay_in_fp32(self):
        body = """g (float[n, 1, 8, 8] x) => (float[n, 1, 16, 16] y) {
            a = Relu(x)  y = Resize <mode = "nearest"> (a, , scales) }"""
        result = half(model(body, scales=[1, 1, 2, 2]), [{"x": np.ones((1, 1, 8, 8), np.float32)}])
        assert result.half == 2
        assert {t.name: t.data_type for t in result.model.graph.initializer} == {"scales": TensorProto.FLOAT}

    def test_a_constant_node_counts_as_a_constant(self):
        body = graph("two = Constant <value_float = 2.0> ()  y = Mul(x, two)")
        assert operators(half(model(body), samples()).model) == ["Cast", "Mul", "Cast"]

    def test_the_given_model_is_left_as_it_is(self):
        given_model = scale_norm()
        before = given_model.SerializeToString()
        half(given_model, samples())
        assert given_model.SerializeToString() == before

    def test_twice_gives_the_same(self):
        first, second = (half(scale_norm(), [{"x": np.ones((3, 64), np.float32)}]).model for _ in range(2))
        assert first.SerializeToString() == second.SerializeToString()


class TestWhatTakesNoHalf:
    @staticmethod
    def with_function():
        body = """g (float[n, 64] x) => (float[n, 64] y) { a = Relu(x)  b = own.twice(a)  y = Neg(b) }
            <domain: "own", opset_import: ["": 18]> twice (p) => (q) { q = Add(p, p) }"""
        return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 18, "own": 1]>\n{body}')

    def test_a_selection_and_what_follows_it_stay(self):
        body = """g (float[n, 64] x) => (float[n, 4] y) {
            w = Mul(x, x)  m = MatMul(w, eye)  s = Sigmoid(m)  v, i = TopK(s, k)  y = Neg(v) }"""
        original = model(body, eye=np.eye(64))
        original.graph.initializer.append(numpy_helper.from_array(np.array([4]), "k"))
        result = half(original, samples())
        assert reasons(result) == {
            "Sigmoid": "leads to a selection alone", "TopK": "follows a selection", "Neg": "follows a selection"
        }  # fmt: skip
        assert list(result.errors) == ["s"]
        assert result.half == 2

    @pytest.mark.parametrize("kind", ["fp16", "bf16"])
    def test_a_local_function_stays(self, kind):
        result = half(self.with_function(), samples(), kind)
        assert reasons(result) == {"twice": f"takes no {kind}"}
        assert [function.name for function in result.model.functions] == ["twice"]

    def test_a_local_function_runs_in_fp32(self):
        result = half(self.with_function(), samples())
        assert run(result.model, {"x": np.ones((1, 64), np.float32)}).tolist() == [[-2.0] * 64]

    def test_a_branch_stays_and_reads_fp32(self):
        body = """g (float[n, 64] x, bool c) => (float[n, 64] y) {
            a = Relu(x)  b = Neg(a)
            d = If (c) <then_branch = t () => (float[n, 64] p) { p = Abs(b) },
                        else_branch = e () => (float[n, 64] q) { q = Neg(b) }>
            y = Sin(d) }"""
        result = half(model(body), [{**samples()[0], "c": np.array(True)}])
        assert reasons(result) == {"Neg": "the body of a branch or a loop reads it", "If": "takes no fp16"}
        assert result.half == 2
        for condition in (True, False):
            given_tensors = {"x": np.ones((1, 64), np.float32), "c": np.array(condition)}
            assert np.allclose(run(result.model, given_tensors), run(model(body), given_tensors), atol=1e-3)


class TestAskedFor:
    @pytest.mark.parametrize("pattern", ["Relu", "Re*", "first", "f?rst"])
    def test_a_node_is_kept_by_its_type_its_name_or_a_pattern(self, pattern):
        original = model(graph("a = Relu(x)  y = Neg(a)"))
        original.graph.node[0].name = "first"
        result = half(original, samples(), exclude=(pattern,))
        assert reasons(result) == {"Relu": "asked for"}

    def test_a_pattern_that_matches_nothing_is_an_error(self):
        with pytest.raises(UsageError, match="did you mean Relu"):
            half(model(graph("y = Relu(x)")), samples(), exclude=("Rellu",))

    def test_an_unknown_format_is_an_error(self):
        with pytest.raises(UsageError, match="did you mean fp16"):
            half(model(graph("y = Relu(x)")), samples(), "f16")

    def test_no_samples_are_an_error(self):
        with pytest.raises(CompileError, match="nothing to measure fp16 on"):
            half(model(graph("y = Relu(x)")), [])

    def test_bf16_converts_to_the_operator_set_whose_convolutions_take_it(self):
        result = half(model(graph("y = Relu(x)")), samples(), "bf16")
        assert result.model.opset_import[0].version == 22

    def test_an_operator_set_that_cannot_be_converted_is_an_error(self):
        old = model(graph("y = Scatter(x, places, x)"), opset=8)
        with pytest.raises(CompileError, match="cannot be converted from opset 8 to 13"):
            half(old, samples())

    def test_samples_of_another_shape_are_an_error(self):
        with pytest.raises(CompileError, match="does not run on this input"):
            half(model(graph("y = Relu(x)")), [{"x": np.ones((1, 3), np.float32)}])


UNARY = ["Relu", "Sigmoid", "Neg", "Exp", "Abs", "Softmax", "Identity"]
BINARY = ["Add", "Sub", "Mul", "Max"]


@st.composite
def graphs(draw):
    """A chain of operators, each of which reads what any two before it made, or a constant."""
    names, nodes = ["x", "w"], []
    for index in range(draw(st.integers(1, 6))):
        operator = draw(st.sampled_from(UNARY + BINARY))
        read = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2))
        nodes.append(f"t{index} = {operator}({', '.join(read[: 1 + (operator in BINARY)])})")
        names.append(f"t{index}")
    nodes.append(f"y = Add({names[-1]}, x)")
    return "  ".join(nodes)


@settings(max_examples=15, deadline=None)
@given(graphs(), st.floats(-3, 3), st.sampled_from(["fp16", "bf16"]))
def test_any_graph_is_valid_and_within_the_tolerance_or_says_what_it_kept(nodes, weight, kind):
    original, x = model(graph(nodes), w=[weight]), {"x": np.linspace(-2, 2, 128, dtype=np.float32).reshape(2, 64)}
    result = half(original, [x], kind)
    onnx.checker.check_model(result.model, full_check=True)
    floating = [node for node in original.graph.node if node.op_type != "Cast"]
    assert result.half + len(result.excluded) == len(floating)
    assert max(result.errors.values()) <= find_format(kind).tolerance
    if kind == "fp16":
        exact = run(original, x)
        assert np.abs(run(result.model, x) - exact).max() <= 0.15 * (exact.std() or 1)
