import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.modules.fuse_batch_norm import fuse_batch_norm

SELECTION = select([fuse_batch_norm], Target("onnxruntime"))


class ConvModule(nn.Module):
    def __init__(self, conv, bn):
        super().__init__()
        self.conv = conv
        self.bn = bn
        self.activate = nn.SiLU()

    def forward(self, x):
        return self.activate(self.bn(self.conv(x)))


def normalisation(channels):
    layer = nn.BatchNorm2d(channels)
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.1, 2)
    nn.init.uniform_(layer.weight, 0.5, 1.5)
    nn.init.uniform_(layer.bias, -1, 1)
    return layer


def test_the_normalisation_disappears_and_the_original_keeps_its_own():
    network = nn.Sequential(ConvModule(nn.Conv2d(3, 4, 1, bias=False), normalisation(4)), nn.ReLU()).eval()
    applied = rewritten(network, SELECTION)
    assert isinstance(applied.network[0].bn, nn.Identity)
    assert applied.network[0].conv.bias is not None
    assert isinstance(network[0].bn, nn.BatchNorm2d)
    assert network[0].conv.bias is None


@given(
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.sampled_from([1, 3, 5]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_contract_holds_for_every_kind_of_convolution(groups, kernel, bias, seed):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(4, 8, kernel, padding=kernel // 2, groups=groups, bias=bias)
    applied = rewritten(ConvModule(convolution, normalisation(8)).eval(), SELECTION)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        applied.network(torch.randn(2, 4, 9, 7))
    (entry,) = ledger.entries()
    assert (entry.status, entry.holds) == ("fired", True)
    assert entry.max_absolute_error < 1e-5


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ConvModule(nn.Conv2d(3, 4, 1), nn.Identity()).eval(), "it has no normalisation"),
        (ConvModule(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)).eval(), "its bn is no BatchNorm2d"),
        (ConvModule(nn.ConvTranspose2d(3, 4, 1), normalisation(4)).eval(), "its conv is no Conv2d"),
        (ConvModule(nn.Conv2d(3, 4, 1), normalisation(4)), "the normalisation depends on the batch"),
        (
            ConvModule(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)).eval(),
            "the normalisation depends on the batch",
        ),
    ],
)
def test_anything_else_is_skipped_with_a_reason(module, reason):
    applied = rewritten(module, SELECTION)
    assert applied.replacements == ()
    assert [skipped.reason for skipped in applied.skipped] == [reason]
