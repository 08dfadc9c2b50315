"""An LSTM is exported as ONNX's own node, for sequences of any length."""

import numpy as np
import pytest
import torch
from torch import nn

from compiler.export import Axis, ExportOptions
from compiler.export.onnx_program import to_onnx
from compiler.export.operators import with_constant_weights
from compiler.graphs import OnnxRuntimeSession, save_model
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.errors import RewriterCodeError
from rewriters.functions.lstm_to_nodes import lstm_to_nodes

CHANNELS, HIDDEN = 3, 4


class Reader(nn.Module):
    """Gives an LSTM's outputs, and its last states."""

    def __init__(self, **options):
        super().__init__()
        self.rnn = nn.LSTM(CHANNELS, HIDDEN, **options)

    def forward(self, input):
        output, (hidden, cell) = self.rnn(input)
        return output, hidden, cell


def sequences(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("f4")


def exported(network):
    axes = {"input": (Axis(0, "first"), Axis(1, "second"))}
    options = ExportOptions("dynamo", 18, axes, ("output", "hidden", "cell"))
    applied = rewritten(network.eval().requires_grad_(False), select([lstm_to_nodes], Target("onnxruntime")))
    example = {"input": sequences(3, 2, CHANNELS)}
    return to_onnx(applied.network, example, options, lambda: rewriting(applied))


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"bidirectional": True}, marks=pytest.mark.slow),
        {"num_layers": 3, "bidirectional": True},
        {"num_layers": 2, "batch_first": True},
        {"bias": False, "bidirectional": True},
    ],
)
def test_the_node_gives_what_torch_gives_for_every_length_and_batch(options, tmp_path):
    network = Reader(**options)
    model = with_constant_weights(exported(network))
    assert [node.op_type for node in model.graph.node].count("LSTM") == options.get("num_layers", 1)
    constants = {initializer.name for initializer in model.graph.initializer}
    weights = {name for node in model.graph.node if node.op_type == "LSTM" for name in node.input[1:4] if name}
    assert weights <= constants
    session = OnnxRuntimeSession.as_written(save_model(model, tmp_path / "lstm.onnx").path)
    for shape in ((2, 3, CHANNELS), (9, 4, CHANNELS)):
        found = session.run({"input": sequences(*shape)})
        for name, expected in zip(
            ("output", "hidden", "cell"), network(torch.from_numpy(sequences(*shape))), strict=True
        ):
            np.testing.assert_allclose(found[name], expected.numpy(), rtol=0, atol=1e-6)


def test_an_lstm_with_projections_is_refused():
    with pytest.raises(RewriterCodeError, match="an LSTM with projections cannot be exported: ONNX's node has none"):
        exported(Reader(proj_size=2))
