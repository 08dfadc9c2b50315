"""OpenVINO: what it runs equals numpy and ONNX Runtime, and what it would do in silence is refused."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from filelock import FileLock
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compiler.artifact import Engine, TorchScriptProgram
from compiler.artifact.machine import elsewhere
from compiler.backends import BuildRequest, backend_of, build_backend, libraries
from compiler.backends.facts import read_facts
from compiler.backends.openvino import OpenVINO, library
from compiler.backends.openvino import compiled_models as module
from compiler.backends.openvino.backend import GRAPH_FILE, WEIGHTS_FILE
from compiler.backends.openvino.compiled_models import FOLDER, compiled_models
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.graphs import OnnxRuntimeSession, describe, sums_saturate
from compiler.runtime.stream import Stream
from compiler.stages.fingerprint import fingerprint
from tests.precision.quantizing import images, model

FIRST_LAYOUT = Path(__file__).parents[1] / "data/first_layout"
NODE = {"_target_": "compiler.backends.openvino.OpenVINO", "name": "openvino"}
NETWORK = """
    c = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r = Relu (c)
    d = Conv <pads = [1, 1, 1, 1]> (r, w2, b2)
    y = Conv (d, w3)
"""
"""Three convolutions, named c, d and y."""


@pytest.fixture
def backend() -> OpenVINO:
    return build_backend(NODE)


@pytest.fixture
def program(tmp_path):
    """Write a graph as a Program."""

    def write(graph: onnx.ModelProto):
        onnx.save(graph, tmp_path / "program.onnx")
        return describe(tmp_path / "program.onnx")

    return write


def one(operator: str, batch: int | str = "batch", domain: str = "", **attributes) -> onnx.ModelProto:
    """One operator on [batch, 3]."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3]) for name in ("input", "output")]
    node = helper.make_node(operator, ["input"], ["output"], name="/it", domain=domain, **attributes)
    graph = helper.make_graph([node], "program", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def built(backend, program, folder, precision="fp32", **request) -> Engine:
    folder.mkdir()
    return backend.build(
        BuildRequest(program, folder, precision, (), folder.parent / "cache", lambda share, phase: None, **request)
    )


VALUES = np.array([[-4.0, -1.0, 0.5], [1.0, 2.0, 4.0]], dtype=np.float32)


def test_it_is_installed_here_and_runs_on_the_cpu(backend):
    probe = backend.probe()
    assert (probe.problem, probe.devices) == ("", ("CPU",))
    assert probe.machine.items() >= backend.machine().items()
    assert probe.machine["nncf"], "an engine in int8 is made again by another NNCF"


def test_its_config_has_every_option_and_each_is_its_default(backend):
    assert build_backend(compose(["backend=openvino"]).backend) == backend


@pytest.mark.parametrize("batch", [2, "batch"])
def test_an_engine_gives_what_numpy_gives_and_is_found_again_by_its_folder(backend, program, tmp_path, batch):
    engine = built(backend, program(one("Exp", batch)), tmp_path / "engine")
    assert engine.files == (GRAPH_FILE, WEIGHTS_FILE)
    loaded = Engine.load(engine.folder)
    assert loaded.size == sum((engine.folder / name).stat().st_size for name in engine.files)
    found = backend_of(loaded).open(loaded).run({"input": VALUES})
    np.testing.assert_allclose(found["output"], np.exp(VALUES), rtol=1e-6)


@pytest.mark.parametrize("task", ["arrays", "objects", "pose", "reader", "text"])
def test_a_small_network_of_each_task_equals_onnx_runtime(backend, tmp_path, task):
    program = describe(FIRST_LAYOUT / task / "end2end.onnx")
    session = backend.open(built(backend, program, tmp_path / "engine"))
    reference = OnnxRuntimeSession.as_written(program.path)
    generator = np.random.default_rng(0)
    for batch in (1, 3):
        shapes = {
            spec.name: tuple(
                side if isinstance(side, int) else (64 if axis else batch) for axis, side in enumerate(spec.shape)
            )
            for spec in program.inputs
        }
        tensors = {name: generator.uniform(size=shape).astype(np.float32) for name, shape in shapes.items()}
        found, expected = session.run(tensors), reference.run(tensors)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-4 * max(array.std(), 1))


@pytest.mark.parametrize("options", [{"hint": "throughput"}, {"threads": 1}, {"threads": 2, "streams": 2}])
def test_options_of_speed_do_not_change_what_comes_out(program, tmp_path, options):
    backend = build_backend({**NODE, **options})
    session = backend.open(built(backend, program(one("HardSigmoid", alpha=0.5, beta=0.25)), tmp_path / "engine"))
    np.testing.assert_allclose(session.run({"input": VALUES})["output"], np.clip(0.5 * VALUES + 0.25, 0, 1), rtol=1e-6)


def test_several_streams_compute_what_one_does(backend, program, tmp_path):
    streams = backend.in_streams(2)
    assert (streams.hint, streams.streams, streams.threads) == ("throughput", 2, backend.threads)
    engine = built(backend, program(model(NETWORK)), tmp_path / "engine")
    given = [images(seed=seed) for seed in range(8)]
    one, several = backend.open(engine), streams.open(engine)
    for found, tensors in zip(Stream(several.run, given, 2), given, strict=True):
        for name, expected in one.run(tensors).items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


def test_options_of_speed_reach_openvino(program, tmp_path, monkeypatch):
    asked = []
    whole = library.compiled
    monkeypatch.setattr(
        "compiler.backends.openvino.backend.compiled", lambda *given: asked.append(given[3]) or whole(*given)
    )
    backend = build_backend({**NODE, "hint": "throughput", "threads": 2, "streams": 1})
    built(backend, program(one("Exp")), tmp_path / "engine")
    assert asked[0] == {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_NUM_THREADS": 2,
        "NUM_STREAMS": 1,
    }


def test_fp16_halves_the_weights_and_computes_in_f32(backend, program, tmp_path):
    weights = np.random.default_rng(0).normal(size=(64, 3, 3, 3)).astype(np.float32)
    given = program(model("y = Conv (x, w1, b1)", w1=weights, b1=np.zeros(64, np.float32)))
    whole = built(backend, given, tmp_path / "whole")
    half = built(backend, given, tmp_path / "half", "fp16")
    sizes = [(engine.folder / WEIGHTS_FILE).stat().st_size for engine in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    assert half.backend["inference_precision"] == "f32"
    expected, found = (backend_of(engine).open(engine).run(images())["y"] for engine in (whole, half))
    rounded = onnx.load(given.path)
    for weight in rounded.graph.initializer:
        halved = numpy_helper.to_array(weight).astype(np.float16).astype(np.float32)
        weight.CopyFrom(numpy_helper.from_array(halved, weight.name))
    np.testing.assert_allclose(found, OnnxRuntimeSession(rounded, ["y"]).run(images())["y"], atol=1e-5)
    assert 0 < np.abs(found - expected).max() < 1e-2 * expected.std()


def capabilities() -> list[str]:
    return library.load().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize(("precision", "name", "arithmetic"), [("bf16", "BF16", "bf16"), ("fp16", "FP16", "f16")])
def test_arithmetic_that_the_processor_lacks_is_refused_and_not_replaced(
    program, tmp_path, precision, name, arithmetic
):
    backend = build_backend({**NODE, "inference_precision": arithmetic})
    given = program(model(NETWORK))
    if name in capabilities():
        engine = built(backend, given, tmp_path / "engine", precision)
        assert backend_of(engine) == backend
        return
    with pytest.raises(CompileError, match=f"this CPU does not compute in {arithmetic}") as caught:
        built(backend, given, tmp_path / "engine", precision)
    assert "OpenVINO would compute in f32 here, and say nothing" in caught.value.why


def test_an_engine_of_another_processor_is_refused_where_its_arithmetic_is_not(backend, program, tmp_path):
    """A bundle in bf16 that was proven on a processor that has it, opened on one that has not."""
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    moved = replace(engine, backend={**engine.backend, "inference_precision": "bf16"})
    if "BF16" in capabilities():
        assert backend_of(moved).open(moved)
        return
    with pytest.raises(CompileError, match="does not compute in bf16"):
        backend_of(moved).open(moved)


def test_it_says_that_another_processor_is_not_the_one_it_was_proven_on(backend, program, tmp_path, monkeypatch):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    assert not elsewhere(engine.machine, backend.machine())
    there = {**engine.machine, "processor": "x86_64 AVX2 AVX512F AVX512VNNI"}
    assert "processor x86_64 AVX2 AVX512F AVX512VNNI there" in elsewhere(there, backend.machine())
    before = fingerprint(backend.probe())
    monkeypatch.setattr("compiler.backends.openvino.backend.this_machine", lambda name: {"processor": "riscv64"})
    assert fingerprint(backend.probe()) != before


@pytest.mark.parametrize(
    ("precision", "chosen"), [("fp32", "bf16"), ("fp32", "f16"), ("bf16", "f32"), ("fp16", "bf16")]
)
def test_arithmetic_that_contradicts_the_precision_is_refused(program, tmp_path, precision, chosen):
    backend = build_backend({**NODE, "inference_precision": chosen})
    with pytest.raises(UsageError, match=f"an engine in {precision} is not computed in {chosen}") as caught:
        built(backend, program(one("Exp")), tmp_path / "engine", precision)
    assert caught.value.where == "backend.inference_precision"


def calibrated(seeds=(1, 2)):
    return lambda: (images(seed=seed) for seed in seeds)


def quantized_operators(engine: Engine) -> int:
    return (engine.folder / GRAPH_FILE).read_text().count('type="FakeQuantize"')


def test_int8_by_nncf_is_near_the_original_and_prints_nothing(backend, program, tmp_path, capfd):
    given = program(model(NETWORK))
    engine = built(backend, given, tmp_path / "engine", "int8", calibration=calibrated())
    assert capfd.readouterr() == ("", "")
    assert quantized_operators(engine) > 0
    expected = OnnxRuntimeSession.as_written(given.path).run(images())["y"]
    found = backend_of(engine).open(engine).run(images())["y"]
    assert 0 < np.sqrt(np.mean((found - expected) ** 2)) < 0.15 * expected.std()


def test_what_is_named_stays_in_fp32(backend, program, tmp_path):
    given = program(model(NETWORK))
    whole = built(backend, given, tmp_path / "whole", "int8", calibration=calibrated())
    without = built(backend, given, tmp_path / "without", "int8", calibration=calibrated(), keep_fp32=("c", "d"))
    assert 0 < quantized_operators(without) < quantized_operators(whole)
    with pytest.raises(UsageError, match="'/neck/\\*' matches no node") as caught:
        built(backend, given, tmp_path / "wrong", "int8", calibration=calibrated(), keep_fp32=("/neck/*",))
    assert caught.value.where == "keep_fp32"


def test_what_is_wrong_with_the_calibration_data_is_told_as_it_is(backend, program, tmp_path):
    def broken():
        raise CompileError("the photograph is gone", where="a.jpg")
        yield

    with pytest.raises(CompileError, match="the photograph is gone"):
        built(backend, program(model(NETWORK)), tmp_path / "engine", "int8", calibration=broken)


def test_without_nncf_int8_says_what_to_install(backend, program, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(CompileError, match="nncf cannot be loaded") as caught:
        built(backend, program(model(NETWORK)), tmp_path / "engine", "int8", calibration=calibrated())
    assert caught.value.fix == "pip install 'deploy-compiler[openvino]'"


def sums(largest_weight: int) -> onnx.ModelProto:
    """Sixty-four products of 255 and a weight, of 8-bit numbers."""
    body = """
        q = QuantizeLinear (x, one, zero)
        a = DequantizeLinear (q, one, zero)
        w = DequantizeLinear (weight, one, nought)
        y = MatMul (a, w)
    """
    text = f'<ir_version: 8, opset_import: ["": 17]> g (float[1, 64] x) => (float[1, 16] y) {{{body}}}'
    graph = onnx.parser.parse_model(text)
    constants = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "nought": np.int8(0),
        "weight": np.full((64, 16), largest_weight, np.int8),
    }
    graph.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    return graph


def test_products_of_weights_of_seven_bits_never_saturate(backend, program, tmp_path):
    """Why `cpu=portable` has them: without VNNI, sums of pairs with weights of eight bits are cut off at 16 bits."""
    session = backend.open(built(backend, program(sums(64)), tmp_path / "engine"))
    found = session.run({"x": np.full((1, 64), 255, np.float32)})["y"]
    np.testing.assert_array_equal(found, 64 * 255 * 64)


def strangers(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A graph that somebody else quantised, with the largest weights of 8 bits, and an input that fills 8 bits."""
    pairs = "d = DequantizeLinear (q, s, z)  w = DequantizeLinear (wq, ws, wz)"
    body = {
        "MatMul": f"{pairs}  y = MatMul (d, w)",
        "Conv": f"{pairs}  y = Conv (d, w)",
        "QLinearConv": "c = QLinearConv (q, s, z, wq, ws, wz, ys, yz)  y = DequantizeLinear (c, ys, yz)",
    }
    operator, _, signed = name.partition(" ")
    image = "" if operator == "MatMul" else ", 3, 3"
    text = f"""<ir_version: 10, opset_import: ["": 21]> g (float[2, 64{image}] x) => (float[2, 8{image}] y) {{
        q = QuantizeLinear (x, s, z)  {body[operator]} }}"""
    weight = np.full((64, 8) if operator == "MatMul" else (8, 64, 1, 1), 127, np.int8)
    weight[..., ::2] = 100
    weight[::3] = 90
    kind, scale = (np.int8, 1 / 127) if signed else (np.uint8, 1 / 255)
    values = {"s": np.float32(scale), "z": kind(0), "wq": weight, "ws": np.float32(1 / 127), "wz": np.int8(0)}
    values |= {"ys": np.float32(1), "yz": kind(0)}
    graph = onnx.parser.parse_model(text)
    used = {read for node in graph.graph.node for read in node.input}
    graph.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in values.items() if name in used
    )
    shape = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim]
    return graph, {"x": np.random.default_rng(0).uniform(0.6, 1, shape).astype(np.float32)}


@pytest.mark.parametrize(
    "name", ["MatMul", "Conv", "QLinearConv", "MatMul signed", "Conv signed", "QLinearConv signed"]
)
def test_what_somebody_else_quantised_is_right_on_any_processor(backend, program, tmp_path, name):
    graph, inputs = strangers(name)
    (expected,) = ReferenceEvaluator(graph).run(None, inputs)
    found = backend.open(built(backend, program(graph), tmp_path / "engine", "int8")).run(inputs)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_for_vnni_what_somebody_else_quantised_stays_and_is_wrong_where_sums_saturate(program, tmp_path):
    graph, inputs = strangers("MatMul")
    (expected,) = ReferenceEvaluator(graph).run(None, inputs)
    backend = build_backend({**NODE, "cpu": "vnni"})
    engine = built(backend, program(graph), tmp_path / "engine", "int8")
    assert largest_weight(engine) == 127
    is_right = np.allclose(backend.open(engine).run(inputs)["y"], expected, rtol=1e-5)
    assert is_right != sums_saturate()


def test_nncf_leaves_weights_seven_bits_for_any_processor_and_eight_for_vnni(program, tmp_path):
    """Where the levels of a weight end is in the graph: half of the range for any processor."""
    ranges = {}
    for cpu in ("portable", "vnni"):
        backend = build_backend({**NODE, "cpu": cpu})
        engine = built(backend, program(model(NETWORK)), tmp_path / cpu, "int8", calibration=calibrated())
        weights = np.frombuffer((engine.folder / WEIGHTS_FILE).read_bytes(), np.int8)
        ranges[cpu] = engine, weights
    largest = {cpu: largest_weight(engine) for cpu, (engine, _) in ranges.items()}
    assert largest["portable"] <= 64 < largest["vnni"]


def largest_weight(engine: Engine) -> int:
    """The largest of the 8-bit numbers that an engine multiplies by."""
    openvino = library.load()
    read = openvino.Core().read_model(engine.folder / GRAPH_FILE)
    constants = [
        op
        for op in read.get_ops()
        if op.get_type_name() == "Constant" and str(op.get_element_type()) == "<Type: 'int8_t'>"
    ]
    return max(int(np.abs(op.get_data().astype(int)).max()) for op in constants)


def test_an_operator_that_it_cannot_take_is_named_with_its_place(backend, program, tmp_path):
    unknown = program(one("EfficientNMS_TRT", domain="TRT"))
    (obstacle,) = backend.plan(unknown)
    assert (obstacle.operator, obstacle.node) == ("TRT::EfficientNMS_TRT", "/it")
    assert obstacle.seen.startswith("OpenVINO 20")
    with pytest.raises(CompileError, match="OpenVINO cannot take this Program") as caught:
        built(backend, unknown, tmp_path / "engine")
    assert "EfficientNMS_TRT" in caught.value.why
    assert "Exception from" not in caught.value.why
    assert backend.plan(program(one("Exp"))) == ()


UNMEASURED = {
    "Cast": "y = Cast <to = 7> (x)",
    "CastLike": "two = Constant <value_ints = [2]> () y = CastLike (x, two)",
    "CumSum": "axis = Constant <value_int = 1> () y = CumSum (x, axis)",
    "Dropout": "y = Dropout (x)",
    "OneHot": """depth = Constant <value_int = 5> () values = Constant <value_floats = [0.0, 1.0]> ()
        i = Cast <to = 7> (x) y = OneHot (i, depth, values)""",
    "Range": """begin = Constant <value_float = 0.0> () step = Constant <value_float = 1.0> ()
        limit = ReduceMax <keepdims = 0> (x) y = Range (begin, limit, step)""",
}


@pytest.mark.parametrize("operator", UNMEASURED)
def test_operators_that_onnx_has_no_fitting_case_of_are_right(backend, program, tmp_path, operator):
    assert operator in read_facts("openvino").supported
    kind = "int64" if operator.startswith("Cast") else "float"
    text = f'<ir_version: 8, opset_import: ["": 18]> g (float[n, 3] x) => ({kind}[...] y) {{ {UNMEASURED[operator]} }}'
    given = program(onnx.parser.parse_model(text.replace("[...]", "")))
    values = {"x": np.array([[0, 1, 2], [3, 4, 1]], np.float32)}
    found = backend.open(built(backend, given, tmp_path / "engine")).run(values)["y"]
    np.testing.assert_array_equal(found, OnnxRuntimeSession.as_written(given.path).run(values)["y"])


def recurrent(layout: int) -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    weights = {"w": generator.normal(size=(1, 16, 3)), "r": generator.normal(size=(1, 16, 4))}
    body = f"y, h = LSTM <hidden_size = 4, layout = {layout}> (x, w, r)"
    text = f'<ir_version: 8, opset_import: ["": 18]> g (float[2, 5, 3] x) => (float[a, b, c, d] y) {{ {body} }}'
    graph = onnx.parser.parse_model(text)
    values = ((name, value.astype(np.float32)) for name, value in weights.items())
    graph.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values)
    return graph


def test_what_would_be_computed_wrong_in_silence_is_an_obstacle(backend, program):
    assert backend.plan(program(recurrent(layout=0))) == ()
    (obstacle,) = backend.plan(program(recurrent(layout=1)))
    assert (obstacle.operator, obstacle.seen) == ("LSTM", read_facts("openvino").seen)


@pytest.mark.skipif(
    not libraries.installed_version("openvino").startswith(read_facts("openvino").version),
    reason="what is known was measured of another version",
)
def test_what_is_known_to_be_computed_wrong_really_is(program):
    """OpenVINO converts an LSTM whose batch comes first, and computes something else."""
    given = program(recurrent(layout=1))
    values = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    core = library.load().Core()
    found = core.compile_model(core.read_model(given.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([values])[0]
    expected = ReferenceEvaluator(str(given.path)).run(None, {"x": values})[0]
    assert found.shape != expected.shape or np.abs(found - expected).max() > 0.01


def test_without_openvino_it_is_planned_by_what_is_known(backend, program, monkeypatch):
    monkeypatch.setattr(libraries, "installed_version", lambda name: "")
    assert backend.plan(program(one("Exp"))) == ()
    (obstacle,) = backend.plan(program(one("EfficientNMS_TRT", domain="TRT")))
    assert (obstacle.operator, obstacle.node) == ("TRT::EfficientNMS_TRT", "/it")


@pytest.mark.parametrize(
    ("version", "said"), [("", "openvino is not installed"), ("2023.3.0", "openvino 2023.3.0 is installed, and 2025.0")]
)
def test_what_is_missing_is_said_with_what_to_install(backend, program, tmp_path, monkeypatch, version, said):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    monkeypatch.setattr(libraries, "installed_version", lambda name: version)
    probe = backend.probe()
    assert said in probe.problem
    assert "'deploy-compiler[openvino]'" in probe.problem
    with pytest.raises(CompileError, match="openvino cannot be used here") as caught:
        backend.open(engine)
    assert said in caught.value.why


def test_a_device_that_is_not_here_is_found_before_anything_is_built(program, tmp_path):
    backend = build_backend({**NODE, "device": "GPU.7"})
    assert backend.probe().problem.startswith("OpenVINO finds no device GPU.7 here; there is ")
    with pytest.raises(CompileError, match=r"OpenVINO finds no device GPU\.7 here") as caught:
        built(backend, program(one("Exp")), tmp_path / "engine")
    assert "CPU" in caught.value.why


@pytest.mark.parametrize(
    ("word", "said"), [("cpu", "CPU"), ("GPU.x", "GPU"), ("", "CPU"), ("AUTO", "one"), ("HETERO:GPU,CPU", "one")]
)
def test_a_word_that_can_be_no_device_is_a_fault_of_the_command(word, said):
    with pytest.raises(UsageError, match="is no device") as caught:
        build_backend({**NODE, "device": word})
    assert caught.value.where == "backend.device"
    assert said in str(caught.value)


def test_the_only_device_of_a_kind_is_its_first(program, tmp_path):
    """OpenVINO gives numbers where there are several, and its processor takes none."""
    backend = build_backend({**NODE, "device": "CPU.0"})
    assert not backend.probe().problem
    session = backend.open(built(backend, program(one("Exp")), tmp_path / "engine"))
    np.testing.assert_allclose(session.run({"input": VALUES})["output"], np.exp(VALUES), rtol=1e-6)


@pytest.mark.parametrize(
    ("device", "found", "name"),
    [
        ("GPU", ["CPU", "GPU.0", "GPU.1"], "GPU"),
        ("GPU.1", ["CPU", "GPU.0", "GPU.1"], "GPU.1"),
        ("GPU.0", ["CPU", "GPU"], "GPU"),
        ("GPU.1", ["CPU", "GPU"], ""),
        ("NPU", ["CPU", "GPU"], ""),
        ("CPU.1", ["CPU"], ""),
    ],
)
def test_devices_are_called_as_openvino_calls_them(device, found, name):
    assert library.named_here(device, found) == name


def test_a_program_of_another_kind_is_refused(backend, tmp_path):
    traced = TorchScriptProgram(tmp_path / "program.pt", (), ())
    with pytest.raises(CompileError, match="a Program in torchscript is not what is read here"):
        backend.plan(traced)


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"hint": "latancy"}, "backend.hint", "did you mean latency?"),
        ({"quantizer": "ours"}, "backend.quantizer", "choose one of: compiler, nncf"),
        ({"inference_precision": "fp32"}, "backend.inference_precision", "f32"),
        ({"threads": 0}, "backend.threads", "give a number of that range"),
        ({"stream": 2}, "backend.stream", "did you mean streams?"),
    ],
)
def test_a_wrong_option_is_named(change, where, said):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, **change})
    assert caught.value.where == where
    assert said in str(caught.value)


def test_a_wrong_input_is_refused_in_one_line(backend, program, tmp_path):
    session = backend.open(built(backend, program(one("Exp")), tmp_path / "engine"))
    for tensors, said in (({"input": np.zeros((2, 4), np.float32)}, "does not run on"), ({"image": VALUES}, "has no")):
        with pytest.raises(CompileError, match=f"the engine {said}") as caught:
            session.run(tensors)
        assert "\n" not in caught.value.why
    np.testing.assert_allclose(session.run({"input": VALUES})["output"], np.exp(VALUES), rtol=1e-6)


def test_a_sidecar_that_names_another_output_is_refused(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    other = replace(engine, outputs=(replace(engine.outputs[0], name="scores"),))
    with pytest.raises(CompileError, match="the engine has no scores"):
        backend.open(other)


DAMAGES = {
    "half a graph": (GRAPH_FILE, lambda content: content[: len(content) // 2]),
    "text": (GRAPH_FILE, lambda content: b"no graph"),
    "an operator of nobody's": (GRAPH_FILE, lambda content: content.replace(b'type="Convolution"', b'type="Payload"')),
    "half the weights": (WEIGHTS_FILE, lambda content: content[: len(content) // 2]),
    "no weights": (WEIGHTS_FILE, lambda content: b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_engine_is_refused_in_one_line(backend, program, tmp_path, damage):
    engine = built(backend, program(model(NETWORK)), tmp_path / "engine")
    name, change = DAMAGES[damage]
    (engine.folder / name).write_bytes(change((engine.folder / name).read_bytes()))
    with pytest.raises(CompileError, match=r"OpenVINO refuses end2end\.xml") as caught:
        backend.open(engine)
    assert caught.value.where == str(engine.folder / GRAPH_FILE)
    assert caught.value.why
    assert "\n" not in caught.value.why
    assert "get the bundle again" in caught.value.fix


def test_an_engine_that_is_onnx_is_not_read_nor_what_it_refers_to(backend, program, tmp_path):
    """OpenVINO reads ONNX whatever a file is called, and with it the numbers of any other file that it names."""
    engine = built(backend, program(model(NETWORK)), tmp_path / "engine")
    secret = np.full((4, 3, 3, 3), 42, np.float32)
    (tmp_path / "secret").write_bytes(secret.tobytes())
    graph = model("y = Conv (x, w1, b1)", w1=secret)
    weight = next(one for one in graph.graph.initializer if one.name == "w1")
    onnx.external_data_helper.set_external_data(weight, "../secret", 0, secret.nbytes)
    weight.ClearField("raw_data")
    (engine.folder / GRAPH_FILE).write_bytes(graph.SerializeToString())
    with pytest.raises(CompileError, match=r"OpenVINO refuses end2end\.xml"):
        backend.open(engine)


def test_the_sidecar_cannot_name_other_files(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    moved = replace(engine, files=("elsewhere.onnx",))
    assert backend.files(moved) == (GRAPH_FILE, WEIGHTS_FILE)
    assert backend.open(moved).run({"input": VALUES})


def blobs(cache: Path) -> list[Path]:
    return sorted((cache / FOLDER).rglob("*.blob"))


def test_a_compiled_model_is_kept_for_the_next_time_and_computes_the_same(backend, program, tmp_path):
    engine = built(backend, program(model(NETWORK)), tmp_path / "engine")
    first = backend.open_cached(engine, tmp_path / "mine").run(images())["y"]
    (blob,) = blobs(tmp_path / "mine")
    written = blob.stat().st_mtime_ns
    again = backend.open_cached(engine, tmp_path / "mine").run(images())["y"]
    assert blobs(tmp_path / "mine")[0].stat().st_mtime_ns == written
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(first, backend.open(engine).run(images())["y"])
    assert not set(engine.folder.iterdir()) - {engine.folder / name for name in (*engine.files, Engine.SIDECAR)}


def test_a_compiled_model_that_was_changed_is_made_again(backend, program, tmp_path):
    """OpenVINO would compute with whatever stands in it."""
    engine = built(backend, program(model(NETWORK)), tmp_path / "engine")
    expected = backend.open_cached(engine, tmp_path / "mine").run(images())["y"]
    (blob,) = blobs(tmp_path / "mine")
    content = bytearray(blob.read_bytes())
    content[-400:-200] = bytes(200)
    blob.write_bytes(content)
    np.testing.assert_array_equal(backend.open_cached(engine, tmp_path / "mine").run(images())["y"], expected)
    assert bytes(content) != blobs(tmp_path / "mine")[0].read_bytes()


def test_an_engine_that_is_replaced_while_it_is_compiled_leaves_nothing(backend, program, tmp_path, monkeypatch):
    """What was made of another would be found under the digest of this one."""
    engine = built(backend, program(one("Exp")), tmp_path / "exp")
    other = built(backend, program(one("Neg")), tmp_path / "neg")
    whole = library.compiled

    def swapped(core, model, device, properties, where):
        shutil.copyfile(other.path, engine.path)
        return whole(core, model, device, properties, where)

    with monkeypatch.context() as patch:
        patch.setattr("compiler.backends.openvino.backend.compiled", swapped)
        with pytest.raises(CompileError, match="the engine changed while it was being read"):
            backend.open_cached(engine, tmp_path / "mine")
    assert not blobs(tmp_path / "mine")
    backend.open_cached(engine, tmp_path / "mine")
    assert blobs(tmp_path / "mine")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_that_cannot_be_written_is_named(backend, program, tmp_path, place):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CompileError, match="the folder for compiled models cannot be written") as caught:
        backend.open_cached(engine, tmp_path / place)
    assert caught.value.where == str(tmp_path / place / FOLDER)
    assert "cache=" in caught.value.fix


def test_engines_that_differ_share_no_compiled_model(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "exp")
    other = built(backend, program(one("Neg")), tmp_path / "neg")
    for each in (engine, other):
        backend.open_cached(each, tmp_path / "mine")
    assert len({blob.parent for blob in blobs(tmp_path / "mine")}) == 2


def test_a_compile_keeps_nothing_where_it_says_so_and_who_opens_a_bundle_decides(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "exp")
    off = build_backend({**NODE, "model_cache": False})
    off.open_to_prove(engine, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    backend.open_to_prove(engine, tmp_path / "on")
    off.open_cached(engine, tmp_path / "cache")
    assert len(blobs(tmp_path / "on")) == len(blobs(tmp_path / "cache")) == 1


def test_a_compiled_model_of_a_bundle_is_never_looked_at(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    backend.open_cached(engine, engine.folder)  # as a stranger leaves it
    planted = {path: path.read_bytes() for path in blobs(engine.folder)}
    assert planted
    found = backend.open_cached(engine, tmp_path / "mine").run({"input": VALUES})
    np.testing.assert_allclose(found["output"], np.exp(VALUES), rtol=1e-6)
    assert {path: path.read_bytes() for path in planted} == planted


IN_A_PROCESS_OF_ITS_OWN = """
import json, sys
class Refusing:
    REFUSED = ("torch", "hydra", "omegaconf", "onnx", "onnxruntime", "nncf", "openvino_telemetry")
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.REFUSED:
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Refusing())
from pathlib import Path
import numpy as np
from compiler.artifact import Engine
from compiler.backends import backend_of
engine = Engine.load(Path(sys.argv[1]))
found = backend_of(engine).open(engine).run({"input": np.ones((2, 3), np.float32)})
print(json.dumps(found["output"].tolist()))
"""


def test_an_engine_opens_without_torch_and_tells_nobody(backend, program, tmp_path):
    """OpenVINO sends an event to Google whenever it is imported, and leaves a number in the home folder."""
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    run = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN, str(engine.folder)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), np.exp(np.ones((2, 3))), rtol=1e-6)
    assert not list(home.iterdir())


def test_several_threads_run_one_engine(backend, program, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    session = backend.open(built(backend, program(one("Exp")), tmp_path / "engine"))
    inputs = [np.full((1, 3), value, np.float32) for value in np.linspace(-1, 1, 64)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda values: session.run({"input": values})["output"], inputs))
    np.testing.assert_allclose(np.concatenate(found), np.exp(np.concatenate(inputs)), rtol=1e-6)


def test_an_engine_that_moved_is_opened_where_it_lies_now(backend, program, tmp_path):
    engine = built(backend, program(one("Exp")), tmp_path / "engine")
    shutil.move(engine.folder, tmp_path / "moved")
    moved = Engine.load(tmp_path / "moved")
    assert backend_of(moved).open(moved).run({"input": VALUES})


def opened_once(cache: Path, name: str) -> Path:
    """The folder of an engine, of which something is kept."""
    file = cache.parent / name
    file.write_text(name)
    with compiled_models(cache, {"file": file}, {}) as folder:
        (folder / "model.blob").write_text(name)
    return folder


def test_what_was_opened_longest_ago_is_removed_but_not_what_another_process_uses(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    oldest, old, new = (opened_once(tmp_path / "mine", name) for name in ("oldest", "old", "new"))
    assert [folder.exists() for folder in (oldest, old, new)] == [False, True, True]
    with FileLock(old.with_name(f"{old.name[:2]}.lock")):  # as another process holds it
        newest = opened_once(tmp_path / "mine", "newest")
        assert [folder.exists() for folder in (old, new, newest)] == [True, True, True]
    opened_once(tmp_path / "mine", "newest")
    assert [folder.exists() for folder in (old, new, newest)] == [False, True, True]


def test_what_could_not_be_compiled_is_removed_in_its_turn_and_lock_files_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(RuntimeError), compiled_models(tmp_path / "mine", {}, {"device": "GPU"}) as failed:
        raise RuntimeError
    assert failed.exists()
    for index in range(5):
        os.utime(failed, (0, 0)) if failed.exists() else None
        opened_once(tmp_path / "mine", f"{index}")
    assert not failed.exists()
    assert all(len(file.stem) == 2 for file in (tmp_path / "mine" / FOLDER).glob("*.lock"))
