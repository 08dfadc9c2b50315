"""ResNet has the sizes that its paper's networks have, and each stride lies where its style says."""

import pytest
import torch
from torch import nn

from compiler.networks.backbones.resnet import BasicBlock, Bottleneck, ResNet

# The parameters of the networks as published for ImageNet, less those of their classifiers, 1000 * (channels + 1).
PARAMETERS = {18: 11_176_512, 34: 21_284_672, 50: 23_508_032, 101: 42_500_160, 152: 58_143_808}
CLASSIFIED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def strides(layer):
    return [module.stride[0] for name, module in layer[0].named_children() if name.startswith("conv")]


@pytest.mark.parametrize("depth", PARAMETERS)
def test_number_of_parameters(depth):
    with torch.device("meta"):
        network = ResNet(depth)
    channels = 2048 if depth >= 50 else 512
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[depth]
    assert PARAMETERS[depth] + 1000 * (channels + 1) == CLASSIFIED[depth]


@pytest.mark.parametrize(
    ("depth", "groups", "base_width", "classified"),
    [(50, 32, 4, 25_028_904), (101, 32, 8, 88_791_336), (101, 64, 4, 83_455_272)],
)
def test_groups_make_the_resnexts_that_are_published(depth, groups, base_width, classified):
    with torch.device("meta"):
        plain, network = ResNet(depth), ResNet(depth, groups=groups, base_width=base_width)
    assert sum(parameter.numel() for parameter in network.parameters()) + 1000 * (2048 + 1) == classified
    assert list(network.state_dict()) == list(plain.state_dict())
    widths = [getattr(network, f"layer{stage}")[0].conv2.weight.shape for stage in (1, 2, 3, 4)]
    assert widths == [(groups * base_width * 2**i, base_width * 2**i, 3, 3) for i in range(4)]


def test_the_width_of_one_group_changes_nothing():
    assert ResNet(50, base_width=64).layer1[0].conv2.weight.shape == ResNet(50).layer1[0].conv2.weight.shape


@pytest.mark.parametrize("depth", PARAMETERS)
def test_number_of_layers_with_weights_is_the_depth(depth):
    with torch.device("meta"):
        network = ResNet(depth)
    convolutions = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d)]
    classifier = 1
    assert len([name for name in convolutions if "downsample" not in name]) + classifier == depth


@pytest.mark.parametrize(("depth", "channels"), [(18, 64), (50, 256)])
def test_every_stage_is_given_where_it_is_asked_for(depth, channels):
    network = ResNet(depth, out_indices=(0, 1, 2, 3)).eval()
    shapes = [tuple(output.shape) for output in network(torch.zeros(1, 3, 64, 96))]
    assert shapes == [(1, channels * 2**stage, 16 >> stage, 24 >> stage) for stage in range(4)]


def test_only_the_last_stage_is_given_by_default():
    (output,) = ResNet(18).eval()(torch.zeros(1, 3, 64, 64))
    assert output.shape == (1, 512, 2, 2)


def test_stages_that_are_left_out_do_not_exist():
    network = ResNet(50, num_stages=3, out_indices=(2,)).eval()
    assert not any(key.startswith("layer4") for key in network.state_dict())
    (output,) = network(torch.zeros(1, 3, 64, 64))
    assert output.shape == (1, 1024, 4, 4)


def test_style_moves_the_stride_and_nothing_else():
    pytorch, caffe = ResNet(50, style="pytorch"), ResNet(50, style="caffe")
    for name in ("layer2", "layer3", "layer4"):
        assert strides(getattr(pytorch, name)) == [1, 2, 1]
        assert strides(getattr(caffe, name)) == [2, 1, 1]
    assert strides(pytorch.layer1) == strides(caffe.layer1) == [1, 1, 1]
    caffe.load_state_dict(pytorch.state_dict(), strict=True)
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(pytorch.eval()(image)[0], caffe.eval()(image)[0])


def test_style_does_not_matter_where_there_is_no_bottleneck():
    assert strides(ResNet(18, style="caffe").layer2) == strides(ResNet(18).layer2) == [2, 1]


def test_the_input_is_projected_only_where_its_shape_changes():
    keys = ResNet(18).state_dict().keys()
    assert not any(key.startswith("layer1.0.downsample") for key in keys)
    assert "layer2.0.downsample.0.weight" in keys
    assert not any(key.startswith("layer2.1.downsample") for key in keys)
    # A bottleneck of the first stage gives four times as many channels as the stem.
    assert "layer1.0.downsample.1.running_var" in ResNet(50).state_dict()


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_a_block_without_weights_is_a_rectified_identity(block):
    residual = block(8, 8).eval()
    for parameter in residual.parameters():
        nn.init.zeros_(parameter)
    image = torch.linspace(-1, 1, 8 * 16).reshape(1, 8, 4, 4)
    torch.testing.assert_close(residual(image), image.relu(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 51}, "depth 51 is not supported, only 18, 34, 50, 101, 152"),
        ({"depth": 50, "num_stages": 5}, "num_stages 5 must lie between 1 and 4"),
        ({"depth": 50, "num_stages": 0, "out_indices": ()}, "num_stages 0 must lie between 1 and 4"),
        ({"depth": 50, "out_indices": (4,)}, r"out_indices \(4,\) must lie between 0 and 3"),
        ({"depth": 50, "num_stages": 3}, r"out_indices \(3,\) must lie between 0 and 2"),
        ({"depth": 50, "style": "tensorflow"}, "style 'tensorflow' is not supported, only pytorch, caffe"),
        ({"depth": 18, "style": "tensorflow"}, "style 'tensorflow' is not supported"),
        ({"depth": 18, "norm_cfg": {"type": "GN"}}, "normalisation 'GN' is not supported"),
        ({"depth": 50, "dcn": {"type": "DCN"}}, "dcn {'type': 'DCN'} is not supported, only {'type': 'DCNv2'"),
        ({"depth": 50, "dcn": {"type": "DCNv2", "deform_groups": 4}}, "'deform_groups': 4} is not supported"),
        ({"depth": 18, "dcn": {"type": "DCNv2"}}, "dcn belongs into a bottleneck, and depth 18 has none"),
        ({"depth": 18, "groups": 32}, "groups belong into a bottleneck"),
        ({"depth": 50, "groups": 32, "dcn": {"type": "DCNv2"}}, "groups belong into a bottleneck"),
    ],
)
def test_what_is_not_supported_is_refused(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        ResNet(**options)
