"""DBNet's maps are read as MMOCR 1.0.1 reads them."""

import dataclasses

import cv2
import numpy as np
import pytest

from compiler.config.instantiate import instantiate
from compiler.errors import UsageError
from compiler.tasks.text_detection import DBPostprocessor, Postprocessor, db
from compiler.tasks.text_detection.polygons import grown, outline, overlap, rectangle
from tests.tasks.text_maps import assert_equal, probabilities, reference, words

QUAD = DBPostprocessor(text_repr_type="quad")
POLY = DBPostprocessor(text_repr_type="poly")


def map_with(value, rows=slice(20, 32), columns=slice(10, 60)):
    """Return a map of 64 x 96 with one bar of text."""
    maps = np.zeros((64, 96), np.float32)
    maps[rows, columns] = value
    return maps


def test_synthetic_maps_equal_mmocrs(parity):
    path = parity / "decode" / "dbnet_r18.npz"
    with np.load(path) as arrays:
        assert_equal(QUAD.regions(arrays["raw.out"][0]), reference(path))


def test_noise_equals_mmocrs(parity):
    path = parity / "dbnet_r18.npz"
    with np.load(path) as arrays:
        # Three outlines cross themselves, and newer versions of OpenCV fill such another way.
        assert_equal(QUAD.regions(arrays["out.prob_map"][0]), reference(path), odd_scores=3)


def test_every_word_of_a_page_is_found_where_it_is():
    quads = words(1024)
    for postprocessor in (QUAD, POLY):
        found = postprocessor.regions(probabilities(quads, 1024))
        assert len(found) == 100
        best = [max(overlap(region.polygon, quad) for region in found) for quad in quads]
        assert min(best) > 0.6


def test_a_rectangle_by_hand():
    (region,) = QUAD.regions(map_with(0.8))
    # 49 x 11 pixels between their centres: the edges move by 49 * 11 / 120 * 1.5 = 6.7 pixels, at whole ones.
    np.testing.assert_allclose(region.polygon, [[3, 38], [3, 13], [66, 13], [66, 38]], atol=1e-4)
    assert region.score == pytest.approx(0.8)


def test_an_outline_has_round_corners():
    (region,) = POLY.regions(map_with(0.8))
    assert len(region.polygon) > 8
    assert region.polygon.dtype == np.float32
    assert [*region.polygon.min(axis=0), *region.polygon.max(axis=0)] == [3, 13, 66, 38]


def test_nothing_is_found_in_an_empty_map():
    assert QUAD.regions(map_with(0)) == []
    assert QUAD.regions(map_with(0.3)) == []  # the threshold itself is not text
    assert len(QUAD.regions(map_with(np.nextafter(np.float32(0.3), 1)))) == 1


def test_unsure_texts_are_dropped():
    just = dataclasses.replace(QUAD, min_text_score=0.8)
    assert len(just.regions(map_with(0.80001))) == 1
    assert just.regions(map_with(0.79999)) == []


def test_narrow_rectangles_are_dropped_and_narrow_outlines_are_not():
    thin = map_with(0.8, rows=slice(20, 23))  # 2 pixels between its edges, which grow to 4
    assert QUAD.regions(thin) == []
    assert len(POLY.regions(thin)) == 1
    assert len(dataclasses.replace(QUAD, min_text_width=2).regions(thin)) == 1


def test_lines_and_triangles_are_no_texts():
    assert POLY.regions(map_with(0.8, rows=slice(20, 21))) == []
    triangle = np.zeros((64, 64), np.uint8)
    cv2.fillPoly(triangle, [np.array([[5, 5], [60, 5], [5, 60]])], 1)
    coarse = dataclasses.replace(POLY, epsilon_ratio=0.1)
    assert coarse.regions(triangle.astype(np.float32)) == []


def test_one_more_than_the_largest_number_of_candidates_is_looked_at():
    maps = probabilities(words(512), 512)
    assert len(dataclasses.replace(QUAD, max_candidates=41).regions(maps)) == 42


def test_an_outline_that_falls_apart_is_dropped_unless_its_parts_have_as_many_points():
    right = [[20, 9], [40, 9], [40, 0], [60, 0], [60, 20], [40, 20], [40, 11], [20, 11]]
    alike = np.array([[0, 0], [20, 0], *right, [20, 20], [0, 20]], np.int32)
    unlike = np.array([[8, 0], [20, 0], *right, [20, 20], [0, 20], [0, 8]], np.int32)
    assert grown(alike, -0.5).shape == (4, 2)
    assert grown(unlike, -0.5).shape == (0, 2)
    assert len(grown(unlike, 0.5)) > 4


def test_rectangles_begin_at_the_leftmost_corner_and_go_clockwise():
    upright, width = rectangle(np.array([[0, 0], [10, 0], [10, 4], [0, 4]], np.int32))
    np.testing.assert_allclose(upright, [[0, 4], [0, 0], [10, 0], [10, 4]], atol=1e-5)
    assert width == 4
    tilted, width = rectangle(np.array([[5, 0], [10, 5], [5, 10], [0, 5]], np.float32))
    np.testing.assert_allclose(tilted, [[0, 5], [5, 0], [10, 5], [5, 10]], atol=1e-5)
    assert width == pytest.approx(50**0.5)


def test_outlines_keep_the_ends_of_straight_runs():
    bar = np.array([[7, 5], [8, 5], [9, 5], [7, 6], [8, 6], [9, 6]], np.int32)
    np.testing.assert_array_equal(outline(bar), [[7, 5], [7, 6], [9, 6], [9, 5]])


def test_overlap_by_hand():
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    assert overlap(square, square) == 1
    assert overlap(square, square[::-1]) == 1
    assert overlap(square, square + np.float32([5, 0])) == pytest.approx(1 / 3)
    assert overlap(square, square + 20) == 0
    assert overlap(square, square[[0, 1, 0, 1]]) == 0


def noise(size, blur, seed=0):
    """A map of blobs; the less it is blurred, the smaller and the more they are."""
    values = np.random.default_rng(seed).normal(0, 1, (size, size)).astype(np.float32)
    values = cv2.GaussianBlur(values, (0, 0), blur) if blur else values
    return 1 / (1 + np.exp(-3 * values / values.std()))


def regions_of(postprocessor, maps):
    return [(region.polygon.tolist(), region.score) for region in postprocessor.regions(maps)]


@pytest.mark.parametrize("blur", [0, 0.8, 1.5])
@pytest.mark.parametrize("unclip_ratio", [0.5, 1.5, 3.0])
def test_what_is_too_small_is_told_before_it_is_grown_and_nothing_else_is(monkeypatch, blur, unclip_ratio):
    postprocessor = dataclasses.replace(QUAD, unclip_ratio=unclip_ratio)
    looked_at = []
    monkeypatch.setattr(db, "grown", lambda *given: looked_at.append(1) or grown(*given))
    found = regions_of(postprocessor, noise(160, blur))
    early = len(looked_at)
    monkeypatch.setattr(DBPostprocessor, "_is_too_small", lambda *_: False)
    assert regions_of(postprocessor, noise(160, blur)) == found
    assert early < len(looked_at) - early


@pytest.mark.parametrize("blur", [0, 0.8, 4])
@pytest.mark.parametrize("count", [1, 20, 300, 10**6])
def test_the_lowest_contours_are_the_first_of_all(blur, count):
    mask = (noise(200, blur) > 0.3).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = db.first_contours(mask, count)
    assert len(found) == min(count, len(contours))
    for one, other in zip(found, contours, strict=False):
        np.testing.assert_array_equal(one, other)


def test_arguments_that_cannot_be_are_refused():
    node = {
        "_target_": "compiler.tasks.text_detection.db.DBPostprocessor",
        "text_repr_type": "quad",
        "epsilon_ratio": 0.002,
    }
    assert instantiate(node, Postprocessor) == dataclasses.replace(QUAD, epsilon_ratio=0.002)
    with pytest.raises(UsageError, match="contradict"):
        instantiate(node | {"text_repr_type": "box"}, Postprocessor)
    with pytest.raises(UsageError, match="no key"):
        instantiate(node | {"rescale_fields": []}, Postprocessor)
