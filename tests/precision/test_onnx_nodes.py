"""Models of ONNX's own operator tests in 16 bits: sorted, checked and near, or told why not."""

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from compiler.errors import CompileError
from compiler.graphs.opsets import newest_runnable_opset, runnable
from compiler.graphs.walk import all_nodes, default_opset, is_standard
from compiler.precision.half import HalfOptions, to_half

FOLDER = Path(__file__).parents[1] / "data" / "onnx_nodes"
NOTHING_IN_FP32 = {
    *("add_int8", "bitcast_float32_to_int32", "cast_DOUBLE_to_FLOAT", "cast_FLOAT16_to_FLOAT", "cast_FLOAT_to_FLOAT16"),
    *("dequantizelinear", "dynamicquantizelinear", "if", "loop11", "mod_mixed_sign_int32", "mvn"),
    *("qlinearmatmul_2D_uint8_float32", "quantizelinear", "scatter_elements_with_duplicate_indices", "scatternd_add"),
}
MODELS = {path.stem: onnx.load(path) for path in sorted(FOLDER.glob("*.onnx"))}
KNOWN = {name: model for name, model in MODELS.items() if default_opset(model) <= onnx.defs.onnx_opset_version()}
"""Those that the installed onnx can read: older ones know fewer operators."""


def first_opset(operator):
    """Return the opset that an operator came in, whatever changed of it since."""
    return min(one.since_version for one in onnx.defs.get_all_schemas_with_history() if one.name == operator)


def newest_operator(model):
    used = {node.op_type for node in all_nodes(model) if is_standard(node.domain)}
    return max(used, key=first_opset)


TOO_NEW = {
    name: operator
    for name, operator in ((name, newest_operator(model)) for name, model in KNOWN.items())
    if first_opset(operator) > newest_runnable_opset()
}
"""An operator of a model's that came after what the installed ONNX Runtime reads: no conversion can give it another."""
NAMES = KNOWN.keys() - TOO_NEW


def example(name):
    """Return a model in versions that ONNX Runtime reads, and its inputs."""
    model = runnable(copy.deepcopy(MODELS[name]), name)
    with np.load(FOLDER / "inputs.npz") as inputs:
        return model, {value.name: inputs[f"{name}/{value.name}"] for value in model.graph.input}


def run(model, tensors):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, tensors)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
@pytest.mark.parametrize("name", sorted(NAMES - NOTHING_IN_FP32))
def test_the_model_is_sorted_checked_and_near(name, kind):
    model, tensors = example(name)
    result = to_half(model, [tensors], HalfOptions(kind))
    onnx.checker.check_model(result.model, full_check=True)
    if kind == "bf16":
        return  # ONNX Runtime has hardly a kernel for it on a CPU
    for expected, found in zip(run(model, tensors), run(result.model, tensors), strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        finite = np.isfinite(expected)
        assert np.array_equal(finite, np.isfinite(found))
        deviation = float(expected[finite].std()) or 1.0
        np.testing.assert_allclose(found[finite], expected[finite], atol=0.01 * deviation, rtol=2e-3)


@pytest.mark.parametrize("name", sorted(NAMES & NOTHING_IN_FP32))
def test_what_computes_nothing_in_fp32_is_told_so(name):
    model, tensors = example(name)
    with pytest.raises(CompileError, match="nothing can be written in fp16"):
        to_half(model, [tensors], HalfOptions("fp16"))


@pytest.mark.parametrize("name", sorted(TOO_NEW))
def test_an_operator_of_a_newer_runtime_is_refused_by_its_name(name):
    with pytest.raises(CompileError) as caught:
        example(name)
    assert f"reads up to opset {newest_runnable_opset()}" in caught.value.why
    assert caught.value.why.endswith(f"No Previous Version of {TOO_NEW[name]} exists")
