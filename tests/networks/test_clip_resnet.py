"""The ResNet of oCLIP is the one that OpenMMLab trained, and it averages where another skips."""

import pytest
import torch
from torch import nn

from compiler.networks.backbones.clip_resnet import CLIPBottleneck, CLIPResNet
from compiler.networks.backbones.resnet import Bottleneck

# Mean and standard deviation of each output of MMOCR 1.0.1's CLIPResNet() with the weights of tests/parity/weights.py,
# on its image("clip_resnet", (1, 3, 64, 96)).
OUTPUTS = [
    (0.23925729095935822, 0.25458163022994995),
    (0.41465678811073303, 0.4322013556957245),
    (0.8017077445983887, 0.8436993360519409),
    (0.8014329075813293, 0.9227020144462585),
]


@pytest.fixture(scope="module")
def network(weights):
    network = CLIPResNet().eval().requires_grad_(False)
    network.load_state_dict(weights.fill(network.state_dict()))
    return network


def test_outputs_equal_mmocrs(network, weights):
    outputs = network(torch.from_numpy(weights.image("clip_resnet", (1, 3, 64, 96))))
    for level, (output, (mean, deviation)) in enumerate(zip(outputs, OUTPUTS, strict=True)):
        assert output.shape == (1, 256 * 2**level, 16 >> level, 24 >> level)
        assert output.mean().item() == pytest.approx(mean, rel=1e-4)
        assert output.std().item() == pytest.approx(deviation, rel=1e-4)


def test_the_stem_has_three_convolutions(network):
    stem = [(layer.in_channels, layer.out_channels, layer.stride[0]) for layer in network.stem[::3]]
    assert stem == [(3, 32, 2), (32, 32, 1), (32, 64, 1)]
    assert not any(key.startswith(("conv1", "bn1")) for key in network.state_dict())


def test_no_convolution_but_the_first_has_a_stride(network):
    strides = {name: part.stride for name, part in network.named_modules() if isinstance(part, nn.Conv2d)}
    assert [name for name, stride in strides.items() if stride != (1, 1)] == ["stem.0"]


def test_keys_say_that_pooling_comes_before_the_projection(network):
    # The number in front of the projection is that of the pooling, which the first stage has in name only.
    keys = {key for key in network.state_dict() if "downsample" in key and key.endswith("weight")}
    assert keys == {f"layer{stage}.0.downsample.{part}.weight" for stage in (1, 2, 3, 4) for part in (1, 2)}


def test_a_bottleneck_averages_all_pixels_where_another_skips_some():
    plain, averaging = (block(8, 8, 2, nn.AvgPool2d(2)).eval() for block in (Bottleneck, CLIPBottleneck))
    averaging.load_state_dict(plain.state_dict(), strict=True)
    image, narrow = torch.randn(1, 8, 6, 6), torch.randn(1, 2, 6, 6)
    assert plain(image).shape == averaging(image).shape == (1, 8, 3, 3)
    every_pixel = averaging.conv2(narrow)
    torch.testing.assert_close(plain.pool(plain.conv2(narrow)), every_pixel[:, :, ::2, ::2])
    torch.testing.assert_close(averaging.pool(every_pixel)[:, :, 0, 0], every_pixel[:, :, :2, :2].mean((2, 3)))


def test_a_bottleneck_without_a_stride_is_a_plain_one():
    plain, averaging = Bottleneck(8, 8).eval(), CLIPBottleneck(8, 8).eval()
    averaging.load_state_dict(plain.state_dict(), strict=True)
    image = torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(averaging(image), plain(image))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 18}, "depth 18 is not supported: below 50 there is no bottleneck"),
        ({"depth": 51}, "depth 51 is not supported, only"),
        ({"style": "tensorflow"}, "style 'tensorflow' is not supported"),
    ],
)
def test_what_is_not_supported_is_refused(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        CLIPResNet(**options)
