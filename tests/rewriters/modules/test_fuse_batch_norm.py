"""A normalisation is fused where it takes what a layer returns and nothing else does, however the two are called."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.networks.backbones.resnet import BasicBlock as OurBasicBlock
from compiler.networks.backbones.resnet import Bottleneck as OurBottleneck
from compiler.networks.layers.conv import ConvModule as OurConvModule
from compiler.networks.layers.pillars import PFNLayer as OurPFNLayer
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.modules.fuse_batch_norm import CONVOLUTIONS, fuse_batch_norm

SELECTION = select([fuse_batch_norm], Target("onnxruntime"))
IMAGE = torch.randn(2, 4, 9, 7, generator=torch.Generator().manual_seed(0))
NO_LAYER = (
    "its input is not the output of a Linear, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d or "
    "ConvTranspose3d"
)
READ_ELSEWHERE = "something else reads its input too"


def normalisation(channels, kind=nn.BatchNorm2d, **options):
    layer = kind(channels, **options)
    if layer.running_mean is not None:
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.1, 2)
    if layer.affine:
        nn.init.uniform_(layer.weight, 0.5, 1.5)
        nn.init.uniform_(layer.bias, -1, 1)
    return layer


def with_uneven_normalisations(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.load_state_dict(normalisation(module.num_features, type(module)).state_dict())
    return network.eval()


def normalisations(network):
    return sum(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for module in network.modules())


def assert_contract_holds(network, *inputs):
    """Run the network with and without its rewriter; return where it fired, and the reasons where it did not."""
    applied = rewritten(network, SELECTION, inputs)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        output, expected = applied.network(*inputs), network(*inputs)
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=0)
    fired = [entry for entry in ledger.entries() if entry.status == "fired"]
    assert all(entry.holds and entry.max_absolute_error < 1e-4 for entry in fired)
    assert normalisations(network) - normalisations(applied.network) == sum(entry.times for entry in fired)
    skipped = {entry.reason for entry in ledger.entries() if entry.status == "skipped"}
    return {place for entry in fired for place in entry.where}, skipped


class PreActivation(nn.Module):
    """A block that normalises, and then convolves (arXiv:1603.05027): the attributes' names are those of ResNet's."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), normalisation(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), normalisation(4)
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.conv1(self.relu(self.bn1(x)))
        return x + self.conv2(self.relu(self.bn2(out * 0.5)))


def named(name, base):
    return type(name, (base,), {})


@pytest.mark.parametrize(
    ("network", "places"),
    [
        (OurConvModule(4, 4, 3, padding=1, norm_cfg={"type": "BN"}), {"bn"}),
        (OurBasicBlock(4, 4), {"bn1", "bn2"}),
        (OurBottleneck(4, 4), {"bn1", "bn2", "bn3"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_our_blocks_are_fused(network, places):
    assert assert_contract_holds(with_uneven_normalisations(network), IMAGE) == (places, set())


@pytest.mark.parametrize("name", ["BasicBlock", "Bottleneck", "ConvModule", "PFNLayer"])
def test_a_pre_activation_block_of_the_same_name_is_left_alone(name):
    network = named(name, PreActivation)().eval()
    applied = rewritten(network, SELECTION, [IMAGE])
    assert applied.replacements == ()
    expected, output = network(IMAGE).flatten(), applied.network(IMAGE).flatten()
    assert torch.equal(output, expected)
    assert F.cosine_similarity(output, expected, dim=0).item() == pytest.approx(1)
    assert {skipped.reason for skipped in applied.skipped} == {NO_LAYER}


class Renamed(nn.Module):
    """Holds its modules in another order than it runs them, under names that say nothing."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = normalisation(4), nn.ReLU(), nn.ModuleDict({"d": nn.Conv2d(4, 4, 1)})

    def forward(self, x):
        return self.b(self.a(input=self.c["d"](x)))


def test_neither_names_nor_the_order_of_attributes_matter():
    assert assert_contract_holds(Renamed().eval(), IMAGE) == ({"a"}, set())


def test_the_normalisation_disappears_and_the_original_keeps_its_own():
    network = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), normalisation(4)).eval()
    applied = rewritten(network, SELECTION, [IMAGE])
    assert isinstance(applied.network[1], nn.Identity)
    assert applied.network[0].bias is not None
    assert isinstance(network[1], nn.BatchNorm2d)
    assert network[0].bias is None


CONVOLUTION_OPTIONS = {
    "kind": st.sampled_from(CONVOLUTIONS),
    "groups": st.sampled_from([1, 2, 4]),
    "kernel": st.sampled_from([1, 2, 3]),
    "bias": st.booleans(),
    "affine": st.booleans(),
    "seed": st.integers(0, 99),
}


@settings(deadline=None)
@given(**CONVOLUTION_OPTIONS)
def test_the_contract_holds_for_every_kind_of_convolution(kind, groups, kernel, bias, affine, seed):
    torch.manual_seed(seed)
    axes = int(kind.__name__[-2])
    convolution = kind(4, 8, kernel, stride=2, padding=kernel // 2, groups=groups, bias=bias)
    follower = normalisation(8, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[axes - 1], affine=affine)
    network = nn.Sequential(convolution, follower, nn.ReLU()).eval()
    assert assert_contract_holds(network, torch.randn(2, 4, *(7, 6, 5)[:axes])) == ({"1"}, set())


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_layer_takes_over_what_normalises_its_outputs(bias):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 4, bias=bias), normalisation(4, nn.BatchNorm1d)).eval()
    assert assert_contract_holds(network, torch.randn(7, 5)) == ({"1"}, set())


def test_a_pillar_feature_net_is_fused_into_its_linear_layer():
    torch.manual_seed(0)
    network = with_uneven_normalisations(OurPFNLayer(5, 4, norm_cfg={"type": "BN1d"}))
    points = torch.randn(7, 3, 5)
    assert assert_contract_holds(network, points) == ({"norm"}, set())
    fused = rewritten(network, SELECTION, [points]).network
    assert isinstance(fused.norm, nn.Identity)
    assert fused.linear.bias is not None
    assert isinstance(network.norm, nn.BatchNorm1d)


def test_a_sequence_keeps_the_places_of_its_modules():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, bias=False), normalisation(4), nn.Conv2d(4, 5, 1), nn.ReLU(), normalisation(5)
    ).eval()
    fused = rewritten(network, SELECTION, [IMAGE]).network
    # The last normalisation follows an activation.
    kinds = [type(child).__name__ for child in fused.children()]
    assert kinds == ["Conv2d", "Identity", "Conv2d", "ReLU", "BatchNorm2d"]
    assert [*fused.state_dict()][:2] == ["0.weight", "0.bias"]
    assert fused[2].weight is network[2].weight
    assert assert_contract_holds(network, IMAGE) == ({"1"}, {NO_LAYER})


class Block(nn.Module):
    def __init__(self, conv, bn):
        super().__init__()
        self.conv, self.bn = conv, bn

    def forward(self, x):
        return self.bn(self.conv(x))


def test_a_convolution_shared_by_several_normalisations_takes_over_each_of_them():
    torch.manual_seed(0)
    shared = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    network = nn.Sequential(Block(shared, normalisation(4)), Block(shared, normalisation(4))).eval()
    weight = shared.weight.clone()
    assert assert_contract_holds(network, IMAGE) == ({"0.bn", "1.bn"}, set())
    assert torch.equal(shared.weight, weight)
    first, second = rewritten(network, SELECTION, [IMAGE]).network
    assert not torch.equal(first.conv.weight, second.conv.weight)


class Pyramid(nn.Module):
    """Runs one block on several sizes, as the heads of detectors do."""

    def __init__(self):
        super().__init__()
        self.block = Block(nn.Conv2d(4, 4, 3), normalisation(4))

    def forward(self, x):
        return self.block(x).mean() + self.block(x[..., ::2, ::2]).mean()


def test_two_modules_that_are_used_twice_together_are_fused_once():
    assert assert_contract_holds(Pyramid().eval(), IMAGE) == ({"block.bn"}, set())


def test_a_block_under_two_names_stays_one_block():
    shared = Block(nn.Conv2d(4, 4, 1), normalisation(4))
    network = nn.Sequential(shared, shared).eval()
    assert assert_contract_holds(network, IMAGE) == ({"0.bn"}, set())
    fused = rewritten(network, SELECTION, [IMAGE]).network
    assert fused[0] is fused[1]


class Uses(nn.Module):
    """A convolution, a normalisation, and what a test does with them."""

    def __init__(self, use, conv=None, bn=None):
        super().__init__()
        self.conv = conv or nn.Conv2d(4, 4, 3, padding=1)
        self.bn = bn or normalisation(4)
        self.other = nn.Conv2d(4, 4, 3, padding=1)
        self.use = use

    def forward(self, x):
        return self.use(self, x)


def twice(module, x):
    convolved = module.conv(x)
    return module.bn(convolved) + convolved


def read_through_a_part(module, x):
    convolved = module.conv(x)
    return module.bn(convolved) + convolved[:, :, :1]


def read_in_another_shape(module, x):
    convolved = module.conv(x)
    return module.bn(convolved) + convolved.flatten(1).mean()


def changed_in_place(module, x):
    convolved = module.conv(x)
    convolved.relu_()
    return module.bn(convolved)


def also_returned(module, x):
    convolved = module.conv(x)
    return module.bn(convolved), convolved


def normalised_twice(module, x):
    convolved = module.conv(x)
    return module.bn(convolved) + module.bn(convolved)


def once_without(module, x):
    return module.bn(module.conv(x)) + module.conv(x)


def of_two(module, x):
    return module.bn(module.conv(x)) + module.bn(module.other(x))


def of_another_too(module, x):
    return module.bn(module.conv(x)) + module.bn(x)


def by_hand(module, x):
    return F.batch_norm(module.conv(x), module.bn.running_mean, module.bn.running_var)


def weight_read(module, x):
    return module.bn(module.conv(x)) + F.conv2d(x, module.conv.weight, padding=1)


def scale_read(module, x):
    return module.bn(module.conv(x)) * module.bn.weight.mean()


def in_order(module, x):
    return module.bn(module.conv(x))


def transposed(module, x):
    return module.bn(module.conv(x).transpose(2, 3))


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (twice, READ_ELSEWHERE),
        (read_through_a_part, READ_ELSEWHERE),
        (read_in_another_shape, READ_ELSEWHERE),
        (changed_in_place, READ_ELSEWHERE),
        (also_returned, READ_ELSEWHERE),
        (normalised_twice, READ_ELSEWHERE),
        (once_without, READ_ELSEWHERE),
        (of_two, "its input is the output of several modules"),
        (of_another_too, NO_LAYER),
        (by_hand, "the network does not call it"),
        (transposed, NO_LAYER),
        (weight_read, "the weights of conv are read elsewhere too"),
        (scale_read, "the weights of bn are read elsewhere too"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_the_network_uses_otherwise_is_left_alone(use, reason):
    assert assert_contract_holds(Uses(use).eval(), IMAGE) == (set(), {reason})


class Standardised(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


class Clipped(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).clamp(max=1)


def hooked(module):
    module.register_forward_hook(lambda module, args, output: output * 2)
    return module


def with_another_forward(module):
    module.forward = lambda x: F.relu(F.conv2d(x, module.weight, module.bias, padding=1))
    return module


@pytest.mark.parametrize(
    ("conv", "bn", "reasons"),
    [
        (Standardised(4, 4, 1), None, {NO_LAYER}),
        (None, normalisation(4, Clipped), set()),
        (hooked(nn.Conv2d(4, 4, 1)), None, {"conv has hooks"}),
        (None, hooked(normalisation(4)), {"bn has hooks"}),
        (with_another_forward(nn.Conv2d(4, 4, 3)), None, {"conv has a forward of its own"}),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)), None, {NO_LAYER}),
        (None, nn.BatchNorm2d(4, track_running_stats=False), {"the normalisation depends on the batch"}),
        (None, nn.GroupNorm(2, 4), set()),
        (nn.Identity(), None, {NO_LAYER}),
    ],
)
def test_what_is_no_plain_layer_or_normalisation_is_left_alone(conv, bn, reasons):
    fired, skipped = assert_contract_holds(Uses(in_order, conv, bn).eval(), IMAGE)
    assert not fired
    assert skipped == (reasons or {"the network has no such modules"})


def test_a_normalisation_that_is_trained_is_left_alone_and_not_trained_by_looking():
    network = nn.Sequential(nn.Conv2d(4, 4, 1), normalisation(4)).train()
    before = copy.deepcopy(network.state_dict())
    applied = rewritten(network, SELECTION, [IMAGE])
    assert [skipped.reason for skipped in applied.skipped] == ["the normalisation depends on the batch"]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_of_three_axes_a_normalisation_takes_the_second_which_a_linear_layer_does_not_give():
    network = nn.Sequential(nn.Linear(4, 4), normalisation(4, nn.BatchNorm1d)).eval()
    reason = "it normalises another axis than that of the linear layer's outputs"
    assert assert_contract_holds(network, torch.randn(2, 4, 4)) == (set(), {reason})


def test_a_convolution_that_is_flattened_has_other_channels():
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(), normalisation(4 * 63, nn.BatchNorm1d)).eval()
    assert assert_contract_holds(network, IMAGE) == (set(), {"the output of the convolution is reshaped before"})


def test_which_of_several_places_is_meant_has_to_be_seen():
    shared = nn.Conv2d(4, 4, 1)
    network = Uses(lambda module, x: module.bn(module.convs[1](x)), bn=normalisation(4))
    network.convs = nn.ModuleList([shared, shared])
    (reason,) = assert_contract_holds(network.eval(), IMAGE)[1]
    assert reason.startswith("its input is the output of a module in several places")


def test_a_network_without_normalisations_is_not_run():
    def never(module, args):
        raise AssertionError

    network = nn.Sequential(nn.Conv2d(4, 4, 1))
    network.register_forward_pre_hook(never)
    assert rewritten(network, SELECTION, [IMAGE]).skipped == ()
