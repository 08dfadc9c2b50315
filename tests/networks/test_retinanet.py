"""RetinaNet is the network that OpenMMLab trained, and its boxes are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from compiler.networks import build
from compiler.networks.heads.retina import RetinaHead
from compiler.networks.layers.boxes import DeltaXYWHBBoxCoder
from compiler.networks.layers.priors import AnchorGenerator

ROOT = Path(__file__).parents[2]

# Depth and in_channels of the neck in OpenMMLab's config files.
VARIANTS = {
    "retinanet": (50, [256, 512, 1024, 2048]),
    "retinanet-r18": (18, [64, 128, 256, 512]),
    "retinanet-r101": (101, [256, 512, 1024, 2048]),
}


def make_head(**options):
    anchors = AnchorGenerator([8, 16], [0.5, 1.0, 2.0], octave_base_scale=4, scales_per_octave=3)
    return RetinaHead(5, 4, anchors, DeltaXYWHBBoxCoder(), feat_channels=6, **options)


@pytest.fixture(scope="module")
def head(model):
    return build(model("retinanet").network.bbox_head)


def test_selected_candidates_equal_openmmlabs(head, references, raw_outputs, mmdet_nms):
    original = references("decode/retinanet_r50")
    outputs = tuple(map(torch.from_numpy, raw_outputs("retinanet_r50")))
    height, width = original["input_shape"][-2:]
    boxes, scores, labels = mmdet_nms(head.decode(outputs, height, width), original["decode"]["test_cfg"])
    expected = original["arrays"]
    np.testing.assert_array_equal(labels, expected["decoded.labels"])
    np.testing.assert_allclose(scores, expected["decoded.scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(boxes, expected["decoded.bboxes"], rtol=0, atol=1e-3)


def test_items_of_a_batch_are_decoded_apart(head, raw_outputs):
    outputs = [torch.from_numpy(output) for output in raw_outputs("retinanet_r50")]
    alone = head.decode(tuple(outputs), 128, 192)
    together = head.decode(tuple(torch.cat([output.flip(-1), output]) for output in outputs), 128, 192)
    for single, pair in zip(alone, together, strict=True):
        torch.testing.assert_close(pair.boxes[1:], single.boxes)
        torch.testing.assert_close(pair.scores[1:], single.scores)
        assert not torch.allclose(pair.boxes[:1], single.boxes)


def test_boxes_are_clipped_to_the_input(head, raw_outputs):
    outputs = tuple(torch.from_numpy(output) for output in raw_outputs("retinanet_r50"))
    boxes = torch.cat([group.boxes for group in head.decode(outputs, 128, 192)], dim=1)
    assert boxes.amin(dim=(0, 1)).tolist() == [0, 0, 0, 0]
    assert boxes.amax(dim=(0, 1)).tolist() == [192, 128, 192, 128]


def test_head_gives_all_scores_then_all_deltas_and_one_group_a_level():
    head = make_head().eval()
    outputs = head((torch.zeros(2, 4, 4, 6), torch.zeros(2, 4, 2, 3)))
    assert [list(output.shape) for output in outputs] == [[2, 45, 4, 6], [2, 45, 2, 3], [2, 36, 4, 6], [2, 36, 2, 3]]
    fine, coarse = head.decode(outputs, 32, 48)
    assert (fine.boxes.shape, fine.scores.shape) == ((2, 4 * 6 * 9, 4), (2, 4 * 6 * 9, 5))
    assert (coarse.boxes.shape, coarse.scores.shape) == ((2, 2 * 3 * 9, 4), (2, 2 * 3 * 9, 5))
    assert fine.factors is None
    assert not fine.extras


def test_anchors_follow_the_size_of_an_input_in_an_exported_head():
    class Decoded(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = make_head()

        def forward(self, feature):
            outputs = self.head((feature, nn.functional.max_pool2d(feature, 2)))
            return [group.boxes for group in self.head.decode(outputs, 8 * feature.shape[2], 8 * feature.shape[3])]

    decoded = Decoded().eval()
    sizes = {0: Dim("batch"), 2: 2 * Dim("height"), 3: 2 * Dim("width")}
    program = torch.export.export(decoded, (torch.zeros(2, 4, 8, 6),), dynamic_shapes=(sizes,), strict=False)
    other = torch.randn(1, 4, 4, 10)
    for exported, boxes in zip(program.module()(other), decoded(other), strict=True):
        torch.testing.assert_close(exported, boxes)


@pytest.mark.parametrize("stacked_convs", [0, 2])
def test_towers_are_as_deep_as_asked_for(stacked_convs):
    head = make_head(stacked_convs=stacked_convs, norm_cfg={"type": "BN"})
    assert len(head.cls_convs) == len(head.reg_convs) == stacked_convs
    assert head.retina_cls.in_channels == (6 if stacked_convs else 4)
    assert ("cls_convs.1.bn.weight" in head.state_dict()) == (stacked_convs == 2)


def test_anchors_and_coder_add_no_weights(head):
    assert {key.split(".")[0] for key in head.state_dict()} == {"cls_convs", "reg_convs", "retina_cls", "retina_reg"}


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    depth, channels = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "retinanet", "detection")
    assert config.input_shape == [800, 1344]
    assert config.stride == (32, 32)
    assert (config.network.backbone.depth, config.network.neck.in_channels) == (depth, channels)

    network = build(config.network)
    outputs = network(torch.zeros(1, 3, 64, 96))
    sizes = [[8, 12], [4, 6], [2, 3], [1, 2], [1, 1]]
    assert [list(output.shape) for output in outputs] == [[1, c, *size] for c in (720, 36) for size in sizes]
    groups = network.decode(outputs, 64, 96)
    assert [group.boxes.shape[1] for group in groups] == [9 * height * width for height, width in sizes]


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("retinanet*.yaml")}
    assert files == {*VARIANTS, "retinanet-r50"}


def test_the_full_name_is_the_same_model(model):
    assert model("retinanet-r50") == model("retinanet")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    depth = VARIANTS[name][0]
    assert official.url.startswith(
        f"https://download.openmmlab.com/mmdetection/v2.0/retinanet/retinanet_r{depth}_fpn_1x_coco/"
    )
    assert official.url.endswith(f"-{official.sha256}.pth")
    assert len(official.sha256) == 8
