"""The head of SimCC, with deconvolutions and without; every config is OpenMMLab's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.heads.simcc import SimCCHead
from compiler.networks.layers.deconv import deconv_layers

CONFIGS = Path(__file__).parents[2] / "conf" / "model"

# Backbone, in_channels, input_size, in_featuremap_size and whether there are deconvolutions, of OpenMMLab's config
# files; and the file.
VARIANTS = {
    "simcc-res50": ("ResNet", 2048, [192, 256], [6, 8], True, "simcc_res50_8xb64-210e_coco-256x192"),
    "simcc-res50-384x288": ("ResNet", 2048, [288, 384], [9, 12], True, "simcc_res50_8xb32-140e_coco-384x288"),
    "simcc-mobilenetv2": (
        "MobileNetV2", 1280, [192, 256], [6, 8], False, "simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    backbone_class, channels, input_size, feature_size, has_deconv, file = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "simcc", "pose-detection")
    assert config.openmmlab == f"mmpose/.mim/configs/body_2d_keypoint/simcc/coco/{file}.py"
    backbone, head = config.network.backbone, config.network.head
    assert backbone._target_.endswith(f".{backbone_class}")
    assert head.in_channels == channels
    assert head.input_size == input_size == list(config.input_shape)[::-1]
    assert head.in_featuremap_size == feature_size == [side // 32 for side in input_size]
    assert (head.out_channels, head.simcc_split_ratio) == (17, 2.0)

    with torch.device("meta"):
        network = build(config.network)
        simcc_x, simcc_y = network(torch.zeros(2, 3, *config.input_shape))
    assert simcc_x.shape == (2, 17, 2 * input_size[0])
    assert simcc_y.shape == (2, 17, 2 * input_size[1])
    assert any(isinstance(part, nn.ConvTranspose2d) for part in network.modules()) == has_deconv


def test_backbones_are_as_deep_and_as_wide_as_openmmlabs(model):
    assert model("simcc-res50").network.backbone.depth == 50
    backbone = model("simcc-mobilenetv2").network.backbone
    assert (backbone.widen_factor, backbone.out_indices) == (1.0, [7])


def test_every_config_file_is_tested():
    assert {path.stem for path in CONFIGS.glob("simcc*.yaml")} == {*VARIANTS}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    start = f"https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/simcc/coco/{VARIANTS[name][-1]}"
    assert official.url.rsplit("_", 1)[0] == f"{start}-{official.sha256}"
    assert len(official.sha256) == 8


@pytest.mark.parametrize("name", VARIANTS)
def test_the_first_line_describes_the_config(name):
    assert (CONFIGS / f"{name}.yaml").read_text().startswith("# SimCC with a ")


def test_keys_with_deconvolutions():
    head = SimCCHead(8, 3, (64, 32), (2, 1), deconv_out_channels=(4, 6), deconv_kernel_sizes=(4, 3))
    shapes = {key: tuple(value.shape) for key, value in head.state_dict().items() if key.endswith("weight")}
    assert shapes == {
        "deconv_head.deconv_layers.0.weight": (8, 4, 4, 4),
        "deconv_head.deconv_layers.1.weight": (4,),
        "deconv_head.deconv_layers.3.weight": (4, 6, 3, 3),
        "deconv_head.deconv_layers.4.weight": (6,),
        "deconv_head.final_layer.weight": (3, 6, 1, 1),
        "mlp_head_x.weight": (128, 8 * 4),
        "mlp_head_y.weight": (64, 8 * 4),
    }


@pytest.mark.parametrize("nothing", [None, []])
def test_keys_without_deconvolutions(nothing):
    head = SimCCHead(8, 3, (64, 32), (2, 1), deconv_out_channels=nothing)
    assert {key: tuple(value.shape) for key, value in head.state_dict().items() if key.endswith("weight")} == {
        "final_layer.weight": (3, 8, 1, 1),
        "mlp_head_x.weight": (128, 2),
        "mlp_head_y.weight": (64, 2),
    }


def test_only_the_last_feature_map_is_used():
    head = SimCCHead(8, 3, (64, 32), (2, 1), deconv_out_channels=None).eval()
    coarse = torch.ones(1, 8, 1, 2)
    both = head((torch.zeros(1, 5, 7, 7), coarse))
    assert all(torch.equal(*pair) for pair in zip(both, head((coarse,)), strict=True))


def test_number_of_bins_is_rounded_down():
    head = SimCCHead(8, 3, (9, 7), (2, 1), simcc_split_ratio=1.5, deconv_out_channels=None)
    simcc_x, simcc_y = head((torch.zeros(1, 8, 1, 2),))
    assert (simcc_x.shape, simcc_y.shape) == ((1, 3, 13), (1, 3, 10))


@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_each_deconvolution_doubles_height_and_width(kernel_size):
    layers = deconv_layers(4, (5, 6), (kernel_size, kernel_size)).eval()
    assert layers(torch.zeros(1, 4, 3, 5)).shape == (1, 6, 12, 20)


@pytest.mark.parametrize("kernel_size", [1, 5])
def test_other_kernel_sizes_are_refused(kernel_size):
    with pytest.raises(ValueError, match=f"kernel size of {kernel_size} is not supported, only 4, 3, 2"):
        deconv_layers(4, (5,), (kernel_size,))


def test_every_deconvolution_needs_a_kernel_size():
    with pytest.raises(ValueError, match="2 deconvolutions need as many kernel sizes, not 3"):
        SimCCHead(8, 3, (64, 32), (2, 1), deconv_out_channels=(4, 4))
