"""YOLOv3 is the network that OpenMMLab trained, and its boxes are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from compiler.networks import build
from compiler.networks.backbones.darknet import Darknet, ResBlock
from compiler.networks.heads.yolov3 import YOLOV3Head
from compiler.networks.layers.priors import YOLOAnchorGenerator
from compiler.networks.necks.yolo import YOLOV3Neck

ROOT = Path(__file__).parents[2]
BASE_SIZES = [[[116, 90], [156, 198], [373, 326]], [[30, 61], [62, 45], [59, 119]], [[10, 13], [16, 30], [33, 23]]]
MOBILE_SIZES = [[[220, 125], [128, 222], [264, 266]], [[35, 87], [102, 96], [60, 170]], [[10, 15], [24, 36], [72, 42]]]

# Side of the input, class of the backbone, and in_channels of neck and head in OpenMMLab's config files.
VARIANTS = {
    "yolov3": (608, "Darknet", [1024, 512, 256], [512, 256, 128], BASE_SIZES),
    "yolov3-416": (416, "Darknet", [1024, 512, 256], [512, 256, 128], BASE_SIZES),
    "yolov3-320": (320, "Darknet", [1024, 512, 256], [512, 256, 128], BASE_SIZES),
    "yolov3-mobilenetv2": (416, "DetectionMobileNetV2", [320, 96, 32], [96, 96, 96], BASE_SIZES),
    "yolov3-mobilenetv2-320": (320, "DetectionMobileNetV2", [320, 96, 32], [96, 96, 96], MOBILE_SIZES),
}


def make_head(**options):
    settings = {"out_channels": [6, 4], "featmap_strides": [16, 8], **options}
    anchors = YOLOAnchorGenerator([16, 8], [[[20, 30]], [[8, 4]]])
    return YOLOV3Head(3, [5, 2], anchors, **settings)


@pytest.fixture(scope="module")
def head(model):
    return build(model("yolov3").network.bbox_head)


@pytest.fixture(scope="module")
def outputs(raw_outputs):
    return tuple(map(torch.from_numpy, raw_outputs("yolov3_d53")))


def test_selected_candidates_equal_openmmlabs(head, references, outputs, mmdet_nms):
    original = references("decode/yolov3_d53")
    height, width = original["input_shape"][-2:]
    boxes, scores, labels = mmdet_nms(head.decode(outputs, height, width), original["decode"]["test_cfg"])
    expected = original["arrays"]
    np.testing.assert_array_equal(labels, expected["decoded.labels"])
    np.testing.assert_allclose(scores, expected["decoded.scores"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(boxes, expected["decoded.bboxes"], rtol=0, atol=1e-3)


def test_all_levels_compete_in_one_group_with_objectness_apart(head, outputs):
    (group,) = head.decode(outputs, 256, 256)
    count = 3 * (8 * 8 + 16 * 16 + 32 * 32)
    assert (group.boxes.shape, group.scores.shape, group.factors.shape) == ((1, count, 4), (1, count, 80), (1, count))
    # The fourth channel of the coarsest map's first cell is its first anchor's objectness, the fifth its first class.
    torch.testing.assert_close(group.factors[0, 0], outputs[0][0, 4, 0, 0].sigmoid())
    torch.testing.assert_close(group.scores[0, 0, 0], outputs[0][0, 5, 0, 0].sigmoid())
    assert not group.extras


def test_boxes_may_reach_out_of_the_input(head, outputs):
    (group,) = head.decode(outputs, 256, 256)
    assert group.boxes.min() < 0
    assert group.boxes.max() > 256


def test_items_of_a_batch_are_decoded_apart(head, outputs):
    (alone,) = head.decode(outputs, 256, 256)
    (together,) = head.decode(tuple(torch.cat([output.flip(-1), output]) for output in outputs), 256, 256)
    torch.testing.assert_close(together.boxes[1:], alone.boxes)
    torch.testing.assert_close(together.factors[1:], alone.factors)
    assert not torch.allclose(together.boxes[:1], alone.boxes)


def test_anchors_follow_the_size_of_an_input_in_an_exported_head():
    class Decoded(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = make_head()

        def forward(self, coarse, fine):
            (group,) = self.head.decode(self.head((coarse, fine)), 16 * coarse.shape[2], 16 * coarse.shape[3])
            return group.boxes

    def maps(items, height, width):
        return torch.randn(items, 5, height, width), torch.randn(items, 2, 2 * height, 2 * width)

    decoded = Decoded().eval()
    batch, height, width = Dim("batch"), Dim("height"), Dim("width")
    sizes = ({0: batch, 2: height, 3: width}, {0: batch, 2: 2 * height, 3: 2 * width})
    program = torch.export.export(decoded, maps(2, 4, 3), dynamic_shapes=sizes, strict=False)
    other = maps(1, 2, 5)
    torch.testing.assert_close(program.module()(*other), decoded(*other))


def test_residual_block_adds_its_input():
    block = ResBlock(4, act_cfg={"type": "LeakyReLU", "negative_slope": 0.1})
    nn.init.zeros_(block.conv2.conv.weight)
    nn.init.zeros_(block.conv2.conv.bias)
    image = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(block(image), image)


def test_darknet_gives_the_outputs_asked_for():
    features = build({"_target_": "compiler.networks.backbones.darknet.Darknet", "out_indices": [0, 2, 5]})(
        torch.zeros(1, 3, 64, 32)
    )
    assert [list(feature.shape) for feature in features] == [[1, 32, 64, 32], [1, 128, 16, 8], [1, 1024, 2, 1]]


def test_neck_takes_the_finest_map_first_and_gives_the_coarsest_first():
    neck = YOLOV3Neck(2, [6, 4], [3, 2]).eval()
    outputs = neck((torch.zeros(1, 4, 8, 4), torch.zeros(1, 6, 4, 2)))
    assert [list(output.shape) for output in outputs] == [[1, 3, 4, 2], [1, 2, 8, 4]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Darknet(depth=19), "depth 19 is not supported, only 53"),
        (lambda: Darknet(out_indices=[6]), "out_indices"),
        (lambda: YOLOV3Neck(3, [6, 4], [3, 2]), "num_scales = 3"),
        (lambda: make_head(out_channels=[6]), "of the same length"),
        (lambda: make_head(featmap_strides=[32, 16]), "featmap_strides"),
    ],
)
def test_what_is_not_supported_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    side, backbone, neck_channels, head_channels, base_sizes = VARIANTS[name]
    assert (config.name, config.algo, config.task) == (name, "yolov3", "detection")
    assert config.input_shape == [side, side]
    assert config.stride == (32, 32)
    assert config.network.backbone._target_.endswith(f".{backbone}")
    assert config.network.neck.in_channels == neck_channels
    assert config.network.neck.out_channels == config.network.bbox_head.in_channels == head_channels
    assert config.network.bbox_head.anchor_generator.base_sizes == base_sizes

    network = build(config.network)
    outputs = network(torch.zeros(1, 3, 64, 96))
    assert [list(output.shape) for output in outputs] == [[1, 255, 2, 3], [1, 255, 4, 6], [1, 255, 8, 12]]
    (group,) = network.decode(outputs, 64, 96)
    assert group.boxes.shape == (1, 3 * (2 * 3 + 4 * 6 + 8 * 12), 4)


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("yolov3*.yaml")}
    assert files == {*VARIANTS, "yolov3-608"}


def test_the_full_name_is_the_same_model(model):
    assert model("yolov3-608") == model("yolov3")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    assert official.url.startswith("https://download.openmmlab.com/mmdetection/v2.0/yolo/yolov3_")
    assert official.url.endswith(f"-{official.sha256}.pth")
    assert len(official.sha256) == 8
