"""Lite-HRNet weighs and shuffles channels as OpenMMLab trained it to, and each config is one of OpenMMLab's."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compiler.networks import build
from compiler.networks.backbones.litehrnet import IterativeHead, LiteHRNet, Stem
from compiler.networks.backbones.litehrnet.stages import LiteHRModule, StageSpec
from compiler.networks.backbones.litehrnet.weighting import (
    ConditionalChannelWeighting,
    CrossResolutionWeighting,
    SpatialWeighting,
)
from compiler.networks.layers.channels import ShuffleUnit, channel_shuffle

CONFIGS = Path(__file__).parents[2] / "conf" / "model"
PLAIN_NORM = {"type": "BN"}

# num_modules, input_shape, OpenMMLab's name of the config, and the digest of its checkpoint.
VARIANTS = {
    "litehrnet": ([2, 4, 2], [256, 192], "18_8xb64-210e_coco-256x192", "6bace359"),
    "litehrnet-18-384x288": ([2, 4, 2], [384, 288], "18_8xb32-210e_coco-384x288", "8d4dac48"),
    "litehrnet-30": ([3, 8, 3], [256, 192], "30_8xb64-210e_coco-256x192", "4176555b"),
    "litehrnet-30-384x288": ([3, 8, 3], [384, 288], "30_8xb32-210e_coco-384x288", "a3aef5c4"),
}


def small_extra(**options):
    """Return a network of two stages; `options` replace what its stages_spec, or all of it, holds."""
    stages_spec = {
        "num_modules": [1, 2],
        "num_branches": [2, 3],
        "num_blocks": [1, 1],
        "module_type": ["LITE", "LITE"],
        "with_fuse": [True, True],
        "reduce_ratios": [4, 4],
        "num_channels": [[16, 32], [16, 32, 64]],
    }
    extra = {
        "stem": {"stem_channels": 8, "out_channels": 8, "expand_ratio": 1},
        "num_stages": 2,
        "with_head": True,
    }
    extra.update((key, options.pop(key)) for key in extra.keys() & options.keys())
    return {**extra, "stages_spec": {**stages_spec, **options}}


def stage(**options):
    kept = {"num_modules": 1, "num_branches": 3, "num_blocks": 1, "reduce_ratios": 4, "num_channels": (8, 16, 32)}
    return StageSpec(**{**kept, "module_type": "LITE", "with_fuse": True, **options})


def pyramid(*channels, size=16):
    """Return a feature map for each branch, each half as large as the one before it."""
    return [torch.randn(2, width, size >> index, size >> index) for index, width in enumerate(channels)]


def shapes(tensors):
    return [tuple(tensor.shape) for tensor in tensors]


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    num_modules, shape, original, digest = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "litehrnet", "pose-detection")
    assert list(config.input_shape) == shape
    assert config.openmmlab.endswith(f"/configs/body_2d_keypoint/topdown_heatmap/coco/td-hm_litehrnet-{original}.py")
    extra = config.network.backbone.extra
    assert extra.stages_spec.num_modules == num_modules
    assert extra.stages_spec.num_channels == [[40, 80], [40, 80, 160], [40, 80, 160, 320]]
    assert extra.stages_spec.reduce_ratios == [8, 8, 8]
    assert extra.stem == {"stem_channels": 32, "out_channels": 32, "expand_ratio": 1}
    assert extra.with_head

    depth, size = original[:2], original.rsplit("-", 1)[1]
    assert f"/mmpose/top_down/litehrnet/litehrnet{depth}_coco_{size}-{digest}_" in config.official.url
    assert config.official.sha256 == digest
    first = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
    assert first == f"# Lite-HRNet-{depth}, 17 COCO key points, {size}."

    with torch.device("meta"):
        (heatmaps,) = build(config.network)(torch.zeros(2, 3, *shape))
    assert heatmaps.shape == (2, 17, shape[0] // 4, shape[1] // 4)


@pytest.mark.parametrize(("name", "millions"), [("litehrnet", 1.1), ("litehrnet-30", 1.8)])
def test_number_of_parameters_is_the_papers(model, name, millions):
    with torch.device("meta"):
        network = build(model(name).network)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == millions


def test_every_config_file_is_tested():
    assert {path.stem for path in CONFIGS.glob("litehrnet*.yaml")} == {*VARIANTS, "litehrnet-18"}


def test_litehrnet_18_is_another_name_for_litehrnet(model):
    assert model("litehrnet-18") == model("litehrnet")


def test_channel_shuffle_deals_the_groups_out_in_turn():
    channels = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert channel_shuffle(channels, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert channel_shuffle(channels, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_channel_shuffle_is_pytorchs():
    x = torch.randn(2, 12, 3, 5)
    torch.testing.assert_close(channel_shuffle(x, 4), F.channel_shuffle(x, 4), rtol=0, atol=0)


def test_channel_shuffle_needs_groups_of_one_size():
    with pytest.raises(RuntimeError, match="multiply up to the size of dim 1"):
        channel_shuffle(torch.zeros(1, 6, 1, 1), 4)


def test_shuffle_unit_leaves_the_first_half_at_the_even_channels():
    x = torch.randn(2, 8, 6, 6)
    shuffled = ShuffleUnit(8, PLAIN_NORM).eval()(x)
    torch.testing.assert_close(shuffled[:, 0::2], x[:, :4], rtol=0, atol=0)
    assert not torch.equal(shuffled[:, 1::2], x[:, 4:])


def test_spatial_weighting_scales_each_channel_by_one_gate():
    weighting = SpatialWeighting(8, ratio=4)
    assert weighting.conv1.conv.out_channels == 2
    nn.init.zeros_(weighting.conv2.conv.weight)
    weighting.conv2.conv.bias.data = torch.tensor([0.0] + [-99.0] * 7)
    weighted = weighting(torch.ones(1, 8, 3, 3))
    torch.testing.assert_close(weighted[0, 0], torch.full((3, 3), 0.5))
    assert weighted[0, 1:].max() < 1e-6


def test_cross_resolution_weighting_pools_as_adaptive_pooling_does():
    weighting = CrossResolutionWeighting((4, 8, 16), 4, PLAIN_NORM)
    for pooling, feature in zip(weighting.poolings, pyramid(4, 8, 16), strict=True):
        torch.testing.assert_close(pooling(feature), F.adaptive_avg_pool2d(feature, (4, 4)))


def test_cross_resolution_weighting_halves_all_where_its_gates_know_nothing():
    weighting = CrossResolutionWeighting((4, 8), 4, PLAIN_NORM).eval()
    nn.init.zeros_(weighting.conv2.conv.weight)
    features = pyramid(4, 8)
    for weighted, feature in zip(weighting(features), features, strict=True):
        torch.testing.assert_close(weighted, feature / 2)


def test_conditional_channel_weighting_keeps_one_half_and_every_shape():
    features = pyramid(8, 16)
    weighted = ConditionalChannelWeighting((8, 16), 4, PLAIN_NORM).eval()(features)
    assert shapes(weighted) == shapes(features)
    for output, feature in zip(weighted, features, strict=True):
        torch.testing.assert_close(output[:, 0::2], feature.chunk(2, dim=1)[0], rtol=0, atol=0)


def test_module_counts_its_finest_branch_twice_and_passes_on_the_sum():
    module = LiteHRModule(stage(), PLAIN_NORM).eval()
    features = pyramid(8, 16, 32)
    fine, middle, coarse = module.layers(features)
    rows = module.fuse_layers
    first = 2 * fine + rows[0][1](middle) + rows[0][2](coarse)
    second = 2 * rows[1][0](first) + middle + rows[1][2](coarse)
    third = 2 * rows[2][0](first) + rows[2][1](middle) + coarse
    for output, total in zip(module(features), (first, second, third), strict=True):
        torch.testing.assert_close(output, total.relu())


def test_module_leaves_its_input_as_it_is():
    features = pyramid(8, 16, 32)
    before = [feature.clone() for feature in features]
    LiteHRModule(stage(), PLAIN_NORM).eval()(features)
    torch.testing.assert_close(features, before, rtol=0, atol=0)


def test_module_without_fusion_keeps_its_branches_apart():
    module = LiteHRModule(stage(with_fuse=False, module_type="NAIVE"), PLAIN_NORM).eval()
    assert not [key for key in module.state_dict() if key.startswith("fuse_layers")]
    features = pyramid(8, 16, 32)
    changed = [features[0] + 1, *features[1:]]
    for plain, other, touched in zip(module(features), module(changed), (True, False, False), strict=True):
        assert torch.equal(plain, other) != touched


def test_naive_module_has_a_chain_of_shuffle_units_for_each_branch():
    module = LiteHRModule(stage(module_type="NAIVE", num_blocks=2), PLAIN_NORM)
    assert [[type(unit) for unit in chain] for chain in module.layers] == [[ShuffleUnit] * 2] * 3
    assert shapes(module.eval()(pyramid(8, 16, 32))) == shapes(pyramid(8, 16, 32))


@pytest.mark.parametrize("out_channels", [16, 24])
def test_stem_divides_by_four(out_channels):
    stem = Stem(3, 16, out_channels, 2, PLAIN_NORM).eval()
    assert stem(torch.zeros(1, 3, 32, 64)).shape == (1, out_channels, 8, 16)
    assert stem.depthwise_conv.conv.out_channels == 32


def test_iterative_head_adds_the_coarser_map_doubled_from_corner_to_corner():
    head = IterativeHead((4, 8), PLAIN_NORM).eval()
    fine, coarse = pyramid(4, 8)
    doubled = F.interpolate(head.projects[0](coarse), size=(16, 16), mode="bilinear", align_corners=True)
    torch.testing.assert_close(head([fine, coarse]), head.projects[1](fine + doubled))


def test_iterative_heads_depthwise_convolutions_are_not_activated():
    (project,) = IterativeHead((4,), PLAIN_NORM).projects
    assert isinstance(project.depthwise_conv.activate, nn.Identity)
    assert isinstance(project.pointwise_conv.activate, nn.ReLU)


@pytest.mark.parametrize("with_head", [True, False])
def test_the_finest_resolution_is_given(with_head):
    network = LiteHRNet(small_extra(with_head=with_head)).eval()
    assert any(key.startswith("head_layer") for key in network.state_dict()) == with_head
    assert shapes(network(torch.zeros(1, 3, 32, 64))) == [(1, 16, 8, 16)]


def test_a_batch_of_any_size_is_traced():
    network = LiteHRNet(small_extra()).eval()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(network, (torch.randn(2, 3, 32, 32),), dynamic_shapes=dynamic, strict=False)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(images), network(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module_type": ["LITE", "HEAVY"]}, r"extra\.stages_spec: module_type 'HEAVY' is not supported"),
        ({"num_branches": [2, 4]}, r"extra\.stages_spec: 4 branches need as many num_channels, not 3"),
        ({"num_stages": 3}, r"extra\.stages_spec: 3 stages need as many values under each key"),
        ({"num_blocks": [2]}, r"extra\.stages_spec: 2 stages need as many values under each key"),
        ({"dilations": [1, 1]}, r"extra\.stages_spec: .*'dilations'"),
        ({"stem": {"stem_channels": 8}}, r"extra\.stem: .*'out_channels'"),
    ],
)
def test_an_extra_that_is_not_supported_is_told(change, message):
    with pytest.raises(ValueError, match=message):
        LiteHRNet(small_extra(**change))


def test_an_incomplete_extra_is_told():
    extra = small_extra()
    del extra["with_head"]
    with pytest.raises(ValueError, match="extra must hold num_stages, stages_spec, stem, with_head, not num_stages"):
        LiteHRNet(extra)
