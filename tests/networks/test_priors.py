"""Points and anchors, against numbers worked out by hand."""

import pytest
import torch

from compiler.networks.layers.priors import (
    AnchorGenerator,
    MlvlPointGenerator,
    YOLOAnchorGenerator,
    by_prior,
    grid_points,
)


def maps(*sizes):
    return [torch.zeros(1, 1, *size) for size in sizes]


def test_points_go_row_by_row_and_are_x_then_y():
    assert grid_points(2, 3, 8, 0).tolist() == [[0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8]]


def test_offset_is_a_fraction_of_the_stride():
    assert grid_points(1, 2, 8, 0.5).tolist() == [[4, 4], [12, 4]]


def test_points_follow_the_size_of_each_map():
    fine, coarse = MlvlPointGenerator([8, 16], offset=0.5)(maps((2, 1), (1, 1)))
    assert fine.tolist() == [[4, 4], [4, 12]]
    assert coarse.tolist() == [[8, 8]]


def test_outputs_are_ordered_as_the_priors_are():
    # Two anchors with three channels each: the channel of an output map is 3 * anchor + channel.
    output = torch.arange(2 * 6 * 2 * 4).reshape(2, 6, 2, 4)
    rows = by_prior([output], 3)
    assert rows.shape == (2, 2 * 4 * 2, 3)
    row, column, anchor = 1, 2, 1
    assert rows[1, (row * 4 + column) * 2 + anchor].tolist() == output[1, 3:6, row, column].tolist()


def test_maps_are_joined_one_after_the_other():
    fine, coarse = torch.arange(2 * 6 * 4).reshape(2, 6, 2, 2), torch.arange(2 * 6).reshape(2, 6, 1, 1) - 100
    assert torch.equal(by_prior([fine, coarse], 3), torch.cat([by_prior([fine], 3), by_prior([coarse], 3)], dim=1))


def test_each_prior_has_the_stride_of_its_map():
    generator = MlvlPointGenerator([8, 16])
    assert generator.strides_of(generator(maps((2, 1), (1, 1)))).tolist() == [[8], [8], [16]]


def test_ratio_is_height_over_width_at_an_equal_area():
    (anchors,) = AnchorGenerator([8], [0.25, 1.0, 4.0], [2])(maps((1, 1)))
    assert anchors.tolist() == [[-16, -4, 16, 4], [-8, -8, 8, 8], [-4, -16, 4, 16]]


def test_scales_vary_faster_than_ratios():
    (anchors,) = AnchorGenerator([4], [1.0, 4.0], [2, 4])(maps((1, 1)))
    assert (anchors[:, 2] - anchors[:, 0]).tolist() == [8, 16, 4, 8]


def test_octaves_divide_a_doubling_evenly():
    generator = AnchorGenerator([8], [1.0], octave_base_scale=4, scales_per_octave=2)
    (anchors,) = generator(maps((1, 1)))
    torch.testing.assert_close(anchors[:, 2] * 2, torch.tensor([32.0, 32 * 2**0.5]))
    assert generator.num_base_priors == 2


def test_all_anchors_of_a_cell_come_before_the_next_cell():
    (anchors,) = AnchorGenerator([8], [1.0], [2, 4])(maps((2, 2)))
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centers.tolist() == [[0, 0], [0, 0], [8, 0], [8, 0], [0, 8], [0, 8], [8, 8], [8, 8]]


def test_each_level_has_its_own_stride_and_size():
    fine, coarse = AnchorGenerator([8, 16], [1.0], [1])(maps((2, 2), (1, 1)))
    assert (len(fine), len(coarse)) == (4, 1)
    assert fine[3].tolist() == [4, 4, 12, 12]
    assert coarse[0].tolist() == [-8, -8, 8, 8]


def test_centers_move_the_first_cells_anchors():
    (anchors,) = AnchorGenerator([8], [1.0], [1], centers=[(4, 2)])(maps((1, 2)))
    assert anchors.tolist() == [[0, -2, 8, 6], [8, -2, 16, 6]]


def test_yolo_anchors_have_their_sizes_around_the_cells_centre():
    generator = YOLOAnchorGenerator([32, 16], [[(16, 30), (10, 20)], [(4, 8), (2, 6)]])
    coarse, fine = generator(maps((1, 2), (1, 1)))
    assert coarse.tolist() == [[8, 1, 24, 31], [11, 6, 21, 26], [40, 1, 56, 31], [43, 6, 53, 26]]
    assert fine.tolist() == [[6, 4, 10, 12], [7, 5, 9, 11]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnchorGenerator([8], [1.0]), "either scales, or octave_base_scale and scales_per_octave"),
        (lambda: AnchorGenerator([8], [1.0], octave_base_scale=4), "either scales, or octave_base_scale"),
        (lambda: AnchorGenerator([8], [1.0], [1], scales_per_octave=3), "either scales, or octave_base_scale"),
        (lambda: AnchorGenerator([8], [1.0], [1], octave_base_scale=4, scales_per_octave=3), "either scales"),
        (lambda: AnchorGenerator([8, 16], [1.0], [1], centers=[(0, 0)]), "centers has 1 entries, and strides 2"),
        (lambda: YOLOAnchorGenerator([8], [[(4, 8)], [(2, 6)]]), "base_sizes has 2 entries, and strides 1"),
        (lambda: YOLOAnchorGenerator([16, 8], [[(4, 8)], [(2, 6), (1, 1)]]), "as many sizes for each stride"),
    ],
)
def test_what_does_not_fit_together_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_map_more_than_there_are_levels_is_refused():
    with pytest.raises(ValueError, match="zip"):
        AnchorGenerator([8], [1.0], [1])(maps((1, 1), (1, 1)))
