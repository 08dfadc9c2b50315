"""YOLOX-Pose is the network that OpenMMLab trained, and its boxes and key points are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.networks import build
from compiler.networks.heads.yolox_pose import YOLOXPoseHead
from compiler.networks.layers.priors import MlvlPointGenerator

ROOT = Path(__file__).parents[2]
COCO_640 = "8xb32-300e_coco-640"

# Side of the input, deepen_factor, widen_factor, channels of the feature maps and num_csp_blocks in OpenMMLab's config
# files, and how those are named.
VARIANTS = {
    "yoloxpose-tiny": (416, 0.33, 0.375, [96, 192, 384], 1, "tiny_4xb64-300e_coco-416"),
    "yoloxpose": (640, 0.33, 0.5, [128, 256, 512], 1, f"s_{COCO_640}"),
    "yoloxpose-m": (640, 0.67, 0.75, [192, 384, 768], 2, f"m_{COCO_640}"),
    "yoloxpose-l": (640, 1.0, 1.0, [256, 512, 1024], 3, f"l_{COCO_640}"),
}


def make_head(featmap_strides=(8, 16), **module):
    config = {"in_channels": 8, "feat_channels": 8, "widen_factor": 0.5, **module}
    return YOLOXPoseHead(2, config, MlvlPointGenerator([8, 16], 0), featmap_strides).eval()


@pytest.fixture(scope="module")
def network(model):
    return build(model("yoloxpose").network)


@pytest.fixture(scope="module")
def outputs(raw_outputs):
    return tuple(map(torch.from_numpy, raw_outputs("yoloxpose_s")))


@pytest.fixture(scope="module")
def candidates(network, outputs):
    (group,) = network.decode(outputs, 320, 320)
    return group


def test_selected_boxes_equal_openmmlabs(candidates, references, mmdet_nms):
    original = references("decode/yoloxpose_s")
    own, expected = original["decode"]["test_cfg"], original["arrays"]
    test_cfg = {
        "score_thr": own["score_thr"],
        "nms_pre": 100_000,  # where the original's config says nothing
        "min_bbox_size": 0,
        "nms": {"iou_threshold": own["nms_thr"]},
        "max_per_img": 100_000,
    }
    boxes, scores, labels = mmdet_nms([candidates], test_cfg)
    np.testing.assert_allclose(scores, expected["decoded.noflip.scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(boxes.clip(0, 320), expected["decoded.noflip.bboxes"], rtol=0, atol=1e-3)
    assert not labels.any()


def test_keypoints_equal_openmmlabs(candidates, references):
    expected = references("decode/yoloxpose_s")["arrays"]
    boxes = candidates.boxes[0].clamp(0, 320)
    found = torch.cdist(torch.from_numpy(expected["decoded.noflip.bboxes"]).float(), boxes).argmin(dim=1)
    x_y_score = candidates.extras["keypoints"][0, found].numpy()
    np.testing.assert_allclose(x_y_score[..., :2], expected["decoded.noflip.keypoints"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(x_y_score[..., 2], expected["decoded.noflip.keypoint_scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(candidates.scores[0, found, 0], expected["decoded.noflip.scores"], rtol=0, atol=1e-6)


def test_all_levels_compete_in_one_group(candidates, outputs):
    count = 40 * 40 + 20 * 20 + 10 * 10
    assert (candidates.boxes.shape, candidates.scores.shape) == ((1, count, 4), (1, count, 1))
    assert candidates.extras["keypoints"].shape == (1, count, 17, 3)
    assert candidates.factors is None  # the score that candidates are ranked by contains the objectness
    classes, objects = outputs[0][0, 0, 0, 1], outputs[3][0, 0, 0, 1]
    torch.testing.assert_close(candidates.scores[0, 1, 0], classes.sigmoid() * objects.sigmoid())


def test_boxes_may_reach_out_of_the_input(candidates):
    assert candidates.boxes.min() < 0
    assert candidates.boxes.max() > 320


def test_boxes_and_keypoints_are_relative_to_a_point_in_units_of_its_stride():
    head = make_head()
    box = torch.tensor([0.5, 0.25, np.log(2), np.log(4)])[:, None, None].float()
    offsets = torch.tensor([1.0, -1.0, 0.5, 2.0])[:, None, None]
    maps = [torch.zeros(1, channels, *size) for channels in (1, 1, 4, 4, 2) for size in ((1, 2), (1, 1))]
    maps[4][0, :, :, 1:], maps[6][0, :, :, 1:] = box, offsets  # the finer map's second point, at 8, 0
    maps[5][0], maps[7][0] = box, offsets  # the coarser map's only point, at 0, 0
    (group,) = head.decode(tuple(maps), 8, 16)
    torch.testing.assert_close(group.boxes[0, 1:], torch.tensor([[4.0, -14, 20, 18], [-8, -28, 24, 36]]))
    assert group.extras["keypoints"][0, 1:].tolist() == [
        [[16, -8, 0.5], [12, 16, 0.5]],
        [[16, -16, 0.5], [8, 32, 0.5]],
    ]


def test_items_of_a_batch_are_decoded_apart(network, outputs, candidates):
    (pair,) = network.decode(tuple(torch.cat([output.flip(-1), output]) for output in outputs), 320, 320)
    torch.testing.assert_close(pair.boxes[1:], candidates.boxes)
    torch.testing.assert_close(pair.extras["keypoints"][1:], candidates.extras["keypoints"])
    assert not torch.allclose(pair.boxes[:1], candidates.boxes)


def test_tower_of_the_keypoints_is_twice_as_deep():
    module = make_head(stacked_convs=3).head_module
    assert [len(tower[0]) for tower in (module.conv_cls, module.conv_reg, module.conv_pose)] == [3, 3, 6]


def test_number_of_classes_reaches_the_scores():
    head = make_head(num_classes=3)
    outputs = head((torch.zeros(2, 4, 4, 2), torch.zeros(2, 4, 2, 1)))
    assert [output.shape[1] for output in outputs] == [3, 3, 1, 1, 4, 4, 4, 4, 2, 2]
    assert head.decode(outputs, 32, 16)[0].scores.shape == (2, 10, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_head(channels=8), "head_module_cfg: .*'channels'"),
        (lambda: make_head(featmap_strides=(8, 32)), "featmap_strides are"),
        (lambda: make_head(act_cfg={"type": "Mish"}), "activation 'Mish' is not supported"),
    ],
)
def test_what_is_not_supported_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs(model, name):
    config = model(name)
    side, deepen, widen, channels, num_csp_blocks, original = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "yoloxpose", "pose-detection")
    assert config.input_shape == [side, side]
    assert config.stride == (32, 32)
    assert config.openmmlab == f"mmpose/.mim/configs/body_2d_keypoint/yoloxpose/coco/yoloxpose_{original}.py"
    backbone, neck, head = config.network.backbone, config.network.neck, config.network.head
    assert (backbone.deepen_factor, backbone.widen_factor) == (deepen, widen)
    assert (neck.in_channels, neck.out_channels, neck.num_csp_blocks) == (channels, channels[0], num_csp_blocks)
    assert (head.head_module_cfg.widen_factor, head.head_module_cfg.in_channels) == (widen, 256)
    assert head.num_keypoints == len(config.processing.keypoints.names) == 17
    assert head.prior_generator.strides == head.featmap_strides == [8, 16, 32]
    assert head.prior_generator.offset == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_parts_of_a_variant_fit_each_other(model, name):
    with torch.device("meta"):
        network = build(model(name).network)
        outputs = network(torch.zeros(1, 3, 64, 96))
    sizes = [[8, 12], [4, 6], [2, 3]]
    expected = [[1, channels, *size] for channels in (1, 1, 4, 34, 17) for size in sizes]
    assert [list(output.shape) for output in outputs] == expected


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("yoloxpose*.yaml")}
    assert files == {*VARIANTS, "yoloxpose-s"}


def test_the_full_name_is_the_same_model(model):
    assert model("yoloxpose-s") == model("yoloxpose")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_checkpoint_is_the_originals(model, name):
    official = model(name).official
    folder = "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/yolox_pose"
    assert official.url == f"{folder}/yoloxpose_{VARIANTS[name][-1]}-{official.sha256}_20230829.pth"
    assert len(official.sha256) == 8
