"""CenterPoint's raw outputs become the boxes that MMDetection3D finds in them."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.tasks.voxel_detection.centers import CenterCoder, CenterDecoder, CenterSelection, CenterTask
from tests.tasks.detectors import detector
from tests.tasks.raw_maps import raw_maps

RANGE = (-10.0, -10.0, -10.0, 10.0, 10.0, 10.0)
SMALL = CenterDecoder(
    (CenterTask(("car",)), CenterTask(("bicycle", "person"))),
    CenterCoder((-8.0, -8.0), RANGE, 4, (0.5, 0.5), max_num=10, score_threshold=0.1),
    CenterSelection((4.0, 1.0), RANGE),
)
"""Cells of two by two metres; (-8, -8) is the corner of the first."""


@pytest.fixture(scope="module")
def decoder():
    return detector("centerpoint").decoder


def empty(*peaks, **values):
    """Return maps of eight by eight cells with peaks: task, channel, row, column, logit; and values everywhere."""
    channels = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
    outputs = {}
    for task, classes in enumerate((1, 2)):
        for name, count in channels.items():
            filled = np.array(values.get(name, np.zeros(count)), np.float32).reshape(1, count, 1, 1)
            outputs[f"{name}_{task}"] = np.broadcast_to(filled, (1, count, 8, 8)).copy()
        outputs[f"heatmap_{task}"] = np.full((1, classes, 8, 8), -10, np.float32)
    for task, channel, row, column, logit in peaks:
        outputs[f"heatmap_{task}"][0, channel, row, column] = logit
    return outputs


def with_selection(**changes):
    return replace(SMALL, test_cfg=replace(SMALL.test_cfg, **changes))


def test_boxes_equal_the_originals_in_its_order(parity, decoder):
    outputs = raw_maps(parity, "centerpoint_pillar02", decoder.outputs)
    found = decoder.decode(outputs, 0, 10)
    with np.load(parity / "decode" / "centerpoint_pillar02.npz") as golden:
        np.testing.assert_array_equal(found.labels, golden["decoded.labels_3d"])
        np.testing.assert_allclose(found.scores, golden["decoded.scores_3d"], atol=1e-6)
        np.testing.assert_allclose(found.boxes, golden["decoded.bboxes_3d"], atol=1e-5)


def test_outputs_are_named_after_maps_and_tasks(decoder):
    assert len(decoder.outputs) == 36
    assert decoder.outputs[:7] == ("reg_0", "height_0", "dim_0", "rot_0", "vel_0", "heatmap_0", "reg_1")
    without_velocity = replace(SMALL, bbox_coder=replace(SMALL.bbox_coder, code_size=7))
    assert "vel_0" not in without_velocity.outputs


def test_a_peak_becomes_a_box_around_its_center():
    maps = {"reg": [0.25, 0.5], "height": [1], "dim": np.log([4, 2, 1.5]), "rot": [1, 0], "vel": [3, -1]}
    found = SMALL.decode(empty((1, 1, 2, 5, 2.0), **maps), 0, 3)
    x, y = (5 + 0.25) * 2 - 8, (2 + 0.5) * 2 - 8
    np.testing.assert_allclose(found.boxes, [[x, y, 1 - 0.75, 4, 2, 1.5, np.pi / 2, 3, -1]], rtol=1e-6)
    assert found.labels.tolist() == [2]  # classes are counted through the tasks
    assert found.scores == pytest.approx(1 / (1 + np.exp(-2)))


def test_sizes_may_be_plain_and_velocities_missing():
    plain = replace(SMALL, norm_bbox=False, bbox_coder=replace(SMALL.bbox_coder, code_size=7))
    found = plain.decode(empty((0, 0, 2, 5, 2.0), dim=[4, 2, 1.5]), 0, 3)
    assert found.boxes.shape == (1, 7)
    assert found.boxes[0, 3:6].tolist() == [4, 2, 1.5]


def test_centers_near_a_better_one_of_their_task_are_dropped():
    near, far = (0, 0, 2, 2, 2.0), (0, 0, 2, 3, 1.0)  # two metres apart, and the threshold is on the square
    assert len(SMALL.decode(empty(near, far), 0, 3)) == 1
    assert len(with_selection(min_radius=(3.9, 1.0)).decode(empty(near, far), 0, 3)) == 2
    assert len(SMALL.decode(empty(near, (1, 0, 2, 3, 1.0)), 0, 3)) == 2  # another task


def test_boxes_that_overlap_a_better_one_are_dropped():
    outputs = empty((0, 0, 2, 2, 2.0), (0, 0, 2, 3, 1.0), dim=np.log([4, 2, 1.5]), rot=[0, 1])  # by a third
    assert len(with_selection(nms_type="rotate", nms_thr=0.3).decode(outputs, 0, 3)) == 1
    assert len(with_selection(nms_type="rotate", nms_thr=0.4).decode(outputs, 0, 3)) == 2
    assert len(with_selection(nms_type="rotate", nms_thr=0.4, post_max_size=1).decode(outputs, 0, 3)) == 1
    assert len(with_selection(nms_type="rotate", nms_thr=0.4, score_threshold=0.8).decode(outputs, 0, 3)) == 1


def test_peaks_that_score_little_lie_outside_or_are_too_many_are_dropped():
    assert len(SMALL.decode(empty((0, 0, 2, 2, -3.0)), 0, 3)) == 0
    assert len(SMALL.decode(empty((0, 0, 2, 2, 2.0), height=[11]), 0, 3)) == 0
    both = empty((0, 0, 0, 0, 2.0), (0, 0, 7, 7, 1.0))
    assert len(SMALL.decode(both, 0, 3)) == 2
    assert len(with_selection(post_max_size=1).decode(both, 0, 3)) == 1
    assert len(replace(SMALL, bbox_coder=replace(SMALL.bbox_coder, max_num=1)).decode(both, 0, 3)) == 1


def test_outputs_of_another_shape_and_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="4 classes"):
        SMALL.decode(empty(), 0, 4)
    with pytest.raises(ValueError, match="heatmap_0"):
        SMALL.decode({**empty(), "heatmap_0": empty()["heatmap_1"]}, 0, 3)
    with pytest.raises(ValueError, match="min_radius"):
        with_selection(min_radius=(1.0,))
    with pytest.raises(ValueError, match="circle or rotate"):
        with_selection(nms_type="soft")
    with pytest.raises(ValueError, match="7 or 9"):
        replace(SMALL.bbox_coder, code_size=8)
