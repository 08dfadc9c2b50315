"""Hourglasses stack as their paper draws them, and each config is one of OpenMMLab's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.backbones.hourglass import HourglassModule, HourglassNet
from compiler.networks.heads.heatmap import CPMHead

CONFIGS = Path(__file__).parents[2] / "conf" / "model"
PLAIN_NORM = {"type": "BN"}
SMALL = {"downsample_times": 2, "stage_channels": (8, 8, 12), "stage_blocks": (2, 1, 3), "feat_channel": 6}

# Side of the input, and the digest of OpenMMLab's checkpoint.
VARIANTS = {"hourglass": (256, "4ec713ba"), "hourglass-384x384": (384, "be91ba2b")}


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    side, digest = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "hourglass", "pose-detection")
    assert list(config.input_shape) == [side, side]
    original = f"/configs/body_2d_keypoint/topdown_heatmap/coco/td-hm_hourglass52_8xb32-210e_coco-{side}x{side}.py"
    assert config.openmmlab.endswith(original)
    assert config.network.backbone.num_stacks == config.network.head.num_stages == 1
    assert f"/mmpose/top_down/hourglass/hourglass52_coco_{side}x{side}-{digest}_" in config.official.url
    assert config.official.sha256 == digest
    first = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
    assert first == f"# Hourglass-52, 17 COCO key points, {side}x{side}."

    with torch.device("meta"):
        (heatmaps,) = build(config.network)(torch.zeros(2, 3, side, side))
    assert heatmaps.shape == (2, 17, side // 4, side // 4)


def test_every_config_file_is_tested():
    assert {path.stem for path in CONFIGS.glob("hourglass*.yaml")} == {*VARIANTS, "hourglass-52"}


def test_hourglass_52_is_another_name_for_hourglass(model):
    assert model("hourglass-52") == model("hourglass")


def test_hourglass_adds_what_the_full_size_gave():
    module = HourglassModule(1, (8, 12), (1, 1), norm_cfg=PLAIN_NORM).eval()
    x = torch.randn(1, 8, 4, 4)
    low = module.low3(module.low2(module.low1(x)))
    assert low.shape == (1, 8, 2, 2)
    doubled = low.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(module(x), module.up1(x) + doubled)


def test_hourglass_of_a_depth_holds_one_of_the_depth_below():
    module = HourglassModule(3, (8, 8, 8, 8), (1, 1, 1, 1), norm_cfg=PLAIN_NORM)
    assert isinstance(module.low2, HourglassModule)
    assert isinstance(module.low2.low2, HourglassModule)
    assert isinstance(module.low2.low2.low2, nn.Sequential)


def test_channels_change_in_the_first_block_down_and_in_the_last_block_up():
    module = HourglassModule(1, (8, 12), (2, 1), norm_cfg=PLAIN_NORM)
    assert [block.conv1.in_channels for block in module.low1] == [8, 12]
    assert [block.conv2.out_channels for block in module.low3] == [12, 8]


@pytest.mark.parametrize("num_stacks", [1, 2, 3])
def test_every_hourglass_gives_a_feature_map(num_stacks):
    outputs = HourglassNet(num_stacks=num_stacks, **SMALL).eval()(torch.zeros(1, 3, 32, 48))
    assert [tuple(output.shape) for output in outputs] == [(1, 6, 8, 12)] * num_stacks


def test_what_comes_before_does_not_depend_on_the_stacks_that_follow():
    deep = HourglassNet(num_stacks=2, **SMALL).eval()
    single = HourglassNet(num_stacks=1, **SMALL).eval()
    kept = {key: value for key, value in deep.state_dict().items() if key in single.state_dict()}
    single.load_state_dict(kept)
    image = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(deep(image)[0], single(image)[0])


def test_a_single_hourglass_has_the_unused_block_that_checkpoints_hold():
    assert len(HourglassNet(num_stacks=1, **SMALL).inters) == 1
    assert len(HourglassNet(num_stacks=2, **SMALL).inters) == 1
    assert len(HourglassNet(num_stacks=3, **SMALL).inters) == 2


def test_a_batch_of_any_size_is_traced():
    network = HourglassNet(num_stacks=2, **SMALL).eval()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(network, (torch.randn(2, 3, 32, 32),), dynamic_shapes=dynamic, strict=False)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(images), network(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_stacks": 0}, "num_stacks must be at least 1, not 0"),
        ({"downsample_times": 3}, "downsample_times 3 needs more stage_channels"),
        ({"stage_blocks": (1, 1)}, "not 3 and 2"),
    ],
)
def test_stacks_that_cannot_be_built_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        HourglassNet(**{**SMALL, **options})


def test_head_gives_heat_maps_for_each_stage():
    head = CPMHead(6, 17, num_stages=2).eval()
    first, second = torch.randn(1, 6, 8, 12), torch.randn(1, 6, 8, 12)
    heatmaps = head((first, second))
    torch.testing.assert_close(heatmaps, (head.multi_final_layers[0](first), head.multi_final_layers[1](second)))
    assert heatmaps[0].shape == (1, 17, 8, 12)


def test_head_doubles_the_map_with_each_transposed_convolution():
    head = CPMHead(6, 17, 1, deconv_out_channels=(4,), deconv_kernel_sizes=(4,)).eval()
    assert head([torch.zeros(1, 6, 8, 12)])[0].shape == (1, 17, 16, 24)


def test_head_needs_a_feature_map_for_each_stage():
    with pytest.raises(ValueError, match="zip"):
        CPMHead(6, 17, num_stages=2)([torch.zeros(1, 6, 8, 8)])
