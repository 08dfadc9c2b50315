"""PSENet is the network that OpenMMLab trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.heads.pan import PANHead
from compiler.networks.necks.fpnf import FPNF
from compiler.networks.text_detection import TextDetector
from rewriters import Target, select
from rewriters.functions.nearest_to_bilinear import nearest_to_bilinear
from tests.networks.exporting import TinyBackbone, exported

ROOT = Path(__file__).parents[2]

# Class and style of the backbone, scale, and how a text is represented, in OpenMMLab's config files.
VARIANTS = {
    "psenet": ("ResNet", "pytorch", 2240, "quad"),
    "psenet-r50-ctw1500": ("ResNet", "caffe", 1280, "poly"),
    "psenet-r50-oclip": ("CLIPResNet", "pytorch", 2240, "quad"),
    "psenet-r50-oclip-ctw1500": ("CLIPResNet", "caffe", 1280, "poly"),
}
ALIASES = {"psenet-r50": "psenet"}


def identity(neck):
    """Let each convolution of a neck keep the first of its channels, and each normalisation keep all."""
    for module in neck.eval().modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = 0
    return neck


def test_maps_are_added_from_the_coarsest_to_the_finest():
    neck = identity(FPNF([1, 1, 1], 1, fusion_type="add"))
    fine, middle, coarse = (torch.rand(1, 1, 16 >> level, 16 >> level) for level in range(3))
    (output,) = neck((fine, middle, coarse))
    doubled = middle + coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    doubled = doubled.repeat_interleave(2, -1).repeat_interleave(2, -2)
    quadrupled = coarse.repeat_interleave(4, -1).repeat_interleave(4, -2)
    torch.testing.assert_close(output, (fine + doubled) + doubled + quadrupled)


def test_concatenated_maps_begin_with_the_finest():
    neck = identity(FPNF([1, 1], 1, fusion_type="concat"))
    fine, coarse = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 2, 2)
    (output,) = neck((fine, coarse))
    torch.testing.assert_close(output, fine + coarse.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_the_last_convolution_takes_all_maps_or_their_sum():
    assert FPNF([3, 4, 5], 8).output_convs.conv.in_channels == 24
    assert FPNF([3, 4, 5], 8, fusion_type="add").output_convs.conv.in_channels == 8


def test_another_fusion_is_refused():
    with pytest.raises(ValueError, match="fusion_type 'mean' is not supported, only concat, add"):
        FPNF([1, 1], fusion_type="mean")


def test_it_exports_at_every_size():
    torch.manual_seed(0)
    network = TextDetector(TinyBackbone([4, 5, 6, 7]), FPNF([4, 5, 6, 7], 8), PANHead([8], 8, 7)).eval()
    program = exported(network)
    for shape in ((1, 3, 64, 96), (3, 3, 96, 32)):
        image = torch.randn(shape)
        np.testing.assert_allclose(program(image), network(image)[0].detach(), rtol=0, atol=1e-4)
    # Of the six, two enlarge the same map to the same size, and are one.
    assert program.operators.count("Resize") == 5
    assert "Shape" not in program.operators


def test_tensorrt_enlarges_its_maps_as_they_are(model):
    target = Target("tensorrt", algo=model("psenet").algo)
    assert not select([nearest_to_bilinear], target).functions


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    backbone, style, scale, representation = VARIANTS[name]
    config = model(name)
    assert (config.name, config.algo, config.task) == (name, "psenet", "text-detection")
    assert config.processing.scale == [scale, scale]
    assert config.processing.postprocessor.text_repr_type == representation
    assert config.network.backbone.style == style
    with torch.device("meta"):
        network = build(config.network)
        (output,) = network(torch.zeros(1, 3, 64, 96))
    assert type(network.backbone).__name__ == backbone
    assert list(output.shape) == [1, 7, 16, 24]


@pytest.mark.parametrize(("name", "same"), ALIASES.items())
def test_the_full_name_is_the_same_model(model, name, same):
    assert model(name) == model(same)


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("psenet*.yaml")}
    assert files == {*VARIANTS, *ALIASES}
