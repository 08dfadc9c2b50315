"""PANet's maps are read as MMOCR 1.0.1 reads them, and pixels are aggregated as in MMCV's queue."""

import dataclasses
from collections import deque

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.tasks.text_detection import PANPostprocessor
from compiler.tasks.text_detection.pan import aggregated
from compiler.tasks.text_detection.polygons import overlap
from tests.tasks.text_maps import assert_equal, embedded_logits, reference, words

QUAD = PANPostprocessor(text_repr_type="quad")


def by_queue(labels, text, embeddings, distance):
    """Return what MMCV's `pixel_group` does, pixel by pixel, from the contours of the kernels on."""
    grown = labels.copy()
    contours, _ = cv2.findContours((labels > 0).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    edge = cv2.drawContours(np.zeros(labels.shape, np.uint8), contours, -1, 1)
    means = {}
    for label in range(1, labels.max() + 1):
        total = np.zeros(len(embeddings), np.float32)
        for y, x in np.argwhere(labels == label):
            total += embeddings[:, y, x]
        means[label] = total / np.float32((labels == label).sum())
    queue = deque(np.argwhere((labels > 0) & (edge > 0)).tolist())
    while queue:
        y, x = queue.popleft()
        for row, column in ((y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x)):
            inside = 0 <= row < text.shape[0] and 0 <= column < text.shape[1]
            if not inside or not text[row, column] or grown[row, column]:
                continue
            apart = np.float32(0)
            for difference in means[grown[y, x]] - embeddings[:, row, column]:
                apart = np.float32(apart + float(difference) ** 2)
            if apart < distance**2:
                grown[row, column] = grown[y, x]
                queue.append((row, column))
    return grown


def test_maps_equal_mmocrs(parity):
    with np.load(parity / "panet_r18.npz") as arrays:
        assert_equal(QUAD.regions(arrays["out"][0]), reference(parity / "panet_r18.npz"))


def test_synthetic_maps_equal_mmocrs(parity):
    path = parity / "decode" / "panet_r18.npz"
    with np.load(path) as arrays:
        maps = arrays["raw.out"][0]
    # They were stored after MMOCR had replaced the logits by probabilities, in place.
    share = maps[:2].astype(np.float64)
    maps[:2] = np.log(share / (1 - share))
    assert_equal(QUAD.regions(maps), reference(path))


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 2**32 - 1),
    share_of_text=st.floats(0.3, 1),
    share_of_kernels=st.floats(0.01, 0.7),
    spread=st.floats(0, 3),
)
def test_regions_meet_where_those_of_a_queue_do(shape, seed, share_of_text, share_of_kernels, spread):
    generator = np.random.default_rng(seed)
    text = generator.random(shape) < share_of_text
    kernels = text & (generator.random(shape) < share_of_kernels)
    _, labels = cv2.connectedComponents(kernels.astype(np.uint8), connectivity=4)
    embeddings = generator.normal(0, spread, (4, *shape)).astype(np.float32)
    expected = by_queue(labels, text, embeddings, 3.0)
    np.testing.assert_array_equal(aggregated(labels, text, embeddings, 3.0), expected)


def test_a_pixel_goes_to_the_kernel_that_it_is_like():
    labels = np.array([[1, 0, 0, 2]], np.int32)
    text = np.ones((1, 4), bool)
    embeddings = np.array([[[0, 5, 5, 5]]], np.float32)
    np.testing.assert_array_equal(aggregated(labels, text, embeddings, 3.0), [[1, 2, 2, 2]])
    np.testing.assert_array_equal(aggregated(labels, text, embeddings, 6.0), [[1, 1, 2, 2]])
    embeddings[..., 1:3] = 2
    np.testing.assert_array_equal(aggregated(labels, text, embeddings, 2.0), labels)  # just as far is too far


def test_every_word_of_a_page_is_found_where_it_is():
    quads = words(1024)
    for postprocessor in (QUAD, PANPostprocessor(text_repr_type="poly")):
        found = postprocessor.regions(embedded_logits(quads, 1024))
        assert len(found) == 100
        assert min(max(overlap(region.polygon, quad) for region in found) for quad in quads) > 0.6


def test_small_or_unsure_texts_are_dropped():
    maps = np.full((6, 16, 16), -9, np.float32)
    maps[:2, 2:6, 2:6] = 1  # 16 pixels, as sure as 0.73
    maps[2:] = 0
    assert len(QUAD.regions(maps)) == 1
    assert dataclasses.replace(QUAD, min_text_area=17).regions(maps) == []
    assert dataclasses.replace(QUAD, score_threshold=0.74).regions(maps) == []
    assert dataclasses.replace(QUAD, min_kernel_confidence=0.74).regions(maps) == []
    assert dataclasses.replace(QUAD, min_text_confidence=0.74).regions(maps) == []


def test_arguments_that_cannot_be_are_refused():
    for wrong in ({"text_repr_type": "box"}, {"downsample_ratio": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            dataclasses.replace(QUAD, **wrong)
