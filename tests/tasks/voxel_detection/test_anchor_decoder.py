"""PointPillars' raw outputs become the boxes that MMDetection3D finds in them."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.tasks.voxel_detection.anchors import AnchorDecoder, AnchorGenerator, AnchorSelection
from tests.tasks.detectors import detector
from tests.tasks.raw_maps import raw_maps

SMALL = AnchorDecoder(
    AnchorGenerator(((0.0, -2.0, -1.0, 8.0, 2.0, -1.0),), ((4.0, 2.0, 1.5),), (0.0, 1.57)),
    AnchorSelection(nms_thr=0.01, score_thr=0.1, nms_pre=100, max_num=50),
)
"""Eight places of two by two metres, with two anchors each."""


@pytest.fixture(scope="module")
def decoder():
    return detector("pointpillars").decoder


def empty(**cells):
    """Return the outputs of a small map where nothing is found, except for the given logits `c<row>_<column>`."""
    outputs = {
        "cls_score": np.full((1, 2, 2, 4), -10, np.float32),
        "bbox_pred": np.zeros((1, 14, 2, 4), np.float32),
        "dir_cls_pred": np.zeros((1, 4, 2, 4), np.float32),
    }
    for name, logit in cells.items():
        row, column = map(int, name[1:].split("_"))
        outputs["cls_score"][0, 0, row, column] = logit
    return outputs


def test_boxes_equal_the_originals(parity, decoder):
    outputs = raw_maps(parity, "pointpillars_kitti3", decoder.outputs)
    found = decoder.decode(outputs, 0, 3)
    with np.load(parity / "decode" / "pointpillars_kitti3.npz") as golden:
        np.testing.assert_array_equal(found.labels, golden["decoded.labels_3d"])
        np.testing.assert_allclose(found.scores, golden["decoded.scores_3d"], atol=1e-6)
        np.testing.assert_allclose(found.boxes, golden["decoded.bboxes_3d"], atol=2e-5)


def test_every_item_of_a_batch_is_decoded_by_itself(parity, decoder):
    one = raw_maps(parity, "pointpillars_kitti3", decoder.outputs)
    batch = {name: np.concatenate([-tensor, tensor]) for name, tensor in one.items()}
    np.testing.assert_array_equal(decoder.decode(batch, 1, 3).boxes, decoder.decode(one, 0, 3).boxes)


def test_anchors_stand_in_the_middle_of_the_cells():
    anchors = SMALL.anchor_generator.anchors(np.arange(16), 2, 4)
    assert anchors[:2].tolist() == [[1, -1, -1, 4, 2, 1.5, 0], [1, -1, -1, 4, 2, 1.5, np.float32(1.57)]]
    assert anchors[-1, :2].tolist() == [7, 1]


def test_a_peak_becomes_its_anchor_with_a_direction():
    found = SMALL.decode(empty(c1_2=2.0), 0, 1)
    np.testing.assert_allclose(found.boxes[0, :6], [5, 1, -1, 4, 2, 1.5], rtol=1e-6)
    assert found.boxes[0, 6] % np.pi == pytest.approx(0, abs=1e-6)
    assert found.scores == pytest.approx(1 / (1 + np.exp(-2)))
    outputs = empty(c1_2=2.0)
    outputs["dir_cls_pred"][0, 1] = 1
    turned = SMALL.decode(outputs, 0, 1).boxes[0, 6] - found.boxes[0, 6]
    assert turned == pytest.approx(np.pi, abs=1e-6)
    without = replace(SMALL, use_direction_classifier=False)
    assert without.outputs == ("cls_score", "bbox_pred")
    assert without.decode(outputs, 0, 1).boxes[0, 6] == 0


def test_deviations_are_in_diagonals_heights_and_logarithms():
    outputs = empty(c0_0=2.0)
    outputs["bbox_pred"][0, :7, 0, 0] = [0.1, -0.1, 0.2, np.log(2), 0, np.log(0.5), 0.25]
    box = replace(SMALL, use_direction_classifier=False).decode(outputs, 0, 1).boxes[0]
    diagonal = np.hypot(4, 2)
    middle = -1 + 0.75 + 0.2 * 1.5
    expected = [1 + 0.1 * diagonal, -1 - 0.1 * diagonal, middle - 0.375, 8, 2, 0.75, 0.25]
    np.testing.assert_allclose(box, expected, rtol=1e-6)


@pytest.mark.parametrize(("threshold", "rotate", "count"), [(0.01, True, 2), (0.4, True, 3), (0.01, False, 2)])
def test_the_worse_of_two_boxes_that_overlap_is_dropped(threshold, rotate, count):
    decoder = replace(SMALL, test_cfg=AnchorSelection(rotate, threshold))
    found = decoder.decode(empty(c0_0=2.0, c0_1=1.0, c1_3=0.5), 0, 1)  # the first two overlap by a third
    assert len(found) == count
    assert (np.diff(found.scores) <= 0).all()


def test_boxes_that_score_too_little_or_are_too_many_are_dropped():
    outputs = empty(c0_0=2.0, c1_3=-3.0)
    assert len(SMALL.decode(outputs, 0, 1)) == 1
    low = replace(SMALL, test_cfg=AnchorSelection(score_thr=0.01))
    assert len(low.decode(outputs, 0, 1)) == 2
    assert len(replace(low, test_cfg=AnchorSelection(score_thr=0.01, max_num=1)).decode(outputs, 0, 1)) == 1
    assert len(replace(low, test_cfg=AnchorSelection(score_thr=0.01, nms_pre=1)).decode(outputs, 0, 1)) == 1
    assert len(SMALL.decode(empty(), 0, 1)) == 0


def test_outputs_of_another_shape_and_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="2 classes"):
        SMALL.decode(empty(), 0, 2)
    with pytest.raises(ValueError, match="as many ranges as sizes"):
        AnchorGenerator((), ((4.0, 2.0, 1.5),), (0.0,))
    with pytest.raises(ValueError, match="within 0 and 1"):
        AnchorSelection(score_thr=1.5)
