"""PointPillars' and CenterPoint's variants, and the parts that they are made of."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.networks import build
from compiler.networks.backbones.second import SECOND
from compiler.networks.heads.center import CenterHead, SeparateHead
from compiler.networks.necks.second_fpn import SECONDFPN

MODELS = Path(__file__).parents[2] / "conf" / "model"
FILES = sorted(path.stem for prefix in ("pointpillars", "centerpoint") for path in MODELS.glob(f"{prefix}*.yaml"))
ALIASES = {"pointpillars-kitti-3class": "pointpillars", "centerpoint-pillar02-circlenms": "centerpoint"}
# Channels of the raw outputs.
CHANNELS = {
    "pointpillars": [18, 42, 12],
    "pointpillars-kitti-car": [2, 14, 4],
    # reg, height, dim, rot, vel and a heat map for each class of a group
    "centerpoint": [channels for classes in (1, 2, 2, 1, 2, 2) for channels in (2, 1, 3, 2, 2, classes)],
}


def cloud(config, voxels):
    """Return the inputs for so many voxels at random places."""
    generator = np.random.default_rng(0)
    grid = config.processing.voxelization
    shape = (voxels, grid.max_num_points, config.processing.used_dimensions)
    encoder = config.network.get("middle_encoder") or config.network.pts_middle_encoder
    cells = generator.choice(np.prod(encoder.output_shape), voxels, replace=False)
    coors = np.zeros((voxels, 4), np.int32)
    coors[:, 2], coors[:, 3] = np.divmod(cells, encoder.output_shape[1])
    points = generator.normal(size=shape).astype(np.float32), generator.integers(1, shape[1], voxels, np.int32), coors
    return tuple(map(torch.from_numpy, points))


def test_every_config_file_is_tested():
    assert set(FILES) == {*CHANNELS, *ALIASES}


@pytest.mark.parametrize("name", ALIASES)
def test_the_full_name_is_another_name(model, name):
    assert model(name) == model(ALIASES[name])


@pytest.mark.parametrize(
    ("name", "original"), [("pointpillars", "pointpillars_kitti3"), ("centerpoint", "centerpoint_pillar02")]
)
def test_voxels_are_the_originals(model, references, name, original):
    ours, expected = model(name).processing.voxelization, references(original)["input"]["voxelization"]
    assert [ours.voxel_size, ours.point_cloud_range] == [expected["voxel_size"], expected["point_cloud_range"]]
    assert [ours.max_num_points, ours.max_voxels] == [expected["max_num_points"], expected["max_voxels"][1]]


@pytest.mark.parametrize("name", CHANNELS)
def test_variant_runs(model, name):
    config = model(name)
    assert (config.name, config.task) == (name, "voxel-detection")
    outputs = build(config.network)(*cloud(config, 5))
    assert [output.shape[:2] for output in outputs] == [(1, channels) for channels in CHANNELS[name]]


@pytest.mark.parametrize("name", CHANNELS)
def test_the_image_covers_the_range(model, name):
    config = model(name)
    grid = config.processing.voxelization
    low, high = np.array(grid.point_cloud_range).reshape(2, 3)
    columns, rows, layers = np.rint((high - low) / np.array(grid.voxel_size)).astype(int).tolist()
    encoder = config.network.get("middle_encoder") or config.network.pts_middle_encoder
    assert (encoder.output_shape, layers) == ([rows, columns], 1)


@pytest.mark.parametrize("name", CHANNELS)
def test_an_engine_takes_all_the_voxels_that_there_can_be(model, name):
    config = model(name)
    assert config.largest_shape == [config.processing.voxelization.max_voxels]
    assert config.smallest_shape[0] <= config.input_shape[0] <= config.largest_shape[0]


@pytest.mark.parametrize("name", ["pointpillars", "pointpillars-kitti-car"])
def test_there_is_an_anchor_for_each_size_and_rotation(model, name):
    config = model(name)
    anchors = config.processing.decoder.anchor_generator
    assert len(anchors.ranges) == len(anchors.sizes) == len(config.processing.classes)
    assert config.network.bbox_head.num_anchors == len(anchors.sizes) * len(anchors.rotations)
    assert config.network.bbox_head.num_classes == len(config.processing.classes)


def test_the_groups_of_centerpoint_hold_its_classes_in_order(model):
    processing = model("centerpoint").processing
    assert [name for task in processing.decoder.tasks for name in task.class_names] == processing.classes


@pytest.mark.parametrize("name", CHANNELS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    assert official.url.startswith("https://download.openmmlab.com/mmdetection3d/v1.0.0_models/")
    assert re.fullmatch(rf".+-{official.sha256}\.pth", official.url)


def test_each_block_of_the_backbone_has_one_convolution_more_than_layers():
    backbone = SECOND(3, (4, 5), (1, 2), (2, 1)).eval()
    maps = backbone(torch.zeros(1, 3, 8, 12))
    assert [tuple(feature.shape) for feature in maps] == [(1, 4, 4, 6), (1, 5, 4, 6)]
    assert [sum(isinstance(m, torch.nn.Conv2d) for m in block) for block in backbone.blocks] == [2, 3]


@pytest.mark.parametrize("part", [SECOND, SECONDFPN])
def test_lists_that_do_not_match_are_refused(part):
    with pytest.raises(ValueError, match="zip"):
        part(out_channels=(4, 4), norm_cfg={"type": "BN"})


@pytest.mark.parametrize("plain", [False, True])
def test_the_neck_brings_maps_to_one_size(plain):
    neck = SECONDFPN((2, 3, 4), (5, 6, 7), (0.5, 1, 2), use_conv_for_no_stride=plain).eval()
    maps = [torch.zeros(1, channels, side, side) for channels, side in ((2, 16), (3, 8), (4, 4))]
    (joined,) = neck(maps)
    assert joined.shape == (1, 18, 8, 8)
    kinds = [type(deblock[0]) for deblock in neck.deblocks]
    assert kinds == [torch.nn.Conv2d, torch.nn.Conv2d if plain else torch.nn.ConvTranspose2d, torch.nn.ConvTranspose2d]


def test_a_head_may_predict_in_one_convolution():
    head = SeparateHead(3, {"reg": (2, 1), "heatmap": (4, 2)}, head_conv=5, final_kernel=1)
    assert [tuple(output.shape) for output in head(torch.zeros(1, 3, 6, 7))] == [(1, 2, 6, 7), (1, 4, 6, 7)]
    assert [len(head.reg), len(head.heatmap)] == [1, 2]


def test_the_heat_map_comes_last_in_each_group():
    head = CenterHead(3, [{"class_names": ["car", "bus"]}, {"class_names": ["cone"]}], {"reg": (2, 2)}, 4).eval()
    assert [output.shape[1] for output in head([torch.zeros(1, 3, 6, 7)])] == [2, 2, 2, 1]
