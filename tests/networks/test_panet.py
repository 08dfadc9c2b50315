"""PANet is the network that OpenMMLab trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compiler.networks import build
from compiler.networks.backbones.resnet import ResNet
from compiler.networks.heads.pan import PANHead
from compiler.networks.necks.fpem_ffm import FPEM, FPEM_FFM, SeparableConv2d
from compiler.networks.text_detection import TextDetector
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.functions.nearest_to_bilinear import nearest_to_bilinear
from tests.networks.exporting import TinyBackbone, exported

ROOT = Path(__file__).parents[2]
SHORTER_SIDES = {"panet": 736, "panet-r18-ctw1500": 640}
ALIASES = {"panet-r18": "panet"}


@pytest.fixture(scope="module")
def network(model, weights):
    network = build(model("panet").network)
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    return network


def features(channels, finest=16):
    return tuple(torch.randn(1, channels, finest >> level, finest >> level) for level in range(4))


def test_the_stem_has_three_convolutions_and_twice_the_channels():
    network = ResNet(18, stem_channels=128, deep_stem=True)
    assert [(layer.in_channels, layer.out_channels) for layer in network.stem[::3]] == [(3, 64), (64, 64), (64, 128)]
    # The first block has to narrow what comes from it.
    assert "layer1.0.downsample.0.weight" in network.state_dict()
    assert "layer1.0.downsample.0.weight" not in ResNet(18, deep_stem=True).state_dict()


def test_enhanced_maps_keep_their_sizes():
    maps = features(4)
    enhanced = FPEM(4)(*maps)
    assert [feature.shape for feature in enhanced] == [feature.shape for feature in maps]


def test_each_pass_goes_up_to_the_finest_map_and_back_down():
    module = FPEM(2)
    for name, _ in list(module.named_children()):
        setattr(module, name, nn.MaxPool2d(2) if name.startswith("down") else nn.Identity())
    # Every pixel of a map has the same value, which pooling keeps.
    c2, c3, c4, c5 = (torch.full((1, 2, 16 >> level, 16 >> level), 10.0**level) for level in range(4))
    values = [feature.unique().tolist() for feature in module(c2, c3, c4, c5)]
    up4, up3, up2 = 1100, 1110, 1111
    assert values == [[up2], [up3 + up2], [up4 + up3 + up2], [1000 + up4 + up3 + up2]]


def test_what_every_pass_gives_is_added_up():
    neck = FPEM_FFM([3, 4, 5, 6], conv_out=4, fpem_repeat=3).eval()
    maps = tuple(torch.randn(1, channels, 16 >> level, 16 >> level) for level, channels in enumerate((3, 4, 5, 6)))
    passed = [getattr(neck, f"reduce_conv_c{level}")(feature) for level, feature in enumerate(maps, start=2)]
    totals = [torch.zeros(())] * 4
    for fpem in neck.fpems:
        passed = fpem(*passed)
        totals = [total + feature for total, feature in zip(totals, passed, strict=True)]
    expected = [F.interpolate(total, size=(16, 16), mode="bilinear", align_corners=False) for total in totals]
    for found, reference in zip(neck(maps), expected, strict=True):
        torch.testing.assert_close(found, reference)


def test_a_separable_convolution_mixes_channels_only_at_a_pixel():
    depthwise, pointwise = (SeparableConv2d(4, stride=2)[index] for index in (0, 1))
    assert (depthwise.groups, depthwise.kernel_size, depthwise.stride) == (4, (3, 3), (2, 2))
    assert (pointwise.groups, pointwise.kernel_size, pointwise.stride) == (1, (1, 1), (1, 1))


def test_it_exports_at_every_size():
    torch.manual_seed(0)
    neck = FPEM_FFM([4, 5, 6, 7], conv_out=4)
    network = TextDetector(TinyBackbone([4, 5, 6, 7]), neck, PANHead([4, 4, 4, 4], 8, 6)).eval()
    program = exported(network)
    for shape in ((1, 3, 64, 96), (3, 3, 96, 32)):
        image = torch.randn(shape)
        np.testing.assert_allclose(program(image), network(image)[0].detach(), rtol=0, atol=1e-4)
    assert "Shape" not in program.operators


def test_tensorrt_enlarges_by_bilinear_interpolation(model, network):
    chosen = select([nearest_to_bilinear], Target("tensorrt", algo=model("panet").algo))
    applied = rewritten(network, chosen)
    image = torch.randn(1, 3, 64, 64)
    with rewriting(applied, measure=True) as ledger:
        (changed,) = applied.network(image)
    # Six in each of the two passes; the three at the end are bilinear anyway.
    assert {entry.status: entry.times for entry in ledger.entries()} == {"fired": 12, "skipped": 3}
    assert not torch.equal(changed, network(image)[0])


def test_other_backends_keep_nearest_neighbours(model):
    assert not select([nearest_to_bilinear], Target("onnxruntime", algo=model("panet").algo)).functions


@pytest.mark.parametrize("name", SHORTER_SIDES)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    assert (config.name, config.algo, config.task) == (name, "panet", "text-detection")
    # The longer side is as long as it gets.
    longer, shorter = config.processing.scale
    assert shorter == SHORTER_SIDES[name] < longer / 100
    with torch.device("meta"):
        (output,) = build(config.network)(torch.zeros(1, 3, 64, 96))
    assert list(output.shape) == [1, 6, 16, 24]


@pytest.mark.parametrize(("name", "same"), ALIASES.items())
def test_the_full_name_is_the_same_model(model, name, same):
    assert model(name) == model(same)


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("panet*.yaml")}
    assert files == {*SHORTER_SIDES, *ALIASES}
