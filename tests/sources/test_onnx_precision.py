"""ONNX files of other precisions and versions than we write, compiled as they are or as they are asked for."""

import logging

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from compiler import runtime
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.graphs.opsets import newest_runnable_opset
from compiler.pipeline import compile_bundle
from compiler.pipeline.job import read_job
from compiler.report import Report

GENERATOR = np.random.default_rng(0)
X = GENERATOR.uniform(0, 1, (2, 8, 8, 8)).astype(np.float32)
WEIGHTS = {"w": (16, 8, 3, 3), "b": (16,), "v": (4, 16, 3, 3)}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, trials_here):
    """The folder that the file is in, and that the command is given in."""
    monkeypatch.chdir(tmp_path)
    np.savez("in.npz", x=X)
    return tmp_path


def network(kind="float", opset=18, ir_version=8):
    """Return two convolutions whose weights are all large, so that 16 bits do not hold sums of their products."""
    parsed = onnx.parser.parse_model(f"""<ir_version: {ir_version}, opset_import: ["": {opset}]>
        g ({kind}[n, 8, 8, 8] x) => ({kind}[n, 4, 8, 8] y) {{
            c = Conv <pads = [1, 1, 1, 1]> (x, w, b)  r = Relu (c)  y = Conv <pads = [1, 1, 1, 1]> (r, v) }}""")
    values = {name: np.random.default_rng(1).uniform(0.5, 1, shape) for name, shape in WEIGHTS.items()}
    dtype = {"float": np.float32, "float16": np.float16}[kind]
    parsed.graph.initializer.extend(
        numpy_helper.from_array(value.astype(dtype), name) for name, value in values.items()
    )
    return parsed


class Reader(CalibrationDataReader):
    """Gives ONNX Runtime's own quantiser one batch."""

    def __init__(self):
        self.batches = iter([{"x": X}])

    def get_next(self):
        return next(self.batches, None)


@pytest.fixture(scope="session")
def quantized(tmp_path_factory):
    """Quantise the network by ONNX Runtime's own tools."""
    folder = tmp_path_factory.mktemp("quantized")
    onnx.save(network(), folder / "fp32.onnx")

    def quantize(form, activations):
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                folder / "fp32.onnx", folder / "int8.onnx", Reader(), quant_format=form, per_channel=True,
                activation_type=activations, weight_type=QuantType.QInt8,
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(folder / "int8.onnx")

    return quantize


def config(model, *overrides):
    onnx.save(model, "x.onnx")
    return compose(["model=onnx", "model.file=x.onnx", "arrays=in.npz", "shape=static", "batch.usual=2", *overrides])


def compiled(model, *overrides):
    """Compile a model; return its report and its outputs. What is not proven fails the test."""
    outcome = compile_bundle(config(model, *overrides))
    assert not outcome.problem
    return Report.load(outcome.bundle), runtime.open(outcome.bundle).run({"x": X.astype(_dtype(model))})["y"]


def _dtype(model):
    return onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)


def refused(model, *overrides):
    with pytest.raises(CompileError) as caught:
        read_job(config(model, *overrides))
    return caught.value


def float_outputs():
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(network()).run(None, {"x": X})[0]


@pytest.mark.parametrize(
    ("form", "activations"),
    [
        (QuantFormat.QDQ, QuantType.QUInt8),
        (QuantFormat.QDQ, QuantType.QInt8),
        (QuantFormat.QOperator, QuantType.QUInt8),
    ],
    ids=["pairs", "signed pairs", "operators"],
)
def test_a_quantised_file_is_int8_and_right_on_this_processor_too(quantized, form, activations):
    report, found = compiled(quantized(form, activations))
    assert "-int8_" in report.name
    assert report.reduced.precision == "int8"
    assert {proof.reference for proof in report.proofs} == {"file"}
    expected = float_outputs()
    assert np.abs(found - expected).max() < 0.2 * expected.std()  # saturated sums are off by more than a deviation


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        (["precision=fp16"], "precision=fp16"),
        (["precision=int8", "calibration.method=entropy"], "calibration"),
        (["precision=int8", "keep_fp32=[Conv]"], "keep_fp32"),
    ],
)
def test_what_is_quantised_is_not_lowered_again(quantized, overrides, where):
    error = refused(quantized(QuantFormat.QDQ, QuantType.QUInt8), *overrides)
    assert isinstance(error, UsageError)
    assert error.what == "the ONNX file is quantised already"
    assert where in error.where
    assert "export the network in fp32" in error.fix


def test_a_file_in_fp16_is_proven_as_one():
    report, found = compiled(network("float16"))
    assert "-fp16_" in report.name
    assert (report.reduced.precision, report.reduced.changed, report.reduced.nodes) == ("fp16", 3, 3)
    assert found.dtype == np.float16
    expected = float_outputs()
    assert np.abs(found - expected).max() < 0.1 * expected.std()


def test_fp16_may_be_asked_of_what_is_in_it_and_nothing_else_may():
    assert read_job(config(network("float16"), "precision=fp16")).config.precision == "fp16"
    error = refused(network("float16"), "precision=int8")
    assert error.what == "the ONNX file is in fp16 already"
    assert "3 of the 3 nodes of x.onnx compute in fp16" in error.why


@pytest.mark.parametrize("kind", ["precision=fp32", "deploy=tensors_x_onnxruntime_static_8x8x8"])
def test_fp32_that_was_asked_for_is_not_replaced(kind):
    error = refused(network("float16"), kind)
    assert isinstance(error, UsageError)
    assert error.what == "the ONNX file is in fp16 already"
    assert error.where.startswith("precision=fp32 ")
    assert "give precision=fp16, in a deploy name as onnxruntime-fp16" in error.fix


@pytest.mark.parametrize("kind", [[], ["deploy=tensors_x_onnxruntime-fp16_static"]])
def test_a_file_is_in_its_own_precision_where_none_or_that_one_is_asked_for(kind):
    job = read_job(config(network("float16"), *kind))
    assert job.config.precision == "fp16"
    assert "precision_asked" not in job.config.values


def test_fp32_may_be_asked_of_a_file_in_fp32():
    job = read_job(config(network(), "precision=fp32"))
    assert job.config.precision == "fp32"
    assert job.key == read_job(config(network())).key
    assert job.name == read_job(config(network())).name


def test_a_backend_that_has_no_such_precision_is_named():
    text = (
        '<ir_version: 8, opset_import: ["": 22]> g (float[n, 8, 8, 8] x) => (float[n, 8, 8, 8] y) {'
        " h = Cast <to = 16> (x)  r = Relu (h)  y = Cast <to = 1> (r) }"
    )
    error = refused(onnx.parser.parse_model(text))
    assert error.what == "onnxruntime cannot be built in bf16"
    assert "x.onnx is in bf16" in error.why


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_an_old_opset_is_converted_and_the_conversion_is_compared(precision):
    report, found = compiled(network(opset=11), f"precision={precision}")
    assert "ONNX opset 11 converted to 13" in report.stages[1].detail
    assert [proof.stage for proof in report.proofs][:2] == ["program", precision]
    assert report.proofs[0].worst.relative_error < 1e-4
    expected = float_outputs()
    assert np.abs(found - expected).max() < 0.2 * expected.std()


def test_an_old_opset_stays_where_nothing_needs_another():
    report, _ = compiled(network(opset=11))
    assert "ONNX opset 11 as it was" in report.stages[1].detail


def test_a_file_that_onnx_saved_with_its_defaults_is_read():
    model = network(opset=onnx.defs.onnx_opset_version(), ir_version=onnx.IR_VERSION)
    _, found = compiled(model)
    np.testing.assert_allclose(found, float_outputs(), rtol=1e-4)


def newer_operators():
    """Operators on one kind of tensor that the installed onnx has, and the installed ONNX Runtime is too old for."""
    found = [one for one in onnx.defs.get_all_schemas_with_history() if one.name in {"SwiGLU", "Swish"}]
    return {one.name: one.min_input for one in found if one.since_version > newest_runnable_opset()}


@pytest.mark.skipif(not newer_operators(), reason="the installed ONNX Runtime has the operators of the installed onnx")
def test_an_operator_of_a_newer_runtime_is_named():
    operator, inputs = newer_operators().popitem()
    model = network(opset=onnx.defs.onnx_opset_version(), ir_version=onnx.IR_VERSION)
    model.graph.node[1].CopyFrom(onnx.helper.make_node(operator, ["c"] * inputs, ["r"]))
    error = refused(model)
    assert "cannot be converted from opset" in error.what
    assert operator in error.why
    assert "model.inputs" not in error.fix


def test_weights_that_are_nodes_count_and_are_quantised():
    model = network()
    for weight in list(model.graph.initializer):
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [weight.name], value=weight))
    del model.graph.initializer[:]
    job = read_job(config(model))
    assert job.source.file.parameters == 16 * 8 * 9 + 16 + 4 * 16 * 9
    report, _ = compiled(model, "precision=int8")
    assert report.reduced.changed == 2


@pytest.mark.parametrize(("damage", "said"), [("attribute", "to"), ("output", "Cast")])
def test_a_cast_that_is_not_whole_is_one_message_of_the_checker(damage, said):
    text = (
        '<ir_version: 8, opset_import: ["": 18]> g (float[n, 8, 8, 8] x) => (float[n, 8, 8, 8] y) {'
        " h = Cast <to = 10> (x)  r = Relu (h)  y = Cast <to = 1> (r) }"
    )
    broken = onnx.parser.parse_model(text)
    broken.graph.node[0].ClearField(damage)
    error = refused(broken)
    assert error.what == "x.onnx is not a valid ONNX file"
    assert said in error.why
    assert "Error: " not in error.why.replace("ValidationError: ", "")
