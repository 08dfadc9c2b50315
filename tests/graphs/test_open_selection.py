"""Selections without their thresholds: what a proof compares where nothing is found."""

import numpy as np
import onnx
import pytest

from compiler.graphs import OnnxRuntimeSession, with_open_selection


def thresholded(limit: float, operator: str = "Greater") -> onnx.ModelProto:
    """The three best of some scores, of those that are above a limit."""
    model = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[1, 8] scores) => (float[1, 3] best) <int64[1] k = {{3}}, float none = {{0}}> {{
            is_high = {operator} (scores, limit) kept = Where (is_high, scores, none) best, places = TopK (kept, k)
        }}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(limit), "limit"))
    return model


SCORES = {"scores": np.linspace(0.1, 0.8, 8, dtype=np.float32)[None]}


@pytest.mark.parametrize("operator", ["Greater", "GreaterOrEqual"])
def test_without_its_threshold_a_selection_finds_the_best_of_all(operator):
    model = thresholded(0.9999, operator)
    before = model.SerializeToString()
    assert not OnnxRuntimeSession(model).run(SCORES)["best"].any()
    opened = with_open_selection(model, (0.9999, 0.0))
    np.testing.assert_allclose(OnnxRuntimeSession(opened).run(SCORES)["best"], [[0.8, 0.7, 0.6]], rtol=1e-6)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("thresholds", [(), (0.0,), (0.3,)])
def test_what_is_compared_with_something_else_is_left_alone(thresholds):
    assert with_open_selection(thresholded(0.9999), thresholds) is None
