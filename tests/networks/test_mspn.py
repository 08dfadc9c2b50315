"""MSPN hands its features on from stage to stage, and every config is OpenMMLab's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.backbones.mspn import MSPN, DownsampleModule
from compiler.networks.heads.mspn import MSPNHead

CONFIGS = Path(__file__).parents[2] / "conf" / "model"

# num_stages of OpenMMLab's config files.
VARIANTS = {"mspn": 1, "mspn-2x": 2, "mspn-3x": 3, "mspn-4x": 4}


def tiny(num_stages):
    return MSPN(unit_channels=8, num_stages=num_stages, num_units=2, num_blocks=(1, 1)).eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    stages = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "mspn", "pose-detection")
    assert list(config.input_shape) == [256, 192]
    prefix = "" if stages == 1 else f"{stages}x"
    assert config.openmmlab.endswith(f"topdown_heatmap/coco/td-hm_{prefix}mspn50_8xb32-210e_coco-256x192.py")
    backbone, head = config.network.backbone, config.network.head
    assert (backbone.unit_channels, backbone.num_units, backbone.num_blocks) == (256, 4, [3, 4, 6, 3])
    assert (backbone.num_stages, head.num_stages) == (stages, stages)
    assert (head.unit_channels, head.num_units, head.out_channels) == (256, 4, 17)
    assert head.out_shape == [side // 4 for side in config.input_shape]

    with torch.device("meta"):
        heatmaps = build(config.network)(torch.zeros(2, 3, *config.input_shape))
    assert [heatmap.shape for heatmap in heatmaps] == [(2, 17, 64, 48)] * 4 * stages


def test_every_config_file_is_tested():
    assert {path.stem for path in CONFIGS.glob("mspn*.yaml")} == {*VARIANTS, "mspn-1x"}


def test_mspn_1x_is_another_name_for_mspn(model):
    assert model("mspn-1x") == model("mspn")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    prefix = "" if VARIANTS[name] == 1 else f"{VARIANTS[name]}x"
    start = f"https://download.openmmlab.com/mmpose/top_down/mspn/{prefix}mspn50_coco_256x192-"
    assert official.url == f"{start}{official.sha256}_20201123.pth"
    assert len(official.sha256) == 8


@pytest.mark.parametrize("name", [*VARIANTS, "mspn-1x"])
def test_the_first_line_describes_the_config(name):
    assert (CONFIGS / f"{name}.yaml").read_text().startswith("# MSPN-50 of ")


def test_every_stage_gives_a_map_of_every_level_coarsest_first():
    network = MSPN(unit_channels=8, num_stages=2, num_units=3, num_blocks=(1, 1, 1)).eval()
    shapes = [[tuple(level.shape) for level in stage] for stage in network(torch.zeros(1, 3, 64, 96))]
    assert shapes == [[(1, 8, 4, 6), (1, 8, 8, 12), (1, 8, 16, 24)]] * 2


def test_the_last_stage_hands_nothing_on():
    keys = tiny(3).state_dict()
    for stage, hands_on in enumerate([True, True, False]):
        up = f"multi_stage_mspn.{stage}.upsample."
        assert (f"{up}up1.out_skip1.conv.weight" in keys) == hands_on
        assert (f"{up}up2.out_skip2.conv.weight" in keys) == hands_on
        assert (f"{up}up2.cross_conv.conv.weight" in keys) == hands_on
        assert f"{up}up1.cross_conv.conv.weight" not in keys  # only the finest unit leads to the next stage
        assert f"{up}up1.up_conv.conv.weight" not in keys  # nothing is coarser than the first unit
        assert f"{up}up2.up_conv.conv.weight" in keys


@pytest.mark.parametrize("part", ["up1.out_skip1", "up1.out_skip2", "up2.out_skip1", "up2.out_skip2", "up2.cross_conv"])
def test_what_is_handed_on_changes_the_next_stage_only(part):
    network, image = tiny(2), torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    first, second = network(image)
    nn.init.constant_(network.get_submodule(f"multi_stage_mspn.0.upsample.{part}.bn").bias, 5.0)
    first_again, second_again = network(image)
    assert all(torch.equal(*pair) for pair in zip(first, first_again, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(second, second_again, strict=True))


def test_skips_are_added_to_the_level_that_they_belong_to():
    down = DownsampleModule((1, 1), {"type": "BN"}).eval()
    x = torch.randn(1, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    fine, coarse = down(x, [(), ()])
    assert (fine.shape, coarse.shape) == ((1, 256, 8, 8), (1, 512, 4, 4))
    skip = torch.ones_like(coarse)
    same, raised = down(x, [(), (skip, 2 * skip)])
    torch.testing.assert_close(same, fine, rtol=0, atol=0)
    torch.testing.assert_close(raised, coarse + 3)


def test_heat_maps_keep_the_corners_of_the_map_that_they_are_resized_from():
    head = MSPNHead(num_stages=1, num_units=1, out_shape=(8, 6), unit_channels=4, out_channels=3).eval()
    features = torch.randn(1, 4, 4, 3, generator=torch.Generator().manual_seed(0))
    (heatmap,) = head([[features]])
    before = head.predict_layers[0].conv_layers(features)
    assert heatmap.shape == (1, 3, 8, 6)
    torch.testing.assert_close(heatmap[..., :: 8 - 1, :: 6 - 1], before[..., :: 4 - 1, :: 3 - 1])


def test_the_last_heat_map_is_of_the_last_stages_finest_map():
    head = MSPNHead(num_stages=2, num_units=2, out_shape=(4, 4), unit_channels=4, out_channels=3).eval()
    maps = [[torch.zeros(1, 4, side, side) for side in (2, 4)] for _ in range(2)]
    before = head(maps)
    maps[1][1] += 1
    changed = [not torch.equal(*pair) for pair in zip(before, head(maps), strict=True)]
    assert changed == [False, False, False, True]


def test_head_refuses_features_of_another_number_of_stages():
    head = MSPNHead(num_stages=2, num_units=1, out_shape=(4, 4), unit_channels=4, out_channels=3)
    with pytest.raises(ValueError, match="zip"):
        head([[torch.zeros(1, 4, 4, 4)]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_stages": 0}, "num_stages 0 must be at least 1"),
        ({"num_units": 1, "num_blocks": (2,)}, "num_units 1 at least 2"),
        ({"num_blocks": (2, 2, 2)}, r"num_blocks \[2, 2, 2\] must hold one number for each of 4 units"),
        ({"norm_cfg": {"type": "GN"}}, "normalisation 'GN' is not supported"),
    ],
)
def test_what_is_not_supported_is_refused(options, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        MSPN(**options)
