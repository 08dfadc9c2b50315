"""NVIDIA's machine as the tests of the pipeline need it: without the library, or with one that is played."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from compiler.backends import PROGRAM_FILE
from compiler.backends.nvidia import backend as nvidia
from compiler.backends.nvidia.cuda import Gpu, Gpus
from compiler.backends.tensorrt import TensorRT
from compiler.config import compose
from compiler.graphs import OnnxRuntimeSession
from compiler.pipeline import compile_bundle
from tests.backends.nvidia import write_alias
from tests.onnx_files import doubling, save

NO_DRIVER = "no GPU: there is no NVIDIA driver"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no GPU, and no TensorRT either."""
    monkeypatch.setattr(nvidia, "find_gpus", lambda: Gpus(problem=NO_DRIVER))
    monkeypatch.setitem(sys.modules, "tensorrt", None)


@pytest.fixture
def with_tensorrt(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Let TensorRT, which TensorRT-RTX plays, be there with a GPU; ONNX Runtime runs the engine, from its Program."""
    library = pytest.importorskip("tensorrt_rtx")
    write_alias(tmp_path_factory.mktemp("packages"), monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    monkeypatch.setattr(nvidia, "find_gpus", lambda: Gpus((Gpu(0, "NVIDIA TITAN RTX", "SM75"),), "13.0"))
    monkeypatch.setattr(nvidia, "inspect", lambda library, engine, gpu, host_code: None)
    monkeypatch.setattr(TensorRT, "open", lambda self, engine: OnnxRuntimeSession(engine.folder / PROGRAM_FILE))
    return library


@pytest.fixture(scope="session")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of an ONNX file that doubles, which lies two folders above; compiled on arrays of the user's. Not to be
    changed."""
    folder = tmp_path_factory.mktemp("doubled")
    save(folder / "x.onnx", doubling())
    np.savez(folder / "given.npz", x=np.float32([[1, -2, 3], [4, 5, -6]]))
    overrides = ("model=onnx", f"model.file={folder / 'x.onnx'}", f"input={folder / 'given.npz'}")
    return compile_bundle(compose([*overrides, f"output={folder / 'outputs'}"])).bundle
