"""Networks whose numbers are not finite: no search runs on them, and none goes on without end."""

import numpy as np
import onnx
import pytest

from compiler.precision.half import HalfOptions, to_half
from compiler.precision.half.search import _fewest

INPUT = {"x": np.array([[-2.0, 0.0, 1.0, 4.0]], np.float32)}


def one_node(operator: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[1, 4] x) => (float[1, 4] y) {{ y = {operator} (x) }}""")


def test_a_root_of_a_negative_number_ends_the_search_before_it_begins():
    result = to_half(one_node("Sqrt"), [INPUT], HalfOptions("fp16"))
    assert result.errors == {"y": np.inf}
    assert result.half + len(result.excluded) == 1


def test_an_infinity_that_is_the_same_in_16_bits_is_no_error():
    result = to_half(one_node("Log"), [{"x": np.array([[0.0, 1.0, 2.0, 4.0]], np.float32)}], HalfOptions("fp16"))
    assert result.errors["y"] < 1e-2


@pytest.mark.parametrize("error", [np.inf, 1.0])
def test_a_search_ends_once_every_node_is_back(error):
    tried = []

    def error_with(count):
        tried.append(count)
        return error

    _fewest(lambda count: count < 2 * 3, error_with, tolerance=0.1)
    assert max(tried) <= 6
