"""What the tests of NVIDIA's libraries share: small Programs, and what is asked of a build."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compiler.artifact import OnnxProgram
from compiler.backends import BuildRequest, Profile
from compiler.graphs import describe

CHANNELS, SIDE = 3, 8


def convolution(folder: Path, *, batch: int | str = "batch") -> OnnxProgram:
    """Write a convolution and an activation: [batch, 3, 8, 8] becomes [batch, 4, 8, 8]."""
    weights = np.random.default_rng(0).standard_normal((4, CHANNELS, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["input", "weights"], ["features"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["output"], name="relu"),
    ]
    return written(folder, nodes, (batch, CHANNELS, SIDE, SIDE), (batch, 4, SIDE, SIDE), weights=weights)


def matrix_product(folder: Path, dtype: type[np.generic] = np.float32) -> OnnxProgram:
    """Write a matrix product: [batch, 8] becomes [batch, 4]."""
    weights = np.random.default_rng(0).standard_normal((8, 4)).astype(dtype)
    node = helper.make_node("MatMul", ["input", "weights"], ["output"], name="product")
    return written(folder, [node], ("batch", 8), ("batch", 4), weights=weights)


def written(folder: Path, nodes, input_shape, output_shape, **initializers) -> OnnxProgram:
    """Write a Program from `input` to `output`, which have the type of its initializers, or are floats."""
    kind = next((helper.np_dtype_to_tensor_dtype(value.dtype) for value in initializers.values()), TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "program",
        [helper.make_tensor_value_info("input", kind, input_shape)],
        [helper.make_tensor_value_info("output", kind, output_shape)],
        [numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    path = folder / "program.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return describe(path)


ALIAS = "from tensorrt_rtx import *\nfrom tensorrt_rtx import __version__\n"


def write_alias(folder: Path, monkeypatch, text: str = ALIAS) -> None:
    """Let TensorRT-RTX be importable as `tensorrt` by the processes that are started from now on."""
    (folder / "tensorrt.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.syspath_prepend(folder)


def batches(program: OnnxProgram, *sizes: int) -> Profile:
    """Return the profile with a smallest, a usual and a largest batch."""
    smallest, usual, largest = ({spec.name: (size, *spec.shape[1:]) for spec in program.inputs} for size in sizes)
    return Profile(smallest, usual, largest)


def request(program: OnnxProgram, folder: Path, *profiles: Profile, progress=lambda share, phase: None) -> BuildRequest:
    """Ask for an engine in a new folder; for batches from 1 to 4 unless profiles are given."""
    folder.mkdir(parents=True)
    profiles = profiles or (batches(program, 1, 2, 4),)
    return BuildRequest(program, folder, "fp32", profiles, folder.parent / "cache", progress)
