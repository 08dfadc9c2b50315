"""TensorRT-RTX: real engines, built without a GPU; what cannot be built or opened is said clearly."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from compiler.artifact import Engine, TensorSpec, read_json, write_json
from compiler.backends import Profile, build_backend
from compiler.backends.nvidia import backend as adapter
from compiler.backends.nvidia.build_engine import Log
from compiler.backends.nvidia.cuda import Gpu, Gpus
from compiler.backends.nvidia.session import new_runtime
from compiler.backends.tensorrt_rtx import AMPERE_AND_LATER, CAPABILITIES
from compiler.errors import CompileError, UsageError
from compiler.graphs import describe
from tests.backends.nvidia import batches, convolution, matrix_product, request, written
from tests.gpu.subjects import subject

tensorrt_rtx = pytest.importorskip("tensorrt_rtx")

NODE = {"_target_": "compiler.backends.tensorrt_rtx.TensorRTRTX", "name": "tensorrt_rtx"}


@pytest.fixture
def backend():
    return build_backend(NODE)


@pytest.fixture(scope="module")
def convolved(tmp_path_factory):
    """An engine of one convolution, built once, and what was told of its progress. Not to be changed."""
    folder, told = tmp_path_factory.mktemp("convolution"), []
    asked = request(convolution(folder), folder / "engine", progress=lambda share, phase: told.append((share, phase)))
    return build_backend(NODE).build(asked), told


@pytest.fixture
def copied(convolved, tmp_path):
    """That engine, to be changed."""
    return Engine.load(Path(shutil.copytree(convolved[0].folder, tmp_path / "copy")))


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(adapter, "find_gpus", lambda: Gpus(problem="no GPU: there is no NVIDIA driver"))


def details(engine: Engine) -> dict:
    return read_json(engine.folder / "engine_details.json")


def test_it_builds_here_and_runs_where_there_is_a_gpu(backend, no_gpu):
    probe = backend.probe()
    assert probe.version
    assert not probe.problem
    assert not probe.build_problem
    assert "no GPU" in probe.run_problem


def test_where_it_is_not_installed_the_engine_is_left_to_build(backend, monkeypatch):
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    probe = backend.probe()
    assert not probe.problem
    assert not probe.version
    assert "pip install 'deploy-compiler[tensorrt-rtx]'" in probe.build_problem
    assert "pip install 'deploy-compiler[tensorrt-rtx]'" in probe.run_problem


@pytest.mark.parametrize("batch", ["batch", 2])
def test_an_engine_comes_with_all_that_is_known_of_it(backend, no_gpu, tmp_path, batch):
    program = convolution(tmp_path, batch=batch)
    sizes = (1, 2, 4) if batch == "batch" else (2, 2, 2)
    engine = backend.build(request(program, tmp_path / "engine", batches(program, *sizes)))
    assert {file.name for file in engine.folder.iterdir()} == {
        "end2end.engine", "engine.json", "engine_details.json", "build.log", "end2end.onnx", "build_engine.py",
    }  # fmt: skip
    assert Engine.load(engine.folder).inputs == (TensorSpec("input", "float32", (batch, 3, 8, 8)),)
    found = details(engine)
    assert found["library"] == "tensorrt_rtx"
    assert found["version"] == backend.probe().version
    assert found["targets"] == list(AMPERE_AND_LATER)
    assert found["bytes"] == engine.path.stat().st_size
    assert {"name": "conv", "type": "CONVOLUTION", "precision": "FLOAT"} in found["layers"]
    assert "Input filename" in (engine.folder / "build.log").read_text()


def test_every_profile_is_in_the_engine(backend, tmp_path):
    program = convolution(tmp_path)
    one = backend.build(request(program, tmp_path / "one", batches(program, 1, 1, 4)))
    two = backend.build(request(program, tmp_path / "two", batches(program, 1, 1, 4), batches(program, 5, 8, 16)))
    assert [profile["input"][2][0] for profile in details(two)["profiles"]] == [4, 16]
    assert two.path.stat().st_size > one.path.stat().st_size


@pytest.mark.parametrize("capabilities", [["SM86"], ["SM80", "SM89", "SM120"], list(CAPABILITIES)])
def test_one_engine_serves_all_the_gpus_that_are_named(tmp_path, capabilities):
    engine = build_backend({**NODE, "compute_capabilities": capabilities}).build(
        request(convolution(tmp_path), tmp_path / "engine")
    )
    assert details(engine)["targets"] == capabilities
    assert engine.path.stat().st_size


def test_turing_has_no_fp32_matrix_product_and_the_library_says_so(tmp_path):
    turing = build_backend({**NODE, "compute_capabilities": ["SM75"]})
    with pytest.raises(CompileError, match="cannot build end2end.onnx") as caught:
        turing.build(request(matrix_product(tmp_path), tmp_path / "engine"))
    assert "FP32 GEMM is not supported" in caught.value.why
    assert "plan" in caught.value.fix
    assert str(tmp_path / "cache" / "build.log") in caught.value.fix
    assert not (tmp_path / "engine" / "end2end.engine").exists()
    assert "FP32 GEMM" in (tmp_path / "engine" / "build.log").read_text()


def test_turing_has_an_fp16_matrix_product(tmp_path):
    turing = build_backend({**NODE, "compute_capabilities": ["SM75"]})
    engine = turing.build(request(matrix_product(tmp_path, np.float16), tmp_path / "engine"))
    assert {layer["precision"] for layer in details(engine)["layers"]} == {"HALF"}


@pytest.mark.parametrize(("capabilities", "advice"), [(["SM90"], "SM80"), (["SM86", "SM86"], ""), ([], "")])
def test_other_capabilities_are_refused(capabilities, advice):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, "compute_capabilities": capabilities})
    assert caught.value.where == "backend.compute_capabilities"
    assert advice in caught.value.fix


@pytest.mark.parametrize(
    ("option", "value"),
    [("workspace", 0), ("device", -1), ("compute_capability", "SM86"), ("tf32", "yes"), ("timing_cache", True)],
)
def test_other_options_are_refused(option, value):
    with pytest.raises(UsageError, match=option) as caught:
        build_backend({**NODE, option: value})
    assert option in caught.value.where


@pytest.mark.parametrize("option", [{"tf32": True}, {"workspace": 0.5}])
def test_options_reach_the_library(backend, tmp_path, option):
    program = matrix_product(tmp_path)
    plain = backend.build(request(program, tmp_path / "plain"))
    chosen = build_backend({**NODE, **option}).build(request(program, tmp_path / "chosen"))
    assert chosen.path.read_bytes() != plain.path.read_bytes()


@pytest.mark.parametrize(
    ("sizes", "why"),
    [((4, 2, 1), "do not grow"), ((0, 1, 2), "do not grow"), ((2, 4, 3), "do not grow")],
)
def test_a_profile_that_does_not_grow_is_refused(backend, tmp_path, sizes, why):
    program = convolution(tmp_path)
    with pytest.raises(UsageError, match="'input'") as caught:
        backend.build(request(program, tmp_path / "engine", batches(program, *sizes)))
    assert why in caught.value.why
    assert str((sizes[0], 3, 8, 8)) in caught.value.where


def test_a_profile_must_go_with_the_fixed_sizes_of_the_program(backend, tmp_path):
    program = convolution(tmp_path, batch=2)
    with pytest.raises(UsageError) as caught:
        backend.build(request(program, tmp_path / "engine", batches(program, 1, 2, 4)))
    assert "fixed dimension is 2" in caught.value.why


def test_everything_that_the_parser_refuses_is_said(backend, tmp_path):
    nodes = [
        helper.make_node("Exp", ["input"], ["middle"]),
        helper.make_node("NoSuch", ["middle"], ["output"], name="x"),
    ]
    with pytest.raises(CompileError, match="cannot read end2end.onnx") as caught:
        backend.build(request(written(tmp_path, nodes, ("batch", 3), ("batch", 3)), tmp_path / "engine"))
    assert "NoSuch (x): " in caught.value.why


def test_progress_ends_at_one_and_never_falls(convolved):
    _, shares = convolved
    values = [share for share, _ in shares]
    assert values == sorted(values)
    assert shares[-1] == (1.0, "built")
    assert "Building engine" in {phase for _, phase in shares}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_what_progress_raises_ends_the_build_and_nothing_is_left_half_written(backend, tmp_path, interruption):
    def interrupt(share: float, phase: str) -> None:
        if share > 0.1:
            raise interruption

    with pytest.raises(interruption):
        backend.build(request(convolution(tmp_path), tmp_path / "engine", progress=interrupt))
    assert not list((tmp_path / "engine").glob("*end2end.engine*"))
    assert not (tmp_path / "engine" / "engine_details.json").exists()


def test_without_its_weights_an_engine_needs_a_gpu_to_be_built(no_gpu, tmp_path):
    stripping = build_backend({**NODE, "strip_weights": True})
    assert "no GPU" in stripping.probe().build_problem
    with pytest.raises(CompileError, match="cannot build an engine here") as caught:
        stripping.build(request(convolution(tmp_path), tmp_path / "engine"))
    assert "without its weights" in caught.value.why
    assert "build_engine.py" in caught.value.fix


def test_without_a_gpu_an_engine_cannot_be_opened(backend, no_gpu, convolved):
    with pytest.raises(CompileError, match="the engine cannot be opened here: no GPU"):
        backend.open(convolved[0])


def test_an_engine_of_another_version_is_refused_before_it_is_opened(backend, copied):
    write_json(copied.folder / "engine_details.json", {**details(copied), "version": "1.2.0.54"})
    with pytest.raises(CompileError) as caught:
        backend.open(copied)
    assert "tensorrt_rtx 1.2.0.54" in str(caught.value)
    assert backend.probe().version in str(caught.value)


def test_an_engine_whose_details_are_lost_is_refused(backend, copied):
    (copied.folder / "engine_details.json").write_text(json.dumps([]))
    with pytest.raises(CompileError, match="does not describe an engine"):
        backend.open(copied)


def test_the_plan_is_made_for_the_gpus_that_the_engine_is_for(tmp_path):
    program = matrix_product(tmp_path)
    assert build_backend(NODE).plan(program) == ()
    assert build_backend({**NODE, "compute_capabilities": ["SM75"]}).plan(program)


def test_the_gpu_that_runs_the_engine_needs_not_be_where_it_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr(adapter, "find_gpus", lambda: Gpus((Gpu(0, "NVIDIA A2", "SM86"),), "13.0"))
    backend = build_backend({**NODE, "device": 3})
    engine = backend.build(request(convolution(tmp_path), tmp_path / "engine"))
    with pytest.raises(CompileError, match="there is no GPU 3") as caught:
        backend.open(engine)
    assert "0: NVIDIA A2" in caught.value.why


def test_while_something_of_the_library_lives_a_build_still_hears_what_it_says(tmp_path):
    older = Log()
    runtime = new_runtime(tensorrt_rtx, older)
    turing = build_backend({**NODE, "compute_capabilities": ["SM75"]})
    with pytest.raises(CompileError) as caught:
        turing.build(request(matrix_product(tmp_path), tmp_path / "engine"))
    assert "FP32 GEMM is not supported" in caught.value.why
    assert older.of("ERROR") == []
    assert runtime is not None


def test_a_length_may_come_from_the_values_of_an_input_whose_size_varies(backend, tmp_path):
    """Of an input of a fixed size it may not: see the plan."""
    text = """g (float[4] x, int64[k] n) => (float[m] y) <int64[1] at = {0}> {
        c = Gather (n, at) all = ConstantOfShape (c) largest = ReduceMax <keepdims = 0> (x) y = Add (all, largest)
    }"""
    onnx.save(onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 18]> {text}'), tmp_path / "program.onnx")
    program = describe(tmp_path / "program.onnx")
    assert backend.plan(program) == ()
    shapes = ({"x": (4,), "n": (size,)} for size in (1, 2, 4))
    assert backend.build(request(program, tmp_path / "engine", Profile(*shapes))).path.stat().st_size


def test_external_weights_are_found(backend, tmp_path):
    program = convolution(tmp_path)
    model = onnx.load(program.path)
    onnx.save(model, program.path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    engine = backend.build(request(describe(program.path), tmp_path / "engine"))
    assert engine.path.stat().st_size


@pytest.mark.parametrize("exporter", ["torchscript", pytest.param("dynamo", marks=pytest.mark.slow)])
def test_a_model_builds_as_it_is_exported(tmp_path, exporter):
    chosen = ("backend=tensorrt_rtx", "model=simcc-mobilenetv2", f"export.exporter={exporter}")
    given = subject(tmp_path / "model", *chosen)
    assert given.backend.plan(given.program) == ()
    engine = given.backend.build(given.request(tmp_path / "engine"))
    assert engine.path.stat().st_size > 2**20
    assert [spec.name for spec in engine.outputs] == ["simcc_x", "simcc_y"]
    assert details(engine)["profiles"][0]["input"][2] == [4, 3, 256, 192]
    assert details(engine)["warnings"] == []


def test_a_model_of_point_clouds_of_a_fixed_size_builds(tmp_path):
    """The coordinates of its voxels must not be a shape, which TensorRT would want to know while it builds."""
    given = subject(tmp_path / "model", "backend=tensorrt_rtx", "model=pointpillars-kitti-car", "shape=static_2000")
    engine = given.backend.build(given.request(tmp_path / "engine"))
    assert {spec.shape[0] for spec in engine.outputs} == {1}
    assert engine.path.stat().st_size > 2**20


def test_an_engine_may_bring_code_for_the_processor_only_where_that_is_said():
    assert not new_runtime(tensorrt_rtx, Log()).engine_host_code_allowed
    assert new_runtime(tensorrt_rtx, Log(), host_code=True).engine_host_code_allowed


def test_which_engines_bring_code():
    tensorrt = {"_target_": "compiler.backends.tensorrt.TensorRT", "name": "tensorrt"}
    assert build_backend({**tensorrt, "version_compatible": True}).engine_holds_code
    assert not build_backend(tensorrt).engine_holds_code
    assert not build_backend(NODE).engine_holds_code
