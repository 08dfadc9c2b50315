"""ONNX Runtime's other execution providers: OpenVINO's is one that runs on every x86-64 processor."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from compiler.backends import build_backend
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.graphs import OnnxRuntimeSession, RuntimeOptions
from compiler.graphs.providers import PROVIDERS, available_providers, require_provider

OPENVINO = Path(sys.prefix) / "onnxruntime-openvino"
"""Another build of ONNX Runtime, which cannot stand beside the one that is installed: `make test` puts it here."""
NODE = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime"}
needs_openvino = pytest.mark.skipif(
    not OPENVINO.is_dir(), reason=f"no {OPENVINO}: make test installs it on Linux, x86-64"
)

MODEL = """<ir_version: 8, opset_import: ["": 13, "ai.onnx.ml": 2]>
    g (float[batch, 4] x) => (float[batch, 4] y, float[batch, 4] z) { y = Softmax (x) z = {last} (y) }"""
RUN = """
import sys
import numpy as np
from compiler.errors import CompileError
from compiler.graphs import OnnxRuntimeSession, RuntimeOptions
from pathlib import Path

try:
    options = RuntimeOptions(provider="openvino", fallback=sys.argv[2] == "fallback")
    session = OnnxRuntimeSession(Path(sys.argv[1]), options=options)
except CompileError as error:
    print(error.what, error.where, error.fix, sep="\\n")
else:
    print(session.run({"x": np.zeros((2, 4), np.float32)})["y"].tolist())
"""


@pytest.fixture
def run_with_openvino(tmp_path, monkeypatch):
    """Open a file of two nodes with OpenVINO's provider, and print what comes of it."""

    def run(last: str, fallback: str) -> list[str]:
        path = tmp_path / "two.onnx"
        onnx.save(onnx.parser.parse_model(MODEL.replace("{last}", last)), path)
        monkeypatch.setenv("PYTHONPATH", str(OPENVINO), prepend=":")
        command = [sys.executable, "-c", RUN, str(path), fallback]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    return run


@needs_openvino
def test_the_provider_that_is_asked_for_runs_the_graph(run_with_openvino):
    assert run_with_openvino("Sqrt", "alone") == [str([[0.25] * 4] * 2)]


@needs_openvino
def test_a_node_that_falls_back_to_the_cpu_is_an_error_that_names_it(run_with_openvino):
    what, where, fix = run_with_openvino("ai.onnx.ml.Binarizer", "alone")
    assert what == "OpenVINOExecutionProvider does not take all of two.onnx"
    assert where == "a node (Binarizer)"
    assert fix == "allow it: backend.fallback=true"


@needs_openvino
def test_it_falls_back_where_that_is_asked_for(run_with_openvino):
    assert run_with_openvino("ai.onnx.ml.Binarizer", "fallback") == [str([[0.25] * 4] * 2)]


@needs_openvino
def test_a_model_is_compiled_and_proven_with_it(command_line, tmp_path):
    onnx.save(onnx.parser.parse_model(MODEL.replace("{last}", "Sqrt")), tmp_path / "two.onnx")
    options = ("backend.provider=openvino", "model=onnx", "model.file=two.onnx")
    run = command_line(*options, PYTHONPATH=f"{OPENVINO}:{Path(__file__).parents[2]}")
    assert run.returncode == 0, run.stdout + run.stderr
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 4), np.float32))
    elsewhere = command_line("predict", str(next(tmp_path.glob("outputs/*/lock.json")).parent), "x.npz")
    assert elsewhere.returncode == 1
    assert "install onnxruntime-openvino" in elsewhere.stderr


@pytest.mark.parametrize("name", [name for name in PROVIDERS if name not in available_providers()])
def test_one_that_is_not_here_names_its_wheel(name, tmp_path):
    problem = build_backend({**NODE, "provider": name}).probe().problem
    assert PROVIDERS[name].name in problem
    assert f"install {PROVIDERS[name].wheel}" in problem
    onnx.save(onnx.parser.parse_model(MODEL.replace("{last}", "Sqrt")), tmp_path / "two.onnx")
    with pytest.raises(CompileError, match="cannot be opened here") as caught:
        OnnxRuntimeSession(tmp_path / "two.onnx", options=RuntimeOptions(provider=name))
    assert PROVIDERS[name].wheel in caught.value.why


def test_a_session_that_went_to_the_cpu_without_a_word_is_refused(tmp_path):
    onnx.save(onnx.parser.parse_model(MODEL.replace("{last}", "Sqrt")), tmp_path / "two.onnx")
    session = OnnxRuntimeSession(tmp_path / "two.onnx")._session
    require_provider(session, "cpu")
    with pytest.raises(CompileError, match="cannot use CUDAExecutionProvider here"):
        require_provider(session, "cuda")


def test_an_unknown_provider_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        OnnxRuntime(name="onnxruntime", provider="cdua")
    assert (caught.value.where, caught.value.fix) == ("backend.provider", "did you mean cuda?")


@pytest.mark.parametrize(
    "options", [{"device_type": "GPU"}, {"num_of_threads": 2}, {"precision": "FP32", "num_streams": 1}]
)
def test_options_that_name_nothing_are_anybodys(options):
    assert not OnnxRuntime(name="onnxruntime", provider="openvino", provider_options=options).engine_holds_code


@pytest.mark.parametrize(
    ("provider", "option"),
    [
        ("openvino", "cache_dir"),
        ("openvino", "load_config"),
        ("tensorrt", "trt_extra_plugin_lib_paths"),
        ("cuda", "user_compute_stream"),
    ],
)
def test_one_that_may_name_a_file_or_an_address_asks_for_trust(provider, option):
    assert OnnxRuntime(name="onnxruntime", provider=provider, provider_options={option: "/tmp/x"}).engine_holds_code


def test_options_are_written_as_one_expects():
    for override in ("backend.provider_options={num_of_threads: 2}", "backend.provider_options.num_of_threads=2"):
        config = compose(["backend.provider=openvino", override])
        assert build_backend(config.backend).simulation.providers[0][1]["num_of_threads"] == "2"


def test_options_of_the_cpu_are_refused_and_not_ignored():
    with pytest.raises(UsageError, match="the provider cpu takes no options"):
        OnnxRuntime(name="onnxruntime", provider_options={"device_id": 0})
