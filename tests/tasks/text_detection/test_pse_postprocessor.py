"""PSENet's maps are read as MMOCR 1.0.1 reads them, and regions grow as in MMCV's queue."""

import dataclasses
from collections import deque

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tasks.text_detection import PSEPostprocessor
from compiler.tasks.text_detection.growing import members
from compiler.tasks.text_detection.polygons import overlap
from compiler.tasks.text_detection.pse import expanded
from tests.tasks.text_maps import assert_equal, kernel_logits, reference, words

QUAD = PSEPostprocessor(text_repr_type="quad")


def by_queue(labels, text, min_area):
    """Return what MMCV's `contour_expand` does, pixel by pixel."""
    grown = np.where(np.bincount(labels.ravel())[labels] >= min_area, labels, 0)
    queue = deque(zip(*np.nonzero(grown), strict=True))
    while queue:
        y, x = queue.popleft()
        for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= row < text.shape[0] and 0 <= column < text.shape[1]
            if inside and text[row, column] and not grown[row, column]:
                grown[row, column] = grown[y, x]
                queue.append((row, column))
    return grown


@pytest.mark.parametrize("path", ["decode/psenet_r50.npz", "psenet_r50.npz"])
def test_maps_equal_mmocrs(parity, path):
    with np.load(parity / path) as arrays:
        maps = arrays["raw.out" if "raw.out" in arrays else "out"][0]
    assert_equal(QUAD.regions(maps), reference(parity / path))


@given(
    shape=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    seed=st.integers(0, 2**32 - 1),
    share_of_text=st.floats(0.3, 1),
    share_of_kernels=st.floats(0.01, 0.5),
    min_area=st.integers(0, 4),
)
def test_regions_meet_where_those_of_a_queue_do(shape, seed, share_of_text, share_of_kernels, min_area):
    generator = np.random.default_rng(seed)
    text = generator.random(shape) < share_of_text
    kernels = text & (generator.random(shape) < share_of_kernels)
    _, labels = cv2.connectedComponents(kernels.astype(np.uint8), connectivity=4)
    np.testing.assert_array_equal(expanded(labels, text, min_area), by_queue(labels, text, min_area))


def test_the_first_in_the_queue_takes_what_both_reach():
    labels = np.array([[1, 0, 2]], np.int32)
    np.testing.assert_array_equal(expanded(labels, np.ones((1, 3), bool), 0), [[1, 1, 2]])
    np.testing.assert_array_equal(expanded(labels, labels > 0, 0), labels)


def test_every_word_of_a_page_is_found_where_it_is():
    quads = words(1024)
    for postprocessor in (QUAD, PSEPostprocessor(text_repr_type="poly")):
        found = postprocessor.regions(kernel_logits(quads, 1024))
        assert len(found) == 100
        assert min(max(overlap(region.polygon, quad) for region in found) for quad in quads) > 0.6


def test_a_rectangle_and_an_outline_by_hand():
    maps = np.full((7, 16, 16), -9, np.float32)
    maps[:, 4:9, 2:12] = 9
    (quad,), (poly,) = QUAD.regions(maps), PSEPostprocessor().regions(maps)
    np.testing.assert_allclose(quad.polygon, [[8, 32], [8, 16], [44, 16], [44, 32]], atol=1e-4)
    np.testing.assert_array_equal(poly.polygon, [[8, 16], [8, 32], [44, 32], [44, 16]])
    assert quad.score == pytest.approx(1 / (1 + np.exp(-9)))


def test_text_without_a_kernel_is_none():
    maps = np.full((7, 16, 16), 9, np.float32)
    maps[-1] = -9
    assert QUAD.regions(maps) == []
    assert QUAD.regions(np.full((7, 16, 16), -200, np.float32)) == []


def test_a_text_is_dropped_only_where_it_is_small_and_unsure():
    maps = np.full((2, 16, 16), -9, np.float32)
    maps[:, 2:5, 2:7] = 1  # 15 pixels, as sure as 0.73
    assert len(QUAD.regions(maps)) == 1
    strict = dataclasses.replace(QUAD, score_threshold=0.8)
    assert strict.regions(maps) == []
    assert len(dataclasses.replace(strict, min_text_area=15).regions(maps)) == 1


def test_small_kernels_do_not_grow():
    maps = np.full((2, 16, 16), -9, np.float32)
    maps[0, 2:14, 2:14] = 9
    maps[1, 4:6, 4:6] = 9
    assert len(dataclasses.replace(QUAD, min_kernel_area=4).regions(maps)) == 1
    assert dataclasses.replace(QUAD, min_kernel_area=5).regions(maps) == []


def test_members_are_the_pixels_of_each_label_row_by_row():
    labels = np.array([[3, 0, 1], [1, 3, 0]], np.int32)
    assert [pixels.tolist() for pixels in members(labels)] == [[2, 3], [0, 4]]
    assert members(np.zeros((2, 3), np.int32)) == []


def test_arguments_that_cannot_be_are_refused():
    for wrong in ({"text_repr_type": "box"}, {"downsample_ratio": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            dataclasses.replace(QUAD, **wrong)
