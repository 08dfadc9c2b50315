"""RTMDet is the network that OpenMMLab trained, and its boxes are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.networks import build
from compiler.networks.heads.rtmdet import RTMDetSepBNHead
from compiler.networks.layers.priors import MlvlPointGenerator

ROOT = Path(__file__).parents[2]

# deepen_factor, widen_factor, channels of the feature maps, num_csp_blocks and exp_on_reg in OpenMMLab's config files.
VARIANTS = {
    "rtmdet-tiny": (0.167, 0.375, [96, 192, 384], 1, False),
    "rtmdet-s": (0.33, 0.5, [128, 256, 512], 1, False),
    "rtmdet": (0.67, 0.75, [192, 384, 768], 2, True),
    "rtmdet-l": (1.0, 1.0, [256, 512, 1024], 3, True),
    "rtmdet-x": (1.33, 1.25, [320, 640, 1280], 4, True),
}
SHARED = [f"bbox_head.{branch}.{{}}.{layer}.conv.weight" for branch in ("cls_convs", "reg_convs") for layer in (0, 1)]


def make_head(**options):
    return RTMDetSepBNHead(3, 4, MlvlPointGenerator([8, 16], 0), stacked_convs=2, feat_channels=6, **options).eval()


@pytest.fixture(scope="module")
def tiny(model):
    return build(model("rtmdet-tiny").network)


@pytest.fixture(scope="module")
def outputs(raw_outputs):
    return tuple(map(torch.from_numpy, raw_outputs("rtmdet_tiny")))


def test_selected_candidates_equal_openmmlabs(tiny, references, outputs, mmdet_nms):
    original = references("decode/rtmdet_tiny")
    height, width = original["input_shape"][-2:]
    boxes, scores, labels = mmdet_nms(tiny.decode(outputs, height, width), original["decode"]["test_cfg"])
    expected = original["arrays"]
    np.testing.assert_array_equal(labels, expected["decoded.labels"])
    np.testing.assert_allclose(scores, expected["decoded.scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(boxes, expected["decoded.bboxes"], rtol=0, atol=1e-3)


def test_every_level_is_a_group_of_its_own(tiny, outputs):
    groups = tiny.decode(outputs, 320, 320)
    assert [group.boxes.shape[1] for group in groups] == [40 * 40, 20 * 20, 10 * 10]
    assert all(group.scores.shape == (*group.boxes.shape[:2], 80) for group in groups)
    assert all(group.factors is None and not group.extras for group in groups)


def test_box_of_a_point_ends_at_its_distances_and_at_the_border():
    head = make_head()
    scores = torch.zeros(1, 3, 1, 2), torch.zeros(1, 3, 1, 1)
    # Left, upper, right and lower distance of the points 0, 0 and 8, 0; the coarser map has the point 0, 0 only.
    distances = torch.tensor([[1.0, 5.0], [2.0, 6.0], [3.0, 20.0], [4.0, 4.5]]).reshape(1, 4, 1, 2)
    fine, coarse = head.decode((*scores, distances, torch.full((1, 4, 1, 1), -1.0)), 8, 16)
    assert fine.boxes.tolist() == [[[0, 0, 3, 4], [3, 0, 16, 4.5]]]
    assert coarse.boxes.tolist() == [[[1, 1, 0, 0]]]  # negative distances: the right edge lies left of the left one
    assert fine.scores.unique().tolist() == [0.5]


def test_items_of_a_batch_are_decoded_apart(tiny, outputs):
    alone = tiny.decode(outputs, 320, 320)
    together = tiny.decode(tuple(torch.cat([output.flip(-1), output]) for output in outputs), 320, 320)
    for single, pair in zip(alone, together, strict=True):
        torch.testing.assert_close(pair.boxes[1:], single.boxes)
        torch.testing.assert_close(pair.scores[1:], single.scores)
        assert not torch.allclose(pair.boxes[:1], single.boxes)


def test_maps_share_the_kernels_that_the_original_shares(tiny, references):
    state = tiny.state_dict(keep_vars=True)
    assert references("rtmdet_tiny")["aliases"] == {key.format(0): [key.format(1), key.format(2)] for key in SHARED}
    for key in SHARED:
        assert state[key.format(0)] is state[key.format(1)] is state[key.format(2)]
    assert state["bbox_head.rtm_cls.0.weight"] is not state["bbox_head.rtm_cls.1.weight"]


def test_normalisations_are_never_shared():
    first, second = make_head().cls_convs
    assert first[0].conv is second[0].conv
    assert first[0].bn is not second[0].bn


def test_kernels_are_shared_only_where_asked_for():
    first, second = make_head(share_conv=False).reg_convs
    assert first[0].conv is not second[0].conv


def test_distances_are_in_pixels_and_may_be_predicted_as_logarithms():
    features = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 2, 2)
    plain, logarithmic = make_head(), make_head(exp_on_reg=True)
    logarithmic.load_state_dict(plain.state_dict())
    for found, original, stride in zip(logarithmic(features)[2:], plain(features)[2:], (8, 16), strict=True):
        torch.testing.assert_close(found, (original / stride).exp() * stride)


def test_predictions_may_have_a_larger_kernel():
    head = make_head(pred_kernel_size=3)
    assert head.rtm_cls[0].kernel_size == head.rtm_reg[1].kernel_size == (3, 3)
    assert [list(output.shape) for output in head((torch.zeros(1, 4, 4, 6), torch.zeros(1, 4, 2, 3)))] == [
        [1, 3, 4, 6],
        [1, 3, 2, 3],
        [1, 4, 4, 6],
        [1, 4, 2, 3],
    ]


def test_objectness_is_refused():
    assert make_head(with_objectness=False)
    with pytest.raises(ValueError, match="with_objectness is not supported"):
        make_head(with_objectness=True)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs(model, name):
    config = model(name)
    deepen, widen, channels, num_csp_blocks, exp_on_reg = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "rtmdet", "detection")
    assert config.input_shape == [640, 640]
    assert config.stride == (32, 32)
    backbone, neck, head = config.network.backbone, config.network.neck, config.network.bbox_head
    assert (backbone.deepen_factor, backbone.widen_factor) == (deepen, widen)
    assert (neck.in_channels, neck.out_channels, neck.num_csp_blocks) == (channels, channels[0], num_csp_blocks)
    assert (head.in_channels, head.feat_channels, head.stacked_convs) == (channels[0], channels[0], 2)
    assert (head.exp_on_reg, head.share_conv, head.num_classes) == (exp_on_reg, True, 80)
    assert head.anchor_generator.strides == [8, 16, 32]
    assert head.anchor_generator.offset == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_parts_of_a_variant_fit_each_other(model, name):
    with torch.device("meta"):
        network = build(model(name).network)
        outputs = network(torch.zeros(1, 3, 64, 96))
    sizes = [[8, 12], [4, 6], [2, 3]]
    assert [list(output.shape) for output in outputs] == [
        [1, channels, *size] for channels in (80, 4) for size in sizes
    ]


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("rtmdet*.yaml")}
    assert files == {*VARIANTS, "rtmdet-m"}


def test_the_full_name_is_the_same_model(model):
    assert model("rtmdet-m") == model("rtmdet")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_original_and_its_checkpoint_are_of_the_same_size(model, name):
    config = model(name)
    stem = f"rtmdet_{name.partition('-')[2] or 'm'}_8xb32-300e_coco"
    assert config.openmmlab == f"mmdet/.mim/configs/rtmdet/{stem}.py"
    assert config.official.url.startswith(f"https://download.openmmlab.com/mmdetection/v3.0/rtmdet/{stem}/{stem}_2022")
    assert config.official.url.endswith(f"-{config.official.sha256}.pth")
    assert len(config.official.sha256) == 8
