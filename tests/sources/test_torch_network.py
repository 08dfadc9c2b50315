"""A rewriter in a compile: named on the line of the export, with places of the author's network, and in a failure."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compiler.errors import CompileError
from compiler.export import ExportOptions
from compiler.export.options import as_they_are
from compiler.pipeline.cache import Cache
from compiler.pipeline.line import Line
from compiler.sources.samples import Samples
from compiler.sources.source import Rewriting
from compiler.sources.torch_network import WEIGHTS_FILE, TorchNetwork
from compiler.stages import Stage
from rewriters import Contract, RewriterCodeError, Target, function_rewriter, select

EXAMPLE = {"image": np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)}
OPTIONS = ExportOptions("torchscript", 17, {"image": ()}, ("features",))
TAIL = {"_target_": "compiler.networks.tails.LastOutput"}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU())

    def forward(self, image):
        return (self.stem(image).flatten(1) + torch.ones(64),)


@function_rewriter(F.silu, contract=Contract.close(1e-5))
def silu_to_sigmoid(call, input, inplace=False):
    """SiLU is a product with a sigmoid."""
    return input * torch.sigmoid(input)


@function_rewriter(F.silu, contract=Contract.exact)
def raising(call, input, inplace=False):
    """Wrong on purpose."""
    return input.no_such_thing


@function_rewriter(F.silu, contract=Contract.exact)
def of_another_shape(call, input, inplace=False):
    """Wrong on purpose: the network cannot go on with it."""
    return F.silu(input).sum((2, 3))


@pytest.fixture
def network_with(tmp_path):
    def make(rewriter, tail=None):
        torch.save(Network().state_dict(), tmp_path / WEIGHTS_FILE)
        selection = select([rewriter], Target("onnxruntime"))
        rewriting = Rewriting(tail, "", ("features",), Samples.of(EXAMPLE), selection)
        return TorchNetwork(lambda: Network().eval(), tmp_path, rewriting)

    return make


def exported(network, folder, options=OPTIONS):
    return network.export("onnx", EXAMPLE, [EXAMPLE], options, as_they_are, folder)


def test_function_rewriters_are_named_on_the_line_of_the_export(network_with, tmp_path):
    assert exported(network_with(silu_to_sigmoid), tmp_path).endswith("nodes, silu_to_sigmoid")


def test_places_are_those_of_the_network_and_not_of_what_is_put_around_it(network_with):
    outputs, (entry,) = network_with(silu_to_sigmoid, TAIL).measured(EXAMPLE)
    assert list(outputs) == ["features"]
    assert entry.where == ("stem.1",)


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("rewriter", [raising, of_another_shape])
def test_an_export_that_fails_in_a_rewriter_names_it(network_with, tmp_path, exporter, rewriter):
    options = ExportOptions(exporter, 18, {"image": ()}, ("features",))
    with pytest.raises(RewriterCodeError) as caught:
        exported(network_with(rewriter), tmp_path, options)
    assert (caught.value.name, caught.value.where) == (rewriter.name, "stem.1")
    assert "test_torch_network.py:" in caught.value.line


def test_a_user_is_told_the_rewriter_the_line_the_place_and_how_to_go_on_without_it(tmp_path):
    class Failing(Stage):
        NAME = "export"

        def run(self, folder):
            raise RewriterCodeError("function", "raising", "AttributeError: no_such_thing", "stem.1", "mine.py:7")

    with pytest.raises(CompileError) as caught:
        Line(Cache(tmp_path), lambda event: None).run(Failing())
    error = caught.value
    assert (error.what, error.where) == ("the function rewriter raising failed", "mine.py:7, at stem.1")
    assert error.why == "AttributeError: no_such_thing"
    assert error.fix.endswith("rewriters.disable=[raising]")
