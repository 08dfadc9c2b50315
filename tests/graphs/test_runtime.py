"""ONNX Runtime, opened in one place: a file or a model in memory, with any of its tensors."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from compiler.errors import CompileError, UsageError
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, RuntimeOptions, sums_saturate
from compiler.graphs.runtime import OPTIMIZATIONS

X = np.array([1, -2, 3], np.float32)


@pytest.fixture
def model():
    return onnx.parser.parse_model("""<ir_version: 8, opset_import: ["": 18]>
        g (float[3] x) => (float[3] y) { a = Abs (x)  b = Neg (a)  y = Exp (b) }""")


@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_a_model_in_memory_gives_what_its_file_gives(model, tmp_path, optimization):
    onnx.save(model, tmp_path / "model.onnx")
    options = RuntimeOptions(optimization)
    for source in (model, tmp_path / "model.onnx"):
        np.testing.assert_allclose(
            OnnxRuntimeSession(source, options=options).run({"x": X})["y"], np.exp(-abs(X)), rtol=1e-6
        )


def test_any_tensor_comes_out_inputs_too_and_the_model_stays_as_it_is(model):
    before = model.SerializeToString(deterministic=True)
    found = OnnxRuntimeSession(model, ("b", "x"), AS_WRITTEN).run({"x": X})
    assert found.keys() == {"b", "x"}
    np.testing.assert_array_equal(found["b"], -abs(X))
    np.testing.assert_array_equal(found["x"], X)
    assert model.SerializeToString(deterministic=True) == before


def test_an_input_that_does_not_fit_is_one_error_on_one_line(model):
    with pytest.raises(CompileError, match="does not run on this input") as caught:
        OnnxRuntimeSession(model).run({"x": np.zeros(4, np.float32)})
    assert "Got: 4 Expected: 3" in caught.value.why
    assert "\n" not in caught.value.why


def test_a_model_that_is_refused_says_why(model):
    model.graph.node[0].op_type = "Abss"
    with pytest.raises(CompileError, match="ONNX Runtime refuses the Program") as caught:
        OnnxRuntimeSession(model)
    assert "Abss" in caught.value.why


def test_an_unknown_optimisation_is_refused():
    with pytest.raises(UsageError, match="did you mean all") as caught:
        RuntimeOptions("al")
    assert caught.value.where == "backend.optimization"


def test_what_is_measured_of_the_processor_is_what_its_flags_say():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    if "avx2" not in flags:
        pytest.skip("what the flags of this processor mean is not known here")
    assert sums_saturate() == ("vnni" not in flags)
