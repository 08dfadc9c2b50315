"""Every name that our code uses of NVIDIA's libraries exists in them: in TensorRT-RTX, and in TensorRT 10 and 11.

TensorRT's libraries are in NVIDIA's own package index, but the bindings, which hold its Python names, are on PyPI.
"""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from compiler.backends import nvidia

OBJECTS = {
    "trt",
    "builder",
    "network",
    "config",
    "parser",
    "profile",
    "refitter",
    "runtime",
    "engine",
    "opened",
    "context",
    "error",
    "layer",
}
"""What the library's module and objects are called in our code."""
REMOVED = {  # by TensorRT 11: its networks are always strongly typed, and bindings have names
    "FP16", "INT8", "BF16", "FP8", "IInt8Calibrator", "IInt8EntropyCalibrator2", "int8_calibrator", "set_dynamic_range",
    "num_bindings", "execute_async_v2", "build_engine", "EXPLICIT_BATCH", "OBEY_PRECISION_CONSTRAINTS",
}  # fmt: skip
RTX_ONLY = {"ComputeCapability", "num_compute_capabilities", "set_compute_capability"}
OURS = {  # attributes of other objects that go by the same names: the command line's, and our Engine's
    "add_argument", "parse_args", "error", "args", "folder", "path", "inputs", "outputs", "file",
}  # fmt: skip


def used_names() -> set[str]:
    """Return the attributes that are read from the library's objects."""
    names = set()
    for name in ("build_engine", "session", "details"):
        tree = ast.parse((Path(nvidia.__file__).parent / f"{name}.py").read_text())
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _of_library(node.value)}
    return {name for name in names if not name.startswith("__")} - OURS


def _of_library(value: ast.expr) -> bool:
    """Tell whether an expression is an object of the library, by what it is called."""
    if isinstance(value, ast.Call):
        return _of_library(value.func)
    if isinstance(value, ast.Name):
        return value.id in OBJECTS
    if not isinstance(value, ast.Attribute) or value.attr in OURS:
        return False
    held = isinstance(value.value, ast.Name) and value.value.id == "self"
    return value.attr.lstrip("_") in OBJECTS if held else _of_library(value.value)


def test_the_names_are_found():
    expected = {"Builder", "parse_from_file", "execute_async_v3", "set_shape", "notify_shape", "node_operator", "IO"}
    assert expected - used_names() == {"notify_shape", "IO"}  # the first is ours to write, the other does not exist


def test_nothing_that_tensorrt_11_removed_is_used():
    assert used_names() & REMOVED == set()


def test_tensorrt_rtx_has_all_of_them():
    trt = pytest.importorskip("tensorrt_rtx")
    kinds = [kind for kind in vars(trt).values() if isinstance(kind, type)]
    assert used_names() - set(dir(trt)).union(*map(dir, kinds)) == set()


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.11", "11.4.0.106"])
def test_tensorrt_has_all_but_those_of_tensorrt_rtx(version, tmp_path):
    texts = bindings(version, tmp_path)
    assert {name for name in used_names() if name.encode() + b"\0" not in texts} == RTX_ONLY
    removed = {name for name in ("IInt8Calibrator", "set_dynamic_range") if name.encode() + b"\0" not in texts}
    assert bool(removed) == version.startswith("11")


def bindings(version: str, folder: Path) -> bytes:
    """Return the shared library that holds TensorRT's Python names, as texts."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    command += ["--only-binary=:all:", "--python-version", "3.10"]
    command += ["--platform", "manylinux_2_17_x86_64", "--platform", "manylinux_2_28_x86_64"]
    command += [f"tensorrt-cu12-bindings=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"TensorRT's bindings cannot be downloaded: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        (library,) = (name for name in wheel.namelist() if name.endswith("/tensorrt.so"))
        return wheel.read(library)
