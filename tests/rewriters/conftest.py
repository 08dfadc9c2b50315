"""Exporting a small network and running what comes out, for the tests of rewriters."""

import io
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn


def export_network(network: nn.Module, *inputs: Tensor, dynamo: bool = True) -> onnx.ModelProto:
    if dynamo:
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(
            network.eval(),
            inputs,
            dynamo=True,
            opset_version=18,
            dynamic_shapes=[{0: batch} for _ in inputs],
            verbose=False,
        )
        return program.model_proto
    buffer = io.BytesIO()
    torch.onnx.export(network.eval(), inputs, buffer, dynamo=False, opset_version=17)
    return onnx.load_from_string(buffer.getvalue())


def run_model(model: onnx.ModelProto, *inputs: Tensor) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {port.name: value.numpy() for port, value in zip(session.get_inputs(), inputs, strict=True)}
    return session.run(None, feeds)


@pytest.fixture(scope="session")
def export() -> Callable[..., onnx.ModelProto]:
    return export_network


@pytest.fixture(scope="session")
def run() -> Callable[..., list[np.ndarray]]:
    return run_model


@pytest.fixture(scope="session")
def operators() -> Callable[[onnx.ModelProto], list[str]]:
    return lambda model: [node.op_type for node in model.graph.node]
