"""What OpenMMLab's detectors find, their heads with our tails find too; of several outputs the last remains."""

import numpy as np
import pytest
import torch
from torch import nn

from compiler.config.schema import TAILS
from compiler.networks import build
from compiler.networks.tails import LastOutput
from compiler.selection import SelectionConfig
from compiler.selection.nms import select
from compiler.selection.tail import DetectionTail
from tests.selection.engines import finished, to_engine

# Our model, and the raw outputs that the original's decoder was run on.
DECODED = {"retinanet": "retinanet_r50", "rtmdet-tiny": "rtmdet_tiny", "yolov3": "yolov3_d53"}


class Decoding(nn.Module):
    """Both tails behind a head's decoder: they are given raw outputs."""

    def __init__(self, head, size, test_cfg):
        super().__init__()
        self.head, self.size = head, size
        self.tails = nn.ModuleList(DetectionTail(nn.Identity(), kind, test_cfg) for kind in TAILS)

    def forward(self, *outputs):
        groups = self.head.decode(outputs, *self.size)
        return tuple(output for tail in self.tails for output in tail.select(groups).values())


def original_of(name, model, references):
    """Return a head with the settings of its reference, the size of the input, and what the original decodes."""
    original = references(f"decode/{DECODED[name]}")
    test_cfg = dict(original["decode"]["test_cfg"])
    test_cfg["iou_threshold"] = test_cfg.pop("nms")["iou_threshold"]
    head = build(model(name).network.bbox_head)
    expected = {key.removeprefix("decoded."): array for key, array in original["arrays"].items()}
    return head, original["input_shape"][-2:], test_cfg, expected


@pytest.mark.parametrize("name", DECODED)
def test_engines_decode_what_openmmlab_decodes(name, model, references, raw_outputs, tmp_path):
    head, size, test_cfg, expected = original_of(name, model, references)
    outputs = tuple(raw_outputs(DECODED[name]))
    decoding = Decoding(head, size, test_cfg)
    config = SelectionConfig(**test_cfg)
    eager = decoding(*map(torch.from_numpy, outputs))
    engine = to_engine(decoding, outputs, (), tmp_path)
    for found in (eager, engine(*outputs)):
        for kind, selected in finished(found, config).items():
            dets, labels = selected["dets"], selected["labels"]
            np.testing.assert_array_equal(labels[0], expected["labels"], err_msg=kind)
            np.testing.assert_allclose(dets[0, :, :4], expected["bboxes"], rtol=0, atol=1e-3, err_msg=kind)
            np.testing.assert_allclose(dets[0, :, 4], expected["scores"], rtol=0, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize("kind", TAILS)
def test_key_points_stay_with_their_boxes(kind, model, references, raw_outputs):
    original = references("decode/yoloxpose_s")
    own, expected = original["decode"]["test_cfg"], original["arrays"]
    config = SelectionConfig(100_000, 0, own["score_thr"], 0.0, own["nms_thr"], 1200)
    groups = build(model("yoloxpose").network.head).decode(
        tuple(map(torch.from_numpy, raw_outputs("yoloxpose_s"))), *original["input_shape"][-2:]
    )
    selected = DetectionTail(nn.Identity(), kind, vars(config)).select(groups)
    found = {name: tensor.numpy() for name, tensor in selected.items()}
    found = found if kind == "native" else select(found, config)
    dets, labels, keypoints = found["dets"], found["labels"], found["keypoints"]
    count = len(expected["decoded.noflip.scores"])
    assert labels[0].tolist() == [0] * count + [-1] * (config.max_per_img - count)
    boxes = dets[0, :count, :4].clip(0, original["input_shape"][-1])
    np.testing.assert_allclose(boxes, expected["decoded.noflip.bboxes"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(dets[0, :count, 4], expected["decoded.noflip.scores"], rtol=0, atol=1e-6)
    points = keypoints[0, :count]
    np.testing.assert_allclose(points[..., :2], expected["decoded.noflip.keypoints"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(points[..., 2], expected["decoded.noflip.keypoint_scores"], rtol=0, atol=1e-6)


def test_of_several_outputs_the_last_remains():
    assert LastOutput(lambda image: (image, image + 1))(torch.zeros(1))[0].tolist() == [1]
