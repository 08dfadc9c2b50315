"""int8 on any processor: an engine that is written for one computes right there, and one that is not is known."""

import numpy as np
import onnx
import pytest

from compiler.artifact import Engine, Program
from compiler.backends import BuildRequest, backend_of, build_backend
from compiler.backends.onnxruntime import PROCESSORS
from compiler.errors import CompileError, UsageError
from compiler.graphs import describe
from compiler.graphs.runtime import AS_WRITTEN, OnnxRuntimeSession, RuntimeOptions, sums_saturate
from compiler.precision.int8.calibration import calibrate
from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import ONNX_RUNTIME_AVX2, ONNX_RUNTIME_PORTABLE, ONNX_RUNTIME_VNNI
from tests.precision.quantizing import images, model, run, run_fast, table_of, value
from tests.precision.test_quantize import CHAIN, SILU, SKIP

EVERYWHERE = pytest.mark.parametrize(
    "scheme", [ONNX_RUNTIME_PORTABLE, ONNX_RUNTIME_AVX2], ids=["portable", "avx2"]
)  # what is right on any processor, however the file is opened


def product(largest: float) -> onnx.ModelProto:
    """A matrix product whose sums are as large as 8 bits allow, or less."""
    weight = np.full((64, 8), largest, np.float32)
    weight[:, 1::2] /= 2
    text = """<ir_version: 8, opset_import: ["": 18]> g (float[n, 64] x) => (float[n, 8] y) { y = MatMul (x, w) }"""
    graph = onnx.parser.parse_model(text)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    return graph


def large_inputs():
    return {"x": np.random.default_rng(0).uniform(0.6, 1, (256, 64)).astype(np.float32)}


def error_of(found, expected) -> float:
    """In standard deviations of what is expected."""
    return float(np.abs(found - expected).max() / expected.std())


@EVERYWHERE
def test_sums_that_fill_8_bits_are_right_on_any_processor(scheme):
    graph, inputs = product(1.0), large_inputs()
    quantized = quantize(graph, calibrate(graph, [inputs]), scheme).model
    assert error_of(run_fast(quantized, inputs)["y"], run(graph, inputs)["y"]) < 0.01


def test_signed_weights_of_8_bits_are_wrong_exactly_where_sums_saturate():
    graph, inputs = product(1.0), large_inputs()
    quantized = quantize(graph, calibrate(graph, [inputs]), ONNX_RUNTIME_VNNI).model
    is_wrong = error_of(run_fast(quantized, inputs)["y"], run(graph, inputs)["y"]) > 1.0
    assert is_wrong == sums_saturate()


def test_sums_that_stay_small_are_right_with_signed_weights_too():
    """The same product with activations that use a quarter of their range; nothing is left to saturate."""
    graph, inputs = product(1.0), large_inputs()
    table = calibrate(graph, [{"x": inputs["x"] * 4}])
    quantized = quantize(graph, table, ONNX_RUNTIME_VNNI).model
    assert error_of(run_fast(quantized, inputs)["y"], run(graph, inputs)["y"]) < 0.05


@EVERYWHERE
@pytest.mark.parametrize("body", [CHAIN, SKIP, SILU], ids=["chain", "skip", "silu"])
def test_what_runs_in_8_bits_is_what_is_written(body, scheme):
    quantized = quantize(model(body), table_of(model(body)), scheme).model
    for tensors in (images(1), images(3, size=16)):
        found, written = run_fast(quantized, tensors)["y"], run(quantized, tensors)["y"]
        # Between two layers a kernel rounds what lies in the middle to the other side.
        assert error_of(found, written) < 0.1


@EVERYWHERE
def test_a_weight_that_two_layers_share_is_right_too(scheme):
    graph = model("a = Conv (x, w1)  n = Neg (x)  b = Conv (n, w1)  y = Concat <axis = 1> (a, b)")
    quantized = quantize(graph, table_of(graph), scheme).model
    assert error_of(run_fast(quantized, images())["y"], run(quantized, images())["y"]) < 0.1


def test_signed_weights_that_two_layers_share_are_right_or_refused(tmp_path):
    """Where sums saturate, ONNX Runtime cannot take a shared weight as unsigned; that is never a wrong number."""
    graph = model("a = Conv (x, w1)  n = Neg (x)  b = Conv (n, w1)  y = Concat <axis = 1> (a, b)")
    quantized = quantize(graph, table_of(graph), ONNX_RUNTIME_VNNI).model
    options = build_backend({**NODE, "cpu": "vnni"}).simulation
    if not sums_saturate():
        found = OnnxRuntimeSession(quantized, options=options).run(images())["y"]
        assert error_of(found, run(quantized, images())["y"]) < 0.1
        return
    with pytest.raises(CompileError, match="ONNX Runtime refuses") as caught:
        OnnxRuntimeSession(quantized, options=options)
    assert "backend.cpu=portable" in caught.value.fix


def test_portable_weights_are_unsigned_around_the_middle_and_use_all_of_8_bits():
    result = quantize(model(CHAIN), table_of(model(CHAIN)), ONNX_RUNTIME_PORTABLE).model
    weight = value(result, "w1_quantized")
    assert weight.dtype == np.uint8
    assert (value(result, "w1_zero_point") == 128).all()
    np.testing.assert_array_equal(np.abs(weight.astype(int) - 128).max((1, 2, 3)), 127)


def test_weights_without_vnni_leave_room_for_a_second_product():
    result = quantize(model(CHAIN), table_of(model(CHAIN)), ONNX_RUNTIME_AVX2).model
    weight = value(result, "w1_quantized")
    assert weight.dtype == np.int8
    np.testing.assert_array_equal(np.abs(weight.astype(int)).max((1, 2, 3)), 64)
    assert np.iinfo(np.int16).max >= 2 * 255 * 64


NODE = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime"}


def test_by_default_int8_is_right_everywhere():
    backend = build_backend(NODE)
    assert backend.quantization == ONNX_RUNTIME_PORTABLE
    assert backend.node()["cpu"] == "portable"


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_a_processor_that_is_asked_for_is_recorded(cpu):
    assert build_backend({**NODE, "cpu": cpu}).node()["cpu"] == cpu


def test_this_machine_is_measured_and_recorded_as_what_it_is():
    backend = build_backend({**NODE, "cpu": "auto"})
    assert backend.node()["cpu"] == ("avx2" if sums_saturate() else "vnni")
    assert build_backend(backend.node()) == build_backend({**NODE, "cpu": backend.processor})
    assert backend.probe() != build_backend(NODE).probe()  # another machine makes it again


@pytest.mark.parametrize(("cpu", "said"), [("vnn", "did you mean vnni?"), ("m1", "auto, avx2, portable, vnni")])
def test_an_unknown_processor_is_refused(cpu, said):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, "cpu": cpu})
    assert caught.value.where == "backend.cpu"
    assert said in caught.value.fix


@pytest.mark.parametrize("cpu", PROCESSORS)
def test_an_engine_for_any_processor_is_right_here(cpu, tmp_path):
    graph, inputs = product(1.0), large_inputs()
    backend = build_backend({**NODE, "cpu": cpu})
    program = written(quantize(graph, calibrate(graph, [inputs]), backend.quantization).model, tmp_path)
    (tmp_path / "engine").mkdir()
    request = BuildRequest(program, tmp_path / "engine", "int8", (), tmp_path / "cache", lambda share, phase: None)
    engine = Engine.load(backend.build(request).folder)
    found = build_backend(engine.backend).open(engine).run(inputs)["y"]
    assert error_of(found, run(graph, inputs)["y"]) < 0.01


def test_what_calibration_judges_is_run_as_the_engine_is():
    backend = build_backend({**NODE, "optimization": "extended", "threads": 1})
    assert backend.simulation == RuntimeOptions("extended", threads=1)
    symmetric = build_backend({**NODE, "_target_": "compiler.backends.tensorrt.TensorRT", "name": "tensorrt"})
    assert symmetric.simulation == AS_WRITTEN


def test_an_engine_of_an_earlier_compiler_names_its_scheme_and_still_opens(tmp_path):
    graph, inputs = product(1.0), large_inputs()
    program = written(graph, tmp_path)
    node = {**NODE, "quantization": "asymmetric"}
    Engine(tmp_path, (program.path.name,), node, program.inputs, program.outputs).save()
    engine = Engine.load(tmp_path)
    found = backend_of(engine).open(engine).run(inputs)["y"]
    np.testing.assert_array_equal(found, OnnxRuntimeSession(program.path).run(inputs)["y"])
    with pytest.raises(UsageError, match=r"'backend\.quantization' is no option"):
        build_backend(node)  # in a config of today it means nothing, and is refused


def written(graph: onnx.ModelProto, folder) -> Program:
    onnx.save(graph, folder / "program.onnx")
    return describe(folder / "program.onnx")
