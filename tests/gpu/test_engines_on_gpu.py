"""Real engines on a real GPU: `make test-gpu` prints what they compute and how fast, and fails where they are wrong."""

import numpy as np
import pytest
from rich.console import Console

from compiler.backends import build_backend
from compiler.backends.nvidia.cuda import find_gpus
from compiler.backends.tensorrt_rtx import CAPABILITIES
from compiler.errors import CompileError
from compiler.graphs import OnnxRuntimeSession
from tests.backends.nvidia import batches, convolution, request
from tests.gpu.subjects import subject
from tests.gpu.tables import compare_upsampling, measure, measurement_table, upsampling_table

pytestmark = pytest.mark.gpu

ROUNDS = 50
TOLERANCE = 1e-4
"""In standard deviations, as in `verify.tolerance`: TF32 is off."""
MODELS = {
    "simcc-mobilenetv2": [],
    "rtmpose-t": [],
    "litehrnet": [],
    "dbnet": ["shape=dynamic_320x320-640x640"],
    "retinanet-r18": ["shape=dynamic_320x320-640x640", "tail=host"],
}
CLASSES = {"tensorrt": "tensorrt.TensorRT", "tensorrt_rtx": "tensorrt_rtx.TensorRTRTX"}


@pytest.fixture(params=CLASSES)
def backend(request) -> str:
    """The name of a backend that can build and run here."""
    gpus = find_gpus()
    if gpus.problem:
        pytest.skip(gpus.problem)
    node = {"_target_": f"compiler.backends.{CLASSES[request.param]}", "name": request.param, "precisions": ["fp32"]}
    probe = build_backend(node).probe()
    if probe.build_problem or probe.run_problem:
        pytest.skip(probe.build_problem or probe.run_problem)
    if request.param == "tensorrt_rtx" and gpus.at(0).capability not in CAPABILITIES:
        pytest.skip(f"TensorRT-RTX does not run on {gpus.at(0).name}")
    return request.param


@pytest.fixture
def small(backend):
    """Build a backend with options of its own."""

    def make(**options):
        node = {"_target_": f"compiler.backends.{CLASSES[backend]}", "name": backend, "precisions": ["fp32"]}
        return build_backend({**node, **options})

    return make


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_gives_what_onnx_runtime_and_pytorch_give_at_every_shape(backend, tmp_path, model):
    given = subject(tmp_path / model, f"backend={backend}", f"model={model}", "precision=fp32", *MODELS[model])
    plain = OnnxRuntimeSession.as_written(given.program.path)
    runs = {
        backend: given.engine(tmp_path / "engine").run,
        "ONNX Runtime, CPU": OnnxRuntimeSession(given.program.path).run,
        "PyTorch": given.original,
    }
    rows = measure(given.model, given.inputs, plain.run, runs, ROUNDS)
    Console(width=120).print(measurement_table(f"{model}: engine, ONNX Runtime, PyTorch", rows))
    assert {row.shape for row in rows if row.runner == backend and row.error > TOLERANCE} == set()


def test_nearest_upsampling_as_it_is_and_as_bilinear(backend, tmp_path):
    rows = []
    for model in ("dbnet", "panet"):
        for mode, override in (
            ("nearest", "rewriters.disable=[nearest_to_bilinear]"),
            ("bilinear", "rewriters.disable=[]"),
        ):
            overrides = [f"backend={backend}", f"model={model}", "shape=dynamic_320x320-640x640", override]
            given = subject(tmp_path / f"{model}-{mode}", *overrides)
            engine = given.engine(tmp_path / f"{model}-{mode}-engine")
            program = OnnxRuntimeSession.as_written(given.program.path)
            rows.append(compare_upsampling(model, mode, given.inputs[1], engine.run, program.run, given.original))
    Console(width=120).print(upsampling_table(f"upsampling in {backend}: largest error in standard deviations", rows))
    assert {row.model for row in rows if row.mode == "bilinear" and row.engine > TOLERANCE} == set()


def test_every_profile_of_an_engine_runs(small, tmp_path):
    program = convolution(tmp_path)
    expected = OnnxRuntimeSession(program.path)
    session = small().open(
        small().build(request(program, tmp_path / "engine", batches(program, 1, 1, 4), batches(program, 5, 8, 16)))
    )
    for size in (1, 16, 4, 5):
        tensors = {"input": np.random.default_rng(size).standard_normal((size, 3, 8, 8)).astype(np.float32)}
        np.testing.assert_allclose(session.run(tensors)["output"], expected.run(tensors)["output"], atol=1e-4)
    with pytest.raises(CompileError, match="not built for these shapes"):
        session.run({"input": np.zeros((17, 3, 8, 8), np.float32)})


def test_an_engine_without_its_weights_gets_them_back_when_it_is_opened(small, tmp_path):
    program = convolution(tmp_path)
    whole, stripped = small(), small(strip_weights=True)
    tensors = {"input": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)}
    expected = whole.open(whole.build(request(program, tmp_path / "whole"))).run(tensors)
    found = stripped.open(stripped.build(request(program, tmp_path / "stripped"))).run(tensors)
    np.testing.assert_allclose(found["output"], expected["output"], atol=1e-4)


def test_the_library_tells_of_the_engines_own_layers(small, tmp_path):
    engine = small().build(request(convolution(tmp_path), tmp_path / "engine"))
    assert "Layers" in (engine.folder / "engine_details.json").read_text()


def test_the_library_times_the_engines_own_layers(small, tmp_path):
    backend = small()
    engine = backend.build(request(convolution(tmp_path), tmp_path / "engine"))
    layers = backend.layers(engine, {"input": np.ones((2, 3, 8, 8), np.float32)}, iterations=3)
    assert layers
    assert all(layer.name and layer.seconds >= 0 for layer in layers)
