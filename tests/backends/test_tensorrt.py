"""TensorRT: what its options do to a build.

TensorRT itself needs NVIDIA's own package index and a GPU. Its Python API is TensorRT-RTX's but for a few names: here
TensorRT-RTX plays its part under its name, with a GPU that is made up.
"""

import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from compiler.artifact import read_json
from compiler.backends import build_backend
from compiler.backends.nvidia import backend as adapter
from compiler.backends.nvidia import details
from compiler.backends.nvidia.build_engine import Log, Settings, configure
from compiler.backends.nvidia.cuda import Gpu, Gpus
from compiler.backends.tensorrt import TensorRT
from compiler.errors import CompileError, UsageError
from tests.backends.nvidia import ALIAS, batches, convolution, request, write_alias

NODE = {"_target_": "compiler.backends.tensorrt.TensorRT", "name": "tensorrt"}
TITAN = Gpu(0, "NVIDIA TITAN RTX", "SM75")


@pytest.fixture
def with_tensorrt(monkeypatch, tmp_path_factory):
    """Let the library be installed, and one GPU be there."""
    library = pytest.importorskip("tensorrt_rtx")
    write_alias(tmp_path_factory.mktemp("packages"), monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    monkeypatch.setattr(adapter, "installed_version", lambda distribution: library.__version__)
    monkeypatch.setattr(TensorRT, "OLDEST", library.__version__)
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: library)
    monkeypatch.setattr(adapter, "find_gpus", lambda: Gpus((TITAN,), "13.0"))
    monkeypatch.setattr(details, "load_cuda", lambda: SimpleNamespace(cudaSetDevice=lambda index: (0,)))


@pytest.fixture
def config(with_tensorrt):
    """Return what the library is told by these options."""
    library = sys.modules["tensorrt"]
    builder = library.Builder(Log().listener(library))

    def told(program, folder, **options):
        settings = build_backend({**NODE, **options}).settings(request(program, folder))
        return configure(library, builder, settings)

    return told


def test_where_it_is_not_installed_the_engine_is_left_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(adapter.importlib.util, "find_spec", lambda name: None)
    backend = build_backend(NODE)
    probe = backend.probe()
    assert not probe.problem
    assert "pip install 'deploy-compiler[tensorrt]'" in probe.build_problem
    with pytest.raises(CompileError, match="cannot build an engine here") as caught:
        backend.build(request(convolution(tmp_path), tmp_path / "engine"))
    assert "build_engine.py" in caught.value.fix
    assert not list((tmp_path / "engine").iterdir())


def test_without_a_gpu_the_engine_is_left_to_build(with_tensorrt, monkeypatch):
    monkeypatch.setattr(adapter, "find_gpus", lambda: Gpus(problem="no GPU: there is no NVIDIA driver"))
    probe = build_backend(NODE).probe()
    assert not probe.problem
    assert probe.build_problem == probe.run_problem == "no GPU: there is no NVIDIA driver"


def test_with_a_gpu_it_builds_here(with_tensorrt):
    probe = build_backend(NODE).probe()
    assert probe.devices == ("NVIDIA TITAN RTX",)
    assert (probe.problem, probe.build_problem, probe.run_problem) == ("", "", "")


def test_the_engine_tells_what_it_was_built_on(with_tensorrt, tmp_path):
    program = convolution(tmp_path)
    engine = build_backend(NODE).build(request(program, tmp_path / "engine", batches(program, 1, 1, 8)))
    found = read_json(engine.folder / "engine_details.json")
    assert found["library"] == "tensorrt"
    assert found["gpu"] == {"index": 0, "name": "NVIDIA TITAN RTX", "capability": "SM75"}
    assert found["targets"] == ["SM75"]
    assert found["driver"] == "13.0"


def test_the_timing_cache_is_kept_by_version_and_kind_of_gpu_and_used_again(with_tensorrt, tmp_path):
    program = convolution(tmp_path)
    used = [
        read_json(build_backend(NODE).build(request(program, tmp_path / name)).folder / "engine_details.json")
        for name in ("first", "second")
    ]
    assert [found["timing_cache"] for found in used] == [False, True]
    (file,) = (tmp_path / "cache").iterdir()
    assert file.name == f"tensorrt-{used[0]['version']}-NVIDIA_TITAN_RTX-SM75.timing"
    assert file.stat().st_size


def test_a_library_that_crashes_is_one_error_and_the_log_is_kept(with_tensorrt, monkeypatch, tmp_path):
    write_alias(tmp_path, monkeypatch, f"{ALIAS}import os\nBuilder = lambda logger: os.abort()\n")
    with pytest.raises(CompileError, match="TensorRT: the builder's process ended with SIGABRT") as caught:
        build_backend(NODE).build(request(convolution(tmp_path), tmp_path / "engine"))
    assert str(tmp_path / "cache" / "build.log") in caught.value.fix
    assert not (tmp_path / "engine" / "end2end.engine").exists()


def test_no_timing_cache_is_kept_where_none_is_wanted(with_tensorrt, tmp_path):
    build_backend({**NODE, "timing_cache": False}).build(request(convolution(tmp_path), tmp_path / "engine"))
    assert not (tmp_path / "cache").exists()


def test_a_gpu_that_is_not_there_is_named(with_tensorrt, tmp_path):
    with pytest.raises(CompileError, match="there is no GPU 3") as caught:
        build_backend({**NODE, "device": 3}).build(request(convolution(tmp_path), tmp_path / "engine"))
    assert "0: NVIDIA TITAN RTX" in caught.value.why


@pytest.mark.parametrize(
    ("option", "flag"),
    [("tf32", "TF32"), ("version_compatible", "VERSION_COMPATIBLE"), ("strip_weights", "STRIP_PLAN")],
)
def test_a_flag_is_raised_only_when_it_is_asked_for(config, tmp_path, option, flag):
    program = convolution(tmp_path)
    flag = getattr(sys.modules["tensorrt"].BuilderFlag, flag)
    assert not config(program, tmp_path / "plain").get_flag(flag)
    assert config(program, tmp_path / "chosen", **{option: True}).get_flag(flag)


def test_the_optimization_level_and_the_workspace_reach_the_library(config, tmp_path):
    found = config(convolution(tmp_path), tmp_path / "engine", optimization_level=5, workspace=1.5)
    assert found.builder_optimization_level == 5
    assert found.get_memory_pool_limit(sys.modules["tensorrt"].MemoryPoolType.WORKSPACE) == 3 * 2**29


def test_a_jetsons_accelerator_runs_what_it_can_and_the_gpu_the_rest(with_tensorrt):
    trt = sys.modules["tensorrt"]
    jetson = MagicMock(num_DLA_cores=2)
    found = configure(trt, jetson, Settings(dla_core=1))
    assert found.default_device_type == trt.DeviceType.DLA
    assert found.DLA_core == 1
    found.set_flag.assert_called_once_with(trt.BuilderFlag.GPU_FALLBACK)


def test_an_accelerator_that_is_not_there_is_named(with_tensorrt, tmp_path):
    with pytest.raises(CompileError, match="there is no DLA core 1") as caught:
        build_backend({**NODE, "dla_core": 1}).build(request(convolution(tmp_path), tmp_path / "engine"))
    assert caught.value.why == "this machine has 0"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("optimization_level", 6),
        ("optimization_level", -1),
        ("dla_core", -1),
        ("workspace", -2.0),
        ("workspace", 1e300),
        ("device", 10**30),
        ("dla_core", 10**30),
        ("timing_cach", True),
    ],
)
def test_other_options_are_refused(option, value):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, option: value})
    assert option in caught.value.where


def test_the_nearest_option_is_offered_for_a_misspelt_one():
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, "optimisation_level": 3})
    assert "optimization_level" in caught.value.fix
