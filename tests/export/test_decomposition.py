"""A traced network in the operators that ONNX has: the very graph that torch makes, at a fraction of its work."""

import operator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compiler.export.decomposition import TAKEN_OUT, TRACED_ALONE, LeanProgram, decomposed
from compiler.export.translation import lean_registry

IMAGE = torch.rand(2, 4, 6, 8)


class Network(nn.Module):
    """A function of one image, with a convolution of its own."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, image):
        return self.function(self, image)


def exported(function, dynamic=False):
    shapes = ({0: torch.export.Dim("batch", max=8)},) if dynamic else None
    with torch.no_grad():
        return torch.export.export(Network(function).eval().requires_grad_(False), (IMAGE,), dynamic_shapes=shapes)


@pytest.fixture(scope="module")
def table():
    """What torch's own exporter decomposes by."""
    from torch.onnx._internal.exporter._decomp import (
        create_onnx_friendly_decomposition_table,
        get_onnx_implemented_overloads,
    )

    return create_onnx_friendly_decomposition_table(set(get_onnx_implemented_overloads(lean_registry(18))))


def described(program):
    """All of a program that an exporter reads; in which order the weights stand is all the same."""

    def shape_of(value):
        if isinstance(value, list | tuple):
            return [shape_of(one) for one in value]
        return (str(value.dtype), tuple(value.shape)) if isinstance(value, torch.Tensor) else str(value)

    nodes = [
        (node.op, node.target, node.name, str(node.args), str(node.kwargs), shape_of(node.meta.get("val")))
        for node in program.graph.nodes
    ]
    weights = sorted(node for node in nodes if node[0] == "placeholder")
    computed = [node for node in nodes if node[0] != "placeholder"]
    signature = program.graph_signature
    return weights, computed, sorted(map(str, signature.input_specs)), list(map(str, signature.output_specs))


KINDS = {
    "nothing changes": lambda self, x: F.relu(self.conv(x)) + x,
    "a mean": lambda self, x: F.adaptive_avg_pool2d(x, 1) * x,
    "averages of parts": lambda self, x: F.adaptive_avg_pool2d(x, (3, 4)),
    "flat": lambda self, x: self.conv(x).flatten(1),
    "flat after a transpose": lambda self, x: x.permute(0, 2, 3, 1).flatten(2),
    "a shape": lambda self, x: x.reshape(2, -1, 4),
    "a shape after a transpose": lambda self, x: x.transpose(1, 3).reshape(2, -1),
    "a shuffle": lambda self, x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2),
    "chunks": lambda self, x: torch.cat(x.chunk(2, 1)[::-1], 1) + x,
    "one of the chunks": lambda self, x: x.chunk(4, 1)[2] * x.split([1, 3], 1)[1],
    "squares": lambda self, x: x.square().mean(1, keepdim=True) + x.pow(3),
    "a transposed convolution": lambda self, x: self.up(x),
    "both of two conditions": lambda self, x: torch.where((x > 0.2) & (x < 0.7), x, 0.0),
    "a constant made inside": lambda self, x: x * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None],
    "what nothing reads": lambda self, x: (self.conv(x), x.relu() + self.conv(x + 1))[1],
    "several results": lambda self, x: (x.flatten(1), x, x.max(1)[1], x.topk(2)[0]),
    "the same twice": lambda self, x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "with the weights": lambda self, x: x.flatten(2).mean(1) + self.conv.weight.flatten()[:48],
}


@pytest.mark.parametrize("function", KINDS.values(), ids=KINDS)
def test_the_graph_is_the_very_one_that_torch_makes(function, table):
    program = exported(function)
    wanted = described(program.run_decompositions(dict(table)))
    found = decomposed(exported(function), table)
    assert found is not None
    assert described(found) == wanted
    found.module()(IMAGE)  # it runs


def test_every_operator_that_is_decomposed_alone_is_in_a_network_above(table):
    seen = {node.target for function in KINDS.values() for node in exported(function).graph.nodes}
    assert seen >= TRACED_ALONE | TAKEN_OUT


NEAR_MISSES = {
    "an operator that writes into its input": lambda self, x: (x + 1).relu_(),
    "a normalisation, which lies about what it writes": lambda self, x: self.norm(x),
    "one that is not in the list": lambda self, x: F.adaptive_avg_pool1d(x.sum(1), 3),
    "a view that torch takes out": lambda self, x: x.detach() + 1,
    "a branch": lambda self, x: torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,)),
}


@pytest.mark.parametrize("function", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_what_is_not_known_to_be_the_same_is_left_to_torch(function, table):
    program = exported(function)
    assert decomposed(program, table) is None
    by_torch = program.run_decompositions(dict(table))
    assert described(LeanProgram(exported(function)).run_decompositions(dict(table))) == described(by_torch)


def test_what_is_decomposed_by_a_length_that_varies_is_left_to_torch(table):
    assert decomposed(exported(lambda self, x: x.flatten(1), dynamic=True), table) is None


def test_what_stays_does_so_at_every_length(table):
    def function(self, x):
        self.conv(x + 1)  # which nothing reads
        return F.interpolate(F.relu(self.conv(x)) + x, scale_factor=2.0)

    wanted = exported(function, dynamic=True).run_decompositions(dict(table))
    found = decomposed(exported(function, dynamic=True), table)
    assert wired(found) == wired(wanted)  # torch counts in its names what it computed of lengths meanwhile


def wired(program):
    """Each node that computes, and which nodes it reads."""
    nodes = list(program.graph.nodes)
    places = {node: place for place, node in enumerate(nodes)}
    return [(node.op, node.target, str(torch.fx.node.map_arg(node.args, places.__getitem__))) for node in nodes]


def test_an_input_may_be_called_as_what_python_has(table):
    class Named(nn.Module):
        """Takes an `input`, as torch's own modules do."""

        def forward(self, input):
            return input.flatten(1)

    program = torch.export.export(Named(), (IMAGE,))
    assert described(decomposed(program, table)) == described(program.run_decompositions(dict(table)))


def test_parts_are_named_as_torch_names_them(table):
    program = decomposed(exported(lambda self, x: x.chunk(4, 1)[3]), table)
    (part,) = (node for node in program.graph.nodes if node.target is operator.getitem)
    assert part.name == "getitem_3"
