"""An LSTM computed as ONNX's node does; `tests/export/test_lstm_nodes.py` exports it."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.errors import RewriterCodeError
from rewriters.functions.lstm_to_nodes import lstm_to_nodes

SEQUENCE = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


def run(network, input):
    applied = rewritten(network, select([lstm_to_nodes], Target("onnxruntime")))
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        output, states = applied.network(input)
    (entry,) = ledger.entries()
    return output, states, entry


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True},
        {"num_layers": 2, "batch_first": True},
        {"bias": False, "bidirectional": True},
    ],
)
def test_it_computes_what_torch_does(options):
    torch.manual_seed(0)
    network = nn.LSTM(3, 4, **options).eval()
    output, states, entry = run(network, SEQUENCE)
    expected, expected_states = network(SEQUENCE)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(states, expected_states, rtol=0, atol=1e-6)
    assert (entry.status, entry.times, entry.holds) == ("fired", 1, True)


@pytest.mark.parametrize(
    ("network", "input", "target", "reason"),
    [
        (nn.LSTM(3, 4), pack_sequence([SEQUENCE[:, 0], SEQUENCE[:3, 1]]), {}, "the sequences are packed"),
        (nn.LSTM(3, 4, 2, dropout=0.5).train(), SEQUENCE, {}, "in training it drops at random"),
        (nn.LSTM(3, 4), SEQUENCE, {"exporter": "torchscript"}, "the exporter torchscript writes that node itself"),
        (nn.LSTM(3, 4), SEQUENCE, {"ir": "torchscript"}, "torchscript has an LSTM of its own"),
        (nn.GRU(3, 4), SEQUENCE, {}, "the network never calls the function"),
    ],
)
def test_what_is_left_alone_has_a_reason(network, input, target, reason):
    applied = rewritten(network, select([lstm_to_nodes], Target("onnxruntime", **target)))
    with torch.no_grad(), rewriting(applied) as ledger:
        applied.network(input)
    (entry,) = ledger.entries()
    assert (entry.status, entry.reason) == ("skipped", reason)


def test_projections_are_refused():
    with pytest.raises(RewriterCodeError, match="lstm_to_nodes at the network .*: an LSTM with projections cannot"):
        run(nn.LSTM(3, 4, proj_size=2), SEQUENCE)
