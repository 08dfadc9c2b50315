"""The smallest network that a backend can show itself on: a convolution and a ReLU, with its outputs known."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import OnnxProgram, Program, Tensors, TensorSpec, TorchScriptProgram, TracedProgram

ONNX_NETWORK = Path(__file__).with_name("network.onnx")
"""The network as ONNX, so that running one needs no onnx."""
OPSET, NODES = 17, 2
SIDE, CHANNELS = 8, 4

Array = NDArray[np.float32]


def weight() -> Array:
    """Of the convolution, `[channels, 3, 3, 3]`."""
    numbers = np.arange(CHANNELS * 27, dtype=np.float32) % 7 - 3
    return np.asarray(numbers.reshape(CHANNELS, 3, 3, 3) / 8, np.float32)


def given() -> dict[str, Array]:
    """The input."""
    numbers = np.arange(3 * SIDE * SIDE, dtype=np.float32) % 11 - 5
    return {"input": np.asarray(numbers.reshape(1, 3, SIDE, SIDE) / 4, np.float32)}


def expected() -> Array:
    """What comes out, by the definition of a convolution."""
    padded = np.pad(given()["input"][0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.asarray(np.maximum(np.einsum("chwyx,ocyx->ohw", windows, weight()), 0)[None], np.float32)


def write_program(kind: type[Program], folder: Path) -> Program:
    """The network as a Program of a kind; torch is needed for those that torch traces.

    Raises:
        CompileError: It cannot be traced.
    """
    if issubclass(kind, TracedProgram):
        return _traced("torchscript" if issubclass(kind, TorchScriptProgram) else "dynamo", folder)
    path = Path(shutil.copyfile(ONNX_NETWORK, folder / ONNX_NETWORK.name))
    inputs = (TensorSpec("input", "float32", (1, 3, SIDE, SIDE)),)
    return OnnxProgram(path, inputs, (TensorSpec("output", "float32", (1, CHANNELS, SIDE, SIDE)),), OPSET, NODES)


def difference(outputs: Tensors) -> float:
    """How far outputs are from what comes out, at worst, in its standard deviations; infinite where they are none."""
    found: NDArray[Any] | None = outputs.get("output")
    if found is None or found.shape != expected().shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found.astype(np.float64) - expected()).max() / expected().std())


def _traced(exporter: str, folder: Path) -> Program:
    import torch

    from compiler.export.options import ExportOptions
    from compiler.export.traced_program import export_traced

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
            self.convolution.weight.data = torch.from_numpy(weight())

        def forward(self, input: torch.Tensor) -> tuple[torch.Tensor]:  # noqa: A002
            return (self.convolution(input).relu(),)

    network = Network().eval().requires_grad_(requires_grad=False)
    options = ExportOptions(exporter, OPSET, {"input": ()}, ("output",))
    return export_traced(network, given(), (), options, folder)
