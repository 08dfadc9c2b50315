"""Exporting small networks and running what comes out, for the tests of rewriters."""

import io
from collections.abc import Callable, Mapping
from itertools import islice

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

Case = tuple[nn.Module, tuple[int, ...]]
"""A network, and the shape of its input."""


class SideBySide(nn.Module):
    """Networks that know nothing of each other: each has an input of its own."""

    def __init__(self, networks: list[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> tuple[object, ...]:
        return tuple(network(input) for network, input in zip(self.networks, inputs, strict=True))


def export_network(network: nn.Module, *inputs: Tensor, dynamo: bool = True) -> onnx.ModelProto:
    if dynamo:
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} for _ in inputs)
        program = torch.onnx.export(
            network.eval(),
            inputs,
            dynamo=True,
            opset_version=18,
            dynamic_shapes=(shapes,) if isinstance(network, SideBySide) else shapes,
            verbose=False,
        )
        return program.model_proto
    buffer = io.BytesIO()
    torch.onnx.export(network.eval(), inputs, buffer, dynamo=False, opset_version=17)
    return onnx.load_from_string(buffer.getvalue())


def export_networks(cases: Mapping[str, Case]) -> dict[str, onnx.ModelProto]:
    """Export networks in one go, which takes little longer than one of them does, and part them again.

    The first axis of their inputs varies, and is equally long in all examples.
    """
    torch.manual_seed(0)
    networks = [network for network, _ in cases.values()]
    inputs = [torch.randn(shape) for _, shape in cases.values()]
    model = export_network(SideBySide(networks), *inputs)
    parts = onnx.utils.Extractor(model)
    outputs = iter([value.name for value in model.graph.output])
    models = {}
    for name, given, network, input in zip(cases, model.graph.input, networks, inputs, strict=True):
        found = network(input)
        names = list(islice(outputs, 1 if isinstance(found, Tensor) else len(found)))
        models[name] = parts.extract_model([given.name], names)
    assert next(outputs, None) is None
    return models


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
def export_each() -> Callable[[Mapping[str, Case]], dict[str, onnx.ModelProto]]:
    return export_networks


@pytest.fixture(scope="session")
def run() -> Callable[..., list[np.ndarray]]:
    return run_model


@pytest.fixture(scope="session")
def operators() -> Callable[[onnx.ModelProto], list[str]]:
    return lambda model: [node.op_type for node in model.graph.node]
