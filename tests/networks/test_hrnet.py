"""HRNet exchanges between resolutions as its paper draws it, and each config is one of OpenMMLab's."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.backbones.hrnet import (
    HRModule,
    HRNet,
    StageSpec,
    convolution,
    fuse_layers,
    transit,
    transition_layers,
)
from compiler.networks.heads.heatmap import HeatmapHead

CONFIGS = Path(__file__).parents[2] / "conf" / "model"
PLAIN_NORM = {"type": "BN"}
PLAIN = partial(convolution, norm_cfg=PLAIN_NORM)

# Channels of the finest resolution, input_shape, and OpenMMLab's name of the config.
VARIANTS = {
    "hrnet": (32, [256, 192], "hrnet-w32_8xb64-210e_coco-256x192"),
    "hrnet-w32-384x288": (32, [384, 288], "hrnet-w32_8xb64-210e_coco-384x288"),
    "hrnet-w32-dark": (32, [256, 192], "hrnet-w32_dark-8xb64-210e_coco-256x192"),
    "hrnet-w32-dark-384x288": (32, [384, 288], "hrnet-w32_dark-8xb64-210e_coco-384x288"),
    "hrnet-w32-udp": (32, [256, 192], "hrnet-w32_udp-8xb64-210e_coco-256x192"),
    "hrnet-w32-udp-384x288": (32, [384, 288], "hrnet-w32_udp-8xb64-210e_coco-384x288"),
    "hrnet-w48": (48, [256, 192], "hrnet-w48_8xb32-210e_coco-256x192"),
    "hrnet-w48-384x288": (48, [384, 288], "hrnet-w48_8xb32-210e_coco-384x288"),
    "hrnet-w48-dark": (48, [256, 192], "hrnet-w48_dark-8xb32-210e_coco-256x192"),
    "hrnet-w48-dark-384x288": (48, [384, 288], "hrnet-w48_dark-8xb32-210e_coco-384x288"),
    "hrnet-w48-udp": (48, [256, 192], "hrnet-w48_udp-8xb32-210e_coco-256x192"),
    "hrnet-w48-udp-384x288": (48, [384, 288], "hrnet-w48_udp-8xb32-210e_coco-384x288"),
}


def stage(*channels, num_modules=1, block="BASIC", **options):
    return {
        "num_modules": num_modules,
        "num_branches": len(channels),
        "block": block,
        "num_blocks": [1] * len(channels),
        "num_channels": list(channels),
        **options,
    }


def small_extra(**options):
    """Return a network of a few channels; `options` are those of its last stage."""
    return {
        "stage1": stage(8, block="BOTTLENECK"),
        "stage2": stage(4, 8),
        "stage3": stage(4, 8, 16, num_modules=2),
        "stage4": stage(4, 8, 16, 32, num_modules=2, **options),
    }


def pyramid(*channels, size=16):
    """Return a feature map for each branch, each half as large as the one before it."""
    return [torch.randn(2, width, size >> index, size >> index) for index, width in enumerate(channels)]


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs(model, name):
    config = model(name)
    width, shape, original = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "hrnet", "pose-detection")
    assert list(config.input_shape) == shape
    assert config.openmmlab.endswith(f"/configs/body_2d_keypoint/topdown_heatmap/coco/td-hm_{original}.py")
    extra = config.network.backbone.extra
    assert [extra[key].num_channels for key in extra] == [
        [64],
        [width, 2 * width],
        [width, 2 * width, 4 * width],
        [width, 2 * width, 4 * width, 8 * width],
    ]
    assert [extra[key].num_modules for key in extra] == [1, 1, 4, 3]
    assert [extra[key].block for key in extra] == ["BOTTLENECK", "BASIC", "BASIC", "BASIC"]
    assert {blocks for key in extra for blocks in extra[key].num_blocks} == {4}
    # DARK and UDP differ in how heat maps are made and decoded, not in the network.
    assert config.network == model("hrnet" if width == 32 else "hrnet-w48").network


@pytest.mark.parametrize("name", ["hrnet", "hrnet-w48-384x288"])
def test_variant_runs(model, name):
    height, width = VARIANTS[name][1]
    with torch.device("meta"):
        (heatmaps,) = build(model(name).network)(torch.zeros(2, 3, height, width))
    assert heatmaps.shape == (2, 17, height // 4, width // 4)


@pytest.mark.parametrize(("name", "millions"), [("hrnet", 28.5), ("hrnet-w48", 63.6)])
def test_number_of_parameters_is_the_papers(model, name, millions):
    with torch.device("meta"):
        network = build(model(name).network)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == millions


def test_every_config_file_is_tested():
    assert {path.stem for path in CONFIGS.glob("hrnet*.yaml")} == {*VARIANTS, "hrnet-w32"}


def test_hrnet_w32_is_another_name_for_hrnet(model):
    assert model("hrnet-w32") == model("hrnet")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_checkpoint_is_that_of_the_config(model, name):
    official = model(name).official
    original = VARIANTS[name][2]
    start = f"https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_{original}-"
    assert official.url.startswith(start)
    assert official.url[len(start) :].split("_")[0] == official.sha256


@pytest.mark.parametrize("name", VARIANTS)
def test_the_first_line_describes_the_config(name):
    first = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith(f"# HRNet-w{VARIANTS[name][0]}")
    assert ("DARK" in first, "UDP" in first) == ("dark" in name, "udp" in name)


def test_fuse_layers_bring_each_branch_to_each_resolution():
    channels = (4, 8, 16)
    for target, row in enumerate(fuse_layers(channels, 3, PLAIN, PLAIN_NORM)):
        for layer, feature in zip(row, pyramid(*channels), strict=True):
            assert layer.eval()(feature).shape == (2, channels[target], 16 >> target, 16 >> target)


def test_fuse_layers_leave_a_branch_as_it_is_at_its_own_resolution():
    rows = fuse_layers((4, 8), 2, PLAIN, PLAIN_NORM)
    assert isinstance(rows[0][0], nn.Identity)
    assert isinstance(rows[1][1], nn.Identity)


def test_downsampling_ends_without_an_activation_where_a_sum_follows():
    fused = fuse_layers((4, 8, 16), 3, PLAIN, PLAIN_NORM)[2][0]
    assert [isinstance(step[-1], nn.ReLU) for step in fused] == [True, False]
    led_on = transition_layers([4], [4, 8, 16], PLAIN)[2]
    assert [isinstance(step[-1], nn.ReLU) for step in led_on] == [True, True]


def test_module_sums_its_branches_at_each_resolution():
    module = HRModule(StageSpec(**stage(4, 8)), multiscale_output=True, norm_cfg=PLAIN_NORM).eval()
    features = pyramid(4, 8)
    fine, coarse = (branch(feature) for branch, feature in zip(module.branches, features, strict=True))
    expected = [fine + module.fuse_layers[0][1](coarse), module.fuse_layers[1][0](fine) + coarse]
    for output, total in zip(module(features), expected, strict=True):
        torch.testing.assert_close(output, total.relu())


def test_module_of_the_finest_resolution_has_no_weights_for_the_others():
    module = HRModule(StageSpec(**stage(4, 8)), multiscale_output=False, norm_cfg=PLAIN_NORM)
    assert len(module.fuse_layers) == 1
    (output,) = module.eval()(pyramid(4, 8))
    assert output.shape == (2, 4, 16, 16)


def test_a_new_branch_starts_from_the_coarsest():
    layers = transition_layers([4, 8], [4, 8, 16], PLAIN).eval()
    fine, coarse = pyramid(4, 8)
    first, second, new = transit(layers, [fine, coarse])
    assert first is fine
    assert second is coarse
    torch.testing.assert_close(new, layers[2](coarse))
    assert new.shape == (2, 16, 4, 4)


def test_a_branch_that_changes_its_channels_is_convolved():
    layers = transition_layers([8], [4, 8], PLAIN).eval()
    assert [tuple(output.shape) for output in transit(layers, pyramid(8))] == [(2, 4, 16, 16), (2, 8, 8, 8)]


@pytest.mark.parametrize(("options", "count"), [({}, 1), ({"multiscale_output": True}, 4)])
def test_the_last_stage_gives_the_finest_resolution_or_all(options, count):
    outputs = HRNet(small_extra(**options)).eval()(torch.zeros(1, 3, 64, 96))
    expected = [(1, 4 << index, 16 >> index, 24 >> index) for index in range(count)]
    assert [tuple(output.shape) for output in outputs] == expected


def test_a_batch_of_any_size_is_traced():
    network = HRNet(small_extra()).eval()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(network, (torch.randn(2, 3, 32, 32),), dynamic_shapes=dynamic, strict=False)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(images), network(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage4": None}, "extra must hold stage1, stage2, stage3, stage4, not stage1, stage2, stage3"),
        ({"enlarge": {"mode": "bilinear"}}, "extra must hold .*, not .*enlarge"),
        ({"stage2": stage(4, 8, block="SHUFFLE")}, r"extra\.stage2: block 'SHUFFLE' is not supported"),
        ({"stage2": stage(4, 8, num_branches=3)}, r"extra\.stage2: 3 branches need as many .* not 2 and 2"),
        ({"stage2": stage(4, 8, num_blocks=[4])}, r"extra\.stage2: 2 branches need as many .* not 1 and 2"),
        ({"stage2": stage(4, 8, depth=4)}, r"extra\.stage2: .*'depth'"),
    ],
)
def test_an_extra_that_is_not_supported_is_told(change, message):
    extra = {key: value for key, value in {**small_extra(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        HRNet(extra)


def test_heatmap_head_doubles_the_map_with_each_transposed_convolution():
    head = HeatmapHead(8, 17, deconv_out_channels=(6, 4), deconv_kernel_sizes=(4, 3)).eval()
    (heatmaps,) = head([torch.zeros(1, 3, 32, 24), torch.zeros(1, 8, 16, 12)])
    assert heatmaps.shape == (1, 17, 64, 48)


def test_heatmap_head_is_that_of_simple_baselines_by_default():
    head = HeatmapHead(2048, 17)
    assert [part.out_channels for part in head.deconv_layers if isinstance(part, nn.ConvTranspose2d)] == [256] * 3
    assert head.final_layer.kernel_size == (1, 1)


def test_heatmap_head_without_transposed_convolutions_takes_no_notice_of_their_kernels():
    head = HeatmapHead(8, 17, deconv_out_channels=None)
    assert list(head.state_dict()) == ["final_layer.weight", "final_layer.bias"]


def test_heatmap_head_convolves_before_its_final_layer():
    head = HeatmapHead(
        8,
        17,
        deconv_out_channels=None,
        conv_out_channels=(12, 10),
        conv_kernel_sizes=(3, 1),
        final_layer={"kernel_size": 3, "padding": 1},
    ).eval()
    (heatmaps,) = head([torch.zeros(1, 8, 16, 12)])
    assert heatmaps.shape == (1, 17, 16, 12)
    assert head.final_layer.in_channels == 10
    # Unlike elsewhere, OpenMMLab's convolutions have a bias here although a normalisation follows.
    assert head.conv_layers[0].bias is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deconv_kernel_sizes": (4,)}, "3 deconvolutions need as many kernel sizes, not 1"),
        ({"deconv_kernel_sizes": None}, "3 deconvolutions need as many kernel sizes, not 0"),
        ({"deconv_kernel_sizes": (4, 4, 5)}, "kernel size of 5 is not supported"),
        ({"conv_out_channels": (8,)}, "1 convolutions need as many kernel sizes, not 0"),
    ],
)
def test_heatmap_head_tells_kernel_sizes_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        HeatmapHead(8, 17, **options)


def test_maps_are_enlarged_as_the_extra_says():
    layers = fuse_layers([2, 4], 1, None, PLAIN_NORM, {"mode": "bilinear", "align_corners": False})
    assert (layers[0][1][2].mode, layers[0][1][2].align_corners) == ("bilinear", False)
