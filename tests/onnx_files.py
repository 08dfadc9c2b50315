"""Small ONNX files, as other people's exporters and editors leave them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


class Pyramid(nn.Module):
    """A convolution, of which a map and a vector come out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        features = self.bn(self.conv(x)).relu()
        return features, self.linear(features.mean((2, 3)))


class Sentence(nn.Module):
    """An LSTM over words, beside a picture of its own."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True)

    def forward(self, ids, x):
        return self.lstm(self.embedding(ids))[0] + x.mean((1, 2, 3))[:, None, None]


def images(count: int = 2):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(count))


def words(count: int = 2):
    return torch.randint(10, (count, 5), generator=torch.Generator().manual_seed(count))


def seeded(network):
    """Give a network weights that are the same every time."""
    torch.manual_seed(0)
    network = network()
    for buffer in network.buffers():
        if buffer.dtype.is_floating_point:
            buffer.data.uniform_(0.5, 1.5)
    return network.eval()


def export(path: Path, network, inputs, exporter="dynamo", opset=18, varies=True, sides=()):
    """Export a network whose inputs, by name, have a batch that varies, or nothing that does; and other sides."""
    axes = {0: "items", **{axis: f"side{axis}" for axis in sides}} if varies else {}
    common = {"input_names": list(inputs), "output_names": outputs_of(network), "opset_version": opset}
    arguments = tuple(inputs.values())
    if exporter == "torchscript":
        names = (*inputs, *outputs_of(network))
        shapes = {name: axes if name in inputs else {0: "items"} for name in names} if varies else None
        torch.onnx.export(network, arguments, str(path), dynamo=False, dynamic_axes=shapes, **common)
        return path
    dimensions = {axis: torch.export.Dim(name) for axis, name in axes.items()}
    shapes = tuple(dimensions for _ in inputs) if varies else None
    torch.onnx.export(
        network, arguments, str(path), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **common
    )
    return path


def outputs_of(network):
    return ["map", "vector"] if isinstance(network, Pyramid) else ["sequence"]


def value(name, shape=("n", 3), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weights(**arrays):
    return [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in arrays.items()]


def model(nodes, inputs, outputs, initializers=(), opset=18, ir_version=8, domains=()):
    """Return a model of nodes written as `(operator, inputs, outputs)`, with attributes behind."""
    made = [helper.make_node(*ports, **dict(*attributes)) for *ports, attributes in map(_with_attributes, nodes)]
    graph = helper.make_graph(made, "main", list(inputs), list(outputs), list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def _with_attributes(node):
    return (*node[:3], node[3:])


def doubling():
    """Return what doubles its input by a weight, and adds nothing to it."""
    return model(
        [("Mul", ["x", "two"], ["doubled"]), ("Relu", ["doubled"], ["kept"]), ("Add", ["kept", "zero"], ["more"]),
         ("Neg", ["more"], ["y"])],
        [value("x")],
        [value("y")],
        weights(two=[1.5, 2.0, 2.5], zero=[0.0]),
    )  # fmt: skip


def save(path: Path, content, external: str = ""):
    """Write a model, with its weights in a file of their own where one is named."""
    if external:
        onnx.save_model(content, path, save_as_external_data=True, location=external, size_threshold=0)
    else:
        path.write_bytes(content.SerializeToString())
    return path
