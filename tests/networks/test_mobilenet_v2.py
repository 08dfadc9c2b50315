"""MobileNetV2 is one network under the parameter names of two codebases."""

import pytest
import torch
from torch import nn

from compiler.networks.backbones.mobilenet_v2 import DetectionMobileNetV2, MobileNetV2

LEAKY = {"type": "LeakyReLU", "negative_slope": 0.1}


def test_number_of_parameters():
    """As published for ImageNet, 3,504,872, less the 1,281,000 of the classifier."""
    assert sum(parameter.numel() for parameter in MobileNetV2().parameters()) == 3_504_872 - 1_281_000


def test_every_stage_is_given_where_it_is_asked_for():
    network = MobileNetV2(out_indices=range(8)).eval()
    shapes = [tuple(output.shape[1:]) for output in network(torch.zeros(1, 3, 64, 96))]
    channels = (16, 24, 32, 64, 96, 160, 320, 1280)
    reductions = (2, 4, 8, 16, 16, 32, 32, 32)
    assert shapes == [(c, 64 // r, 96 // r) for c, r in zip(channels, reductions, strict=True)]


def test_parameter_names_are_mmposes():
    keys = MobileNetV2().state_dict().keys()
    assert "conv1.conv.weight" in keys
    assert "layer1.0.conv.0.conv.weight" in keys
    assert "layer1.0.conv.2.conv.weight" not in keys  # the first block does not widen: two convolutions, not three
    assert "layer2.1.conv.2.bn.running_mean" in keys
    assert "conv2.bn.num_batches_tracked" in keys


def test_parameter_names_are_mmdetections():
    keys = DetectionMobileNetV2().state_dict().keys()
    assert "conv1.conv.weight" in keys
    assert "layer1.0.depthwise_conv.conv.weight" in keys
    assert "layer1.0.expand_conv.conv.weight" not in keys
    assert "layer2.1.expand_conv.conv.weight" in keys
    assert "layer2.1.linear_conv.bn.running_mean" in keys


def test_names_are_all_that_differs():
    pose, detection = MobileNetV2(act_cfg=LEAKY).eval(), DetectionMobileNetV2(act_cfg=LEAKY).eval()
    renamed = zip(detection.state_dict(), pose.state_dict().values(), strict=True)
    detection.load_state_dict(dict(renamed), strict=True)
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(detection(image)[0], pose(image)[0], rtol=0, atol=0)


def test_the_last_convolution_of_a_block_is_not_activated():
    network = MobileNetV2()
    expand, depthwise, linear = network.layer2[0].conv
    assert isinstance(expand.activate, nn.ReLU6)
    assert isinstance(depthwise.activate, nn.ReLU6)
    assert isinstance(linear.activate, nn.Identity)


def test_the_input_is_added_only_where_the_shapes_are_equal():
    network = MobileNetV2()
    shortcuts = {number: [block.shortcut for block in getattr(network, f"layer{number}")] for number in range(1, 8)}
    assert shortcuts[2] == [False, True]
    assert shortcuts[5] == [False, True, True]  # no stride, but other channels
    assert shortcuts[1] == shortcuts[7] == [False]


@pytest.mark.parametrize(
    ("factor", "stem", "first", "last"),
    [
        (1.0, 32, 16, 1280),
        (0.5, 16, 8, 1280),  # never fewer than 1280 at the end
        (0.35, 16, 8, 1280),  # 11.2 would become 8, more than a tenth less: 16
        (1.4, 48, 24, 1792),  # 44.8 and 22.4 are nearest to 48 and 24
        (1.1, 32, 16, 1408),  # 35.2 and 17.6 become 32 and 16, less than a tenth less
    ],
)
def test_channels_are_multiples_of_eight(factor, stem, first, last):
    with torch.device("meta"):
        network = MobileNetV2(factor)
    convolutions = (network.conv1, network.layer1[0].conv[-1], network.conv2)
    assert tuple(part.conv.out_channels for part in convolutions) == (stem, first, last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_indices": (8,)}, r"out_indices \(8,\) must lie between 0 and 7"),
        ({"out_indices": (-1,)}, "out_indices"),
        ({"act_cfg": {"type": "Softplus"}}, "activation 'Softplus' is not supported"),
        ({"norm_cfg": {"type": "LN"}}, "normalisation 'LN' is not supported"),
    ],
)
def test_what_is_not_supported_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MobileNetV2(**options)
