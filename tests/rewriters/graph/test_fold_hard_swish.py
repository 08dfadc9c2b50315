"""What is written out of a hard-swish, in each way that exporters and hands write it."""

import numpy as np
import onnxruntime
import pytest

from rewriters import Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fold_hard_swish import fold_hard_swish
from tests.rewriters.written_graphs import written_graph

TARGET = Target("onnxruntime")
CLIPPED = "a = Add (x, three)  c = Clip (a, zero, six)"


def model(body, outputs="y", **numbers):
    values = {"three": 3.0, "zero": 0.0, "six": 6.0, "sixth": 1 / 6, "five": 5.0, "one": 1.0, **numbers}
    return written_graph(
        "float[n, 4] x",
        ", ".join(f"float[n, 4] {name}" for name in outputs.split()),
        body,
        {name: np.float32(value) for name, value in values.items()},
    )


def run(graph):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.linspace(-8, 8, 32, dtype=np.float32).reshape(8, 4)})[0]


@pytest.mark.parametrize(
    "body",
    [
        f"{CLIPPED}  m = Mul (x, c)  y = Div (m, six)",
        f"{CLIPPED}  m = Mul (c, x)  y = Mul (sixth, m)",
        f"{CLIPPED}  d = Div (c, six)  y = Mul (x, d)",
        f"{CLIPPED}  d = Mul (c, sixth)  y = Mul (d, x)",
        "a = Add (three, x)  c = Clip (a, zero, six)  d = Div (x, six)  y = Mul (d, c)",
    ],
)
def test_a_hard_swish_becomes_one_operator(body):
    graph = model(body)
    folded, entry = apply_graph_rewriter(graph, fold_hard_swish, TARGET)
    assert (entry.status, entry.where) == ("fired", ("y",))
    assert [node.op_type for node in folded.graph.node] == ["HardSwish"]
    np.testing.assert_allclose(run(folded), run(graph), atol=2e-6)


@pytest.mark.parametrize(
    "body",
    [
        f"{CLIPPED}  m = Mul (x, c)  y = Div (m, five)",
        f"{CLIPPED}  m = Mul (x, c)  y = Div (six, m)",
        f"{CLIPPED}  y = Mul (x, c)",
        f"{CLIPPED}  n = Neg (x)  m = Mul (n, c)  y = Div (m, six)",
        "a = Add (x, five)  c = Clip (a, zero, six)  m = Mul (x, c)  y = Div (m, six)",
        "a = Add (x, three)  c = Clip (a, one, six)  m = Mul (x, c)  y = Div (m, six)",
        "a = Sub (x, three)  c = Clip (a, zero, six)  m = Mul (x, c)  y = Div (m, six)",
        f"{CLIPPED}  m = Mul (x, c)  k = Mul (m, x)  y = Div (k, six)",
    ],
)
def test_what_is_nearly_one_stays(body):
    graph = model(body)
    changed, entry = apply_graph_rewriter(graph, fold_hard_swish, TARGET)
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")
    assert changed is graph


def test_what_something_else_reads_is_made_all_the_same():
    graph = model(f"{CLIPPED}  m = Mul (x, c)  y = Div (m, six)", outputs="y m")
    assert apply_graph_rewriter(graph, fold_hard_swish, TARGET)[1].status == "skipped"


def test_there_is_no_such_operator_before_opset_14():
    assert fold_hard_swish.conditions.unmet(Target("onnxruntime", opset=13))
    assert not fold_hard_swish.conditions.unmet(TARGET)
