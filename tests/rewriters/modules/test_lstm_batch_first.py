import pytest
import torch
from torch import nn

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.modules.lstm_batch_first import BatchFirst, lstm_batch_first

SEQUENCE = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


def applied_to(network, target="ncnn"):
    return rewritten(network.eval(), select([lstm_batch_first], Target(target, ir="torchscript")))


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2, "bias": False}])
def test_it_computes_what_the_lstm_does_and_leaves_that_as_it_is(options):
    network = nn.LSTM(3, 4, **options)
    expected, expected_states = network(SEQUENCE)
    applied = applied_to(network)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        found, states = applied.network(SEQUENCE)
    torch.testing.assert_close((found, states), (expected, expected_states), rtol=0, atol=1e-6)
    (entry,) = ledger.entries()
    assert (entry.status, entry.holds) == ("fired", True)
    assert (applied.network.lstm.batch_first, network.batch_first) == (True, False)


def test_states_that_are_given_are_taken():
    network = nn.LSTM(3, 4).eval()
    states = torch.ones(1, 2, 4), -torch.ones(1, 2, 4)
    torch.testing.assert_close(BatchFirst(network)(SEQUENCE, states), network(SEQUENCE, states), rtol=0, atol=1e-6)


def test_one_with_its_batch_first_stays():
    network = nn.LSTM(3, 4, batch_first=True)
    applied = applied_to(network)
    with torch.no_grad(), rewriting(applied) as ledger:
        applied.network(SEQUENCE)
    assert [entry.reason for entry in ledger.entries()] == ["the batch is first"]


def test_it_is_for_ncnn_alone():
    assert not select([lstm_batch_first], Target("onnxruntime")).modules
