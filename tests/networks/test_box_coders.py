"""Boxes from what is regressed, against numbers worked out by hand."""

import math

import torch

from compiler.networks.layers.boxes import DeltaXYWHBBoxCoder, clip_boxes, distance2bbox, yolo2bbox

IMAGE = (100, 200)
ANCHOR = torch.tensor([[10.0, 20.0, 30.0, 60.0]])


def decode(deltas, **options):
    return DeltaXYWHBBoxCoder(**options)(ANCHOR, torch.tensor([[deltas]]), IMAGE)[0, 0]


def test_no_delta_is_the_anchor():
    assert decode([0.0, 0.0, 0.0, 0.0]).tolist() == ANCHOR[0].tolist()


def test_shifts_are_in_sizes_of_the_anchor():
    assert decode([0.5, 0.25, 0.0, 0.0]).tolist() == [20, 30, 40, 70]


def test_stretches_are_logarithms_around_the_centre():
    torch.testing.assert_close(decode([0.0, 0.0, math.log(0.5), math.log(1.5)]), torch.tensor([15.0, 10, 25, 70]))


def test_stretches_are_bounded_both_ways():
    free = {"clip_border": False}
    wide = decode([0.0, 0.0, 9.0, -9.0], **free)
    torch.testing.assert_close(wide[2:] - wide[:2], torch.tensor([20 * 62.5, 40 / 62.5]))
    just_below = decode([0.0, 0.0, 4.0, -4.0], **free)
    torch.testing.assert_close(just_below[2:] - just_below[:2], torch.tensor([20 * math.e**4, 40 / math.e**4]))


def test_means_and_deviations_undo_the_normalisation():
    box = decode([1.0, 1.0, 0.0, 0.0], target_means=[0.1, 0.0, 0.0, 0.0], target_stds=[0.1, 0.2, 1.0, 1.0])
    torch.testing.assert_close(box, torch.tensor([14.0, 28, 34, 68]))


def test_boxes_are_clipped_unless_told_not_to():
    assert decode([-1.0, 1.5, 0.0, 0.0]).tolist() == [0, 80, 10, 100]
    assert decode([-1.0, 1.5, 0.0, 0.0], clip_border=False).tolist() == [-10, 80, 10, 120]


def test_coder_has_no_weights():
    assert not DeltaXYWHBBoxCoder().state_dict()


def test_clipping_bounds_x_by_the_width_and_y_by_the_height():
    assert clip_boxes(torch.tensor([-1.0, -2.0, 300.0, 300.0]), *IMAGE).tolist() == [0, 0, 200, 100]
    assert clip_boxes(torch.tensor([150.0, 50.0, 199.0, 99.0]), *IMAGE).tolist() == [150, 50, 199, 99]


def test_distances_are_left_up_right_and_down():
    points, distances = torch.tensor([[10.0, 20.0]]), torch.tensor([[[1.0, 2.0, 3.0, 4.0]], [[11.0, 2.0, 3.0, 90.0]]])
    assert distance2bbox(points, distances).tolist() == [[[9, 18, 13, 24]], [[-1, 18, 13, 110]]]
    assert distance2bbox(points, distances, IMAGE).tolist() == [[[9, 18, 13, 24]], [[0, 18, 13, 100]]]


def test_negative_distances_turn_a_box_inside_out():
    box = distance2bbox(torch.tensor([[10.0, 20.0]]), torch.tensor([[[-4.0, 0.0, -4.0, 0.0]]]), IMAGE)
    assert box.tolist() == [[[14, 20, 6, 20]]]


def test_yolo_centres_stay_in_their_cell_and_sizes_grow_exponentially():
    anchor = torch.tensor([[6.0, 4.0, 10.0, 12.0]])  # 4x8 around the centre of the first cell of stride 16
    predictions = torch.tensor([[[0.0, 0.0, 0.0, 0.0]], [[99.0, -99.0, math.log(2), 0.0]]])
    boxes = yolo2bbox(anchor, predictions, 16)
    torch.testing.assert_close(boxes, torch.tensor([[[6.0, 4, 10, 12]], [[12.0, -4, 20, 4]]]))
