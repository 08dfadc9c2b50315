"""RTMPose-t as the compiler exports it, once for all tests and the processes that run them."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from compiler.artifact import Tensors
from compiler.config import compose
from compiler.export import Axis, ExportOptions
from compiler.graphs import ONNX_FILE
from compiler.networks import build
from compiler.networks.initialization import fill_with_random_weights, sample_inputs
from compiler.proof import proof_of
from compiler.tasks import build_task
from tests.conftest import made_once
from tests.exporting import export

SIZE = (256, 192)


@pytest.fixture(scope="session")
def photographs() -> Tensors:
    """Four parts of a photograph, as RTMPose-t takes them."""
    task = build_task(compose(["model=rtmpose-t"]).model.processing)
    return proof_of(task).samples(task.read(task.sample_source()), 4, SIZE).tensors


@pytest.fixture(scope="session")
def rtmpose(photographs: Tensors, shared_folder: Path) -> onnx.ModelProto:
    """RTMPose-t of random weights, with a batch that varies. Not to be changed."""

    def make(folder: Path) -> None:
        config = compose(["model=rtmpose-t"]).model
        network = build(config.network).eval()
        fill_with_random_weights(network, sample_inputs(config.processing, SIZE))
        options = ExportOptions("dynamo", 18, {"input": (Axis(0, "batch"),)}, ("simcc_x", "simcc_y"))
        export(network, {"input": photographs["input"][:2]}, options, folder)

    return onnx.load(made_once(shared_folder / "rtmpose-t", make) / ONNX_FILE)
