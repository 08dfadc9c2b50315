"""CRNN is the network that OpenMMLab trained: same keys, same shapes, same numbers, exported at every width."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.errors import CompileError
from compiler.export import Axis, ExportOptions
from compiler.export.onnx_program import to_onnx
from compiler.graphs import OnnxRuntimeSession, save_model
from compiler.networks import build
from compiler.networks.heads.crnn import CRNNDecoder
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.functions.lstm_to_nodes import lstm_to_nodes
from tests.exporting import export

CONFIGS = Path(__file__).parents[2] / "conf" / "model"
SIZES = [(1, 32), (2, 100), (5, 640)]


@pytest.fixture(scope="module")
def crnn(model, weights):
    network = build(model("crnn").network)
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    return network


@pytest.fixture(scope="module")
def original(references):
    return references("crnn")


def test_logits_equal_openmmlabs(crnn, weights, original):
    image = torch.from_numpy(weights.image("crnn", tuple(original["input"]["shape"])))
    logits, expected = crnn.decoder.logits(crnn.backbone(image)).numpy(), original["arrays"]["out.logits"]
    assert np.abs(logits - expected).max() < 1e-4 * expected.std()


def test_the_config_is_openmmlabs(model, original):
    config = model("crnn")
    assert (config.algo, config.task) == ("crnn", "text-recognition")
    assert config.processing.dictionary.characters == "".join(original["decode"]["dictionary"][:-1])
    assert config.network.decoder.num_classes == original["decode"]["num_classes"]
    assert config.official.url.endswith(f"-{config.official.sha256}.pth")


def test_every_config_file_is_tested(model):
    assert {path.stem for path in CONFIGS.glob("crnn*.yaml")} == {"crnn", "crnn-minivgg"}
    assert model("crnn-minivgg") == model("crnn")


def test_the_probabilities_of_a_column_add_up_to_one(crnn, weights):
    (probabilities,) = crnn(torch.from_numpy(weights.image("sum", (2, 1, 32, 64))))
    torch.testing.assert_close(probabilities.sum(dim=2), torch.ones(2, 64 // 4 + 1))


def test_items_of_a_batch_do_not_depend_on_each_other(crnn, weights):
    images = torch.from_numpy(weights.image("batch", (3, 1, 32, 96)))
    (together,) = crnn(images)
    for index in range(3):
        torch.testing.assert_close(together[index : index + 1], crnn(images[index : index + 1])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("rnn_flag", [True, False])
def test_a_column_that_is_read_alone_knows_nothing_of_the_others(rnn_flag):
    decoder = CRNNDecoder(8, 5, rnn_flag=rnn_flag).eval()
    features = torch.randn(1, 8, 1, 6, generator=torch.Generator().manual_seed(0))
    changed = features.clone()
    changed[..., -1] += 1
    same = torch.isclose(decoder(features), decoder(changed)).all(dim=2)[0].tolist()
    assert same == ([False] * 6 if rnn_flag else [True] * 5 + [False])


# Dynamo alone traces an LSTM at the length of its example.
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_an_export_with_two_lstm_nodes_is_the_network_at_every_batch_and_width(crnn, weights, tmp_path, exporter):
    applied = rewritten(crnn, select([lstm_to_nodes], Target("onnxruntime", exporter=exporter)))
    axes = (Axis(0, "batch", largest=8), Axis(3, "width", 4, 32, 640))
    options = ExportOptions(exporter, 18, {"input": axes}, ("output",))
    example = {"input": weights.image("example", (2, 1, 32, 96))}
    exported = to_onnx(applied.network, example, options, lambda: rewriting(applied))
    assert [node.op_type for node in exported.graph.node].count("LSTM") == 2
    assert not {"Loop", "Scan"} & {node.op_type for node in exported.graph.node}
    session = OnnxRuntimeSession.as_written(save_model(exported, tmp_path / "crnn.onnx").path)
    for batch, width in SIZES:
        image = weights.image("other", (batch, 1, 32, width))
        found = session.run({"input": image})["output"]
        np.testing.assert_allclose(found, crnn(torch.from_numpy(image))[0].numpy(), rtol=0, atol=1e-6)


class FixedStates(nn.Module):
    """Starts its first LSTM with states for as many items as it is traced with."""

    def __init__(self, crnn):
        super().__init__()
        self.crnn = crnn

    def forward(self, input):
        columns = self.crnn.backbone(input).squeeze(2).permute(2, 0, 1)
        first, second = self.crnn.decoder.decoder
        start = torch.zeros(2, int(columns.shape[1]), first.rnn.hidden_size)
        states, _ = first.rnn(columns, (start, start))
        return (second(first.embedding(states)).transpose(0, 1).softmax(-1),)


class FixedWidth(nn.Module):
    """Gives the columns of the text that it is traced with, and repeats or drops others."""

    def __init__(self, crnn):
        super().__init__()
        self.crnn = crnn

    def forward(self, input):
        width = int(input.shape[3])
        return self.crnn(nn.functional.interpolate(input, size=(32, width)))


@pytest.mark.parametrize("baked", [FixedStates, FixedWidth])
def test_a_batch_or_width_that_an_export_bakes_in_is_caught(crnn, weights, tmp_path, baked):
    varies = {"input": (Axis(0, "batch"), Axis(3, "width", 4, 32, 640))}
    options = ExportOptions("torchscript", 18, varies, ("output",))
    example = {"input": weights.image("example", (2, 1, 32, 96))}
    export(crnn, example, options, tmp_path)
    with pytest.raises(CompileError, match="the Program is wrong for an input of"):
        export(baked(crnn).eval(), example, options, tmp_path)
