"""Graphs are compared as they are: how the runtime lays out a constant weight is no difference between them."""

import numpy as np
import onnx

from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, RuntimeOptions

GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.normal(size=(256, 512)).astype(np.float32)
INPUT = {"x": GENERATOR.normal(size=(4, 512)).astype(np.float32)}


def model(body: str, weight: np.ndarray) -> onnx.ModelProto:
    made = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[4, 512] x) => (float[4, 256] y) <int64[2] s = {{256, 512}}> {{ {body} }}""")
    made.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    return made


COMPUTED = model("v = Reshape (w, s) y = Gemm <transB = 1> (x, v)", WEIGHT.ravel())
FOLDED = model("y = Gemm <transB = 1> (x, w)", WEIGHT)


def test_a_weight_that_is_computed_and_one_that_is_given_come_to_the_same():
    computed, folded = (OnnxRuntimeSession(one, options=AS_WRITTEN).run(INPUT)["y"] for one in (COMPUTED, FOLDED))
    np.testing.assert_array_equal(computed, folded)


def test_another_weight_does_not():
    other = model("y = Gemm <transB = 1> (x, w)", np.nextafter(WEIGHT, np.float32(9)))
    computed, folded = (OnnxRuntimeSession(one, options=AS_WRITTEN).run(INPUT)["y"] for one in (COMPUTED, other))
    assert (computed != folded).any()


def test_engines_pack_their_weights():
    assert RuntimeOptions().packing
    assert not AS_WRITTEN.packing
