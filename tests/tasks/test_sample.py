"""The boxes of a sample are taken a few at a time, each still the box that it was."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.tasks import Sample

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_parts_hold_all_boxes_in_their_order(count, sizes):
    boxes = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    parts = list(Sample(IMAGE, boxes).parts(4))
    assert [len(part.boxes) for part in parts] == sizes
    assert [part.first for part in parts] == list(range(0, count, 4))
    np.testing.assert_array_equal(np.concatenate([part.boxes for part in parts]), boxes)
    assert all(part.source is IMAGE for part in parts)


def test_a_whole_source_has_one_part():
    sample = Sample(IMAGE)
    assert list(sample.parts(1)) == [sample]
