import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.modules.fuse_batch_norm import (
    fuse_batch_norm,
    fuse_batch_norm_in_basic_block,
    fuse_batch_norm_in_bottleneck,
    fuse_batch_norm_in_pillars,
    fuse_batch_norm_in_sequence,
)

SELECTION = select(
    [
        fuse_batch_norm,
        fuse_batch_norm_in_basic_block,
        fuse_batch_norm_in_bottleneck,
        fuse_batch_norm_in_pillars,
        fuse_batch_norm_in_sequence,
    ],
    Target("onnxruntime"),
)


class ConvModule(nn.Module):
    def __init__(self, conv, bn):
        super().__init__()
        self.conv = conv
        self.bn = bn
        self.activate = nn.SiLU()

    def forward(self, x):
        return self.activate(self.bn(self.conv(x)))


class BasicBlock(nn.Module):
    def __init__(self, channels, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), normalisation(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), normalisation(channels)
        self.relu = nn.ReLU()
        self.downsample = downsample or nn.Identity()

    def forward(self, x):
        transformed = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(transformed + self.downsample(x))


class Bottleneck(BasicBlock):
    def __init__(self, channels):
        super().__init__(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, channels, 1, bias=False), normalisation(channels)

    def forward(self, x):
        transformed = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        return self.relu(self.bn3(self.conv3(transformed)) + self.downsample(x))


class PFNLayer(nn.Module):
    def __init__(self, linear, norm):
        super().__init__()
        self.norm, self.linear = norm, linear

    def forward(self, points):
        return self.norm(self.linear(points).flatten(0, 1)).unflatten(0, points.shape[:2]).amax(dim=1)


class Backwards(nn.Sequential):
    def forward(self, x):
        for module in reversed(self):
            x = module(x)
        return x


class Standardised(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


def normalisation(channels, kind=nn.BatchNorm2d):
    layer = kind(channels)
    layer.running_mean.uniform_(-1, 1)
    layer.running_var.uniform_(0.1, 2)
    nn.init.uniform_(layer.weight, 0.5, 1.5)
    nn.init.uniform_(layer.bias, -1, 1)
    return layer


def names(module):
    return [type(child).__name__ for child in module.children()]


def assert_contract_holds(network, input):
    """Run the network with and without its rewriters; return the ledger's entries of those that fired."""
    applied = rewritten(network, SELECTION)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        output = applied.network(input)
        torch.testing.assert_close(output, network(input), atol=1e-4, rtol=0)
    fired = [entry for entry in ledger.entries() if entry.status == "fired"]
    assert all(entry.holds and entry.max_absolute_error < 1e-4 for entry in fired)
    return {entry.name: entry.times for entry in fired}


def test_the_normalisation_disappears_and_the_original_keeps_its_own():
    network = ConvModule(nn.Conv2d(3, 4, 1, bias=False), normalisation(4)).eval()
    applied = rewritten(network, SELECTION)
    assert isinstance(applied.network.bn, nn.Identity)
    assert applied.network.conv.bias is not None
    assert isinstance(network.bn, nn.BatchNorm2d)
    assert network.conv.bias is None


@settings(deadline=None)
@given(
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.sampled_from([1, 3, 5]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_contract_holds_for_every_kind_of_convolution(groups, kernel, bias, seed):
    torch.manual_seed(seed)
    convolution = nn.Conv2d(4, 8, kernel, padding=kernel // 2, groups=groups, bias=bias)
    network = ConvModule(convolution, normalisation(8)).eval()
    assert assert_contract_holds(network, torch.randn(2, 4, 9, 7)) == {"fuse_batch_norm": 1}


@settings(deadline=None)
@given(kernel=st.sampled_from([2, 3, 4]), bias=st.booleans(), seed=st.integers(0, 99))
def test_the_contract_holds_for_a_transposed_convolution(kernel, bias, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.ConvTranspose2d(4, 6, kernel, stride=2, bias=bias), normalisation(6), nn.ReLU()).eval()
    assert assert_contract_holds(network, torch.randn(2, 4, 5, 7)) == {"fuse_batch_norm_in_sequence": 1}


@pytest.mark.parametrize("bias", [False, True])
def test_a_pillar_feature_net_is_fused_into_its_linear_layer(bias):
    torch.manual_seed(0)
    network = PFNLayer(nn.Linear(5, 4, bias=bias), normalisation(4, nn.BatchNorm1d)).eval()
    assert assert_contract_holds(network, torch.randn(7, 3, 5)) == {"fuse_batch_norm_in_pillars": 1}
    fused = rewritten(network, SELECTION).network
    assert isinstance(fused.norm, nn.Identity)
    assert fused.linear.bias is not None
    assert isinstance(network.norm, nn.BatchNorm1d)


def test_a_sequence_keeps_the_places_of_its_modules():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), normalisation(4), nn.Conv2d(4, 5, 1), nn.ReLU(), normalisation(5)
    ).eval()
    fused = rewritten(network, SELECTION).network
    # The last normalisation follows an activation.
    assert names(fused) == ["Conv2d", "Identity", "Conv2d", "ReLU", "BatchNorm2d"]
    assert [*fused.state_dict()][:2] == ["0.weight", "0.bias"]
    assert fused[2].weight is network[2].weight
    assert_contract_holds(network, torch.randn(2, 3, 8, 8))


def test_residual_blocks_are_fused_by_number():
    torch.manual_seed(0)
    shortcut = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), normalisation(4))
    network = nn.Sequential(BasicBlock(4, shortcut), Bottleneck(4)).eval()
    fired = assert_contract_holds(network, torch.randn(2, 4, 8, 8))
    assert fired == {
        "fuse_batch_norm_in_basic_block": 1,
        "fuse_batch_norm_in_bottleneck": 1,
        "fuse_batch_norm_in_sequence": 1,
    }
    fused = rewritten(network, SELECTION).network
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 6


def test_a_convolution_shared_by_several_normalisations_takes_over_each_of_them():
    torch.manual_seed(0)
    shared = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    network = nn.Sequential(ConvModule(shared, normalisation(4)), ConvModule(shared, normalisation(4))).eval()
    weight = shared.weight.clone()
    assert assert_contract_holds(network, torch.randn(2, 4, 8, 8)) == {"fuse_batch_norm": 2}
    assert torch.equal(shared.weight, weight)
    first, second = rewritten(network, SELECTION).network
    assert not torch.equal(first.conv.weight, second.conv.weight)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ConvModule(nn.Conv2d(3, 4, 1), nn.Identity()).eval(), "it has no batch normalisation"),
        (ConvModule(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)).eval(), "it has no batch normalisation"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval(), "it has no batch normalisation"),
        (
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), normalisation(4)).eval(),
            "what it normalises does not come from a plain Conv2d or ConvTranspose2d",
        ),
        (
            nn.Sequential(nn.Conv1d(3, 4, 1), normalisation(4)).eval(),
            "what it normalises does not come from a plain Conv2d or ConvTranspose2d",
        ),
        (
            # Of three axes, as a linear layer may give, the normalisation takes the second for the channels.
            nn.Sequential(nn.Linear(4, 4), normalisation(4, nn.BatchNorm1d)).eval(),
            "it has no batch normalisation",
        ),
        (
            PFNLayer(nn.Identity(), normalisation(4, nn.BatchNorm1d)).eval(),
            "what it normalises does not come from a plain Linear",
        ),
        (PFNLayer(nn.Linear(3, 4), normalisation(4, nn.BatchNorm1d)), "the normalisation depends on the batch"),
        (PFNLayer(nn.Linear(3, 4), nn.LayerNorm(4)).eval(), "it has no batch normalisation"),
        (
            nn.Sequential(Standardised(3, 4, 1), normalisation(4)).eval(),
            "what it normalises does not come from a plain Conv2d or ConvTranspose2d",
        ),
        (
            nn.Sequential(nn.ConvTranspose2d(4, 4, 1, groups=2), normalisation(4)).eval(),
            "the transposed convolution has groups",
        ),
        (
            Backwards(nn.Conv2d(3, 4, 1), normalisation(4)).eval(),
            "it does not run its modules one after the other",
        ),
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


def test_a_namesake_without_convolutions_is_skipped():
    namesake = type("BasicBlock", (nn.Identity,), {})()
    (skipped,) = rewritten(namesake, SELECTION).skipped
    assert skipped.reason == "it has no batch normalisation"
