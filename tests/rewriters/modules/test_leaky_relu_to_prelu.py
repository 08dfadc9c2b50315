import pytest
import torch
from torch import nn

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.modules.leaky_relu_to_prelu import leaky_relu_to_prelu

VALUES = torch.linspace(-3, 3, 24).reshape(1, 2, 3, 4)


def applied_to(network, target="ncnn"):
    return rewritten(network.eval(), select([leaky_relu_to_prelu], Target(target, ir="torchscript")))


@pytest.mark.parametrize("slope", [0.1, 0.01, 0.0])
def test_it_computes_what_the_leaky_relu_does_and_leaves_the_network_as_it_is(slope):
    network = nn.Sequential(nn.LeakyReLU(slope), nn.Sequential(nn.LeakyReLU(slope, inplace=True)))
    applied = applied_to(network)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        found = applied.network(VALUES.clone())
    torch.testing.assert_close(found, network(VALUES.clone()), rtol=0, atol=1e-7)
    (entry,) = ledger.entries()
    assert (entry.status, entry.times, entry.holds) == ("fired", 2, True)
    assert not any(isinstance(module, nn.LeakyReLU) for module in applied.network.modules())
    assert isinstance(network[0], nn.LeakyReLU)


def test_other_activations_stay():
    network = nn.Sequential(nn.ReLU(), nn.ELU(), nn.ReLU6())
    applied = applied_to(network)
    with torch.no_grad(), rewriting(applied) as ledger:
        applied.network(VALUES)
    assert [entry.status for entry in ledger.entries()] == ["skipped"]


def test_it_is_for_ncnn_alone():
    assert not select([leaky_relu_to_prelu], Target("onnxruntime")).modules
