"""What networks would say about a page of words, and reference outputs of MMOCR's post-processors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from compiler.tasks.text_detection import Region


def words(size: int, columns: int = 10) -> list[np.ndarray]:
    """Return the corners of `columns` times as many words on a square page, each `[4, 2]` and turned a little."""
    generator = np.random.default_rng(0)
    cell = size / columns
    centers = (np.stack(np.meshgrid(np.arange(columns), np.arange(columns)), -1).reshape(-1, 2) + 0.5) * cell
    return [
        cv2.boxPoints((center.tolist(), (cell * generator.uniform(0.4, 0.8), cell * 0.25), generator.uniform(-20, 20)))
        for center in centers
    ]


def depth(quads: Sequence[np.ndarray], size: int, ratio: float = 1.0) -> np.ndarray:
    """Return how deep each pixel of a square map lies in a word, in pixels of the map; 0 outside.

    Args:
        quads: Corners in pixels of the page.
        size: Sides of the page.
        ratio: Of the map's sides by the page's.
    """
    mask = np.zeros((round(size * ratio),) * 2, np.uint8)
    for quad in quads:
        cv2.fillPoly(mask, [np.rint(quad * ratio).astype(np.int32)], 1)
    return cv2.distanceTransform(mask, cv2.DIST_L2, 5)


def probabilities(quads: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return what a DBNet would, which shrinks the words of a page of ten lines: `[h, w]`."""
    return (1 / (1 + np.exp(0.007 * size - depth(quads, size)))).astype(np.float32)


def kernel_logits(quads: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return what a PSENet would: `[7, h / 4, w / 4]`."""
    deep = depth(quads, size, 0.25)
    return np.stack([deep - 0.3 * index - 0.5 for index in range(7)]).astype(np.float32)


def embedded_logits(quads: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Return what a PANet would: `[6, h / 4, w / 4]`."""
    deep = depth(quads, size, 0.25)
    _, labels = cv2.connectedComponents((deep > 0).astype(np.uint8))
    embeddings = np.random.default_rng(0).normal(0, 4, (labels.max() + 1, 4))[labels].transpose(2, 0, 1)
    return np.concatenate([[deep - 0.5, deep - 2], embeddings]).astype(np.float32)


def reference(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the rectangles and scores that MMOCR found: `[n, 4, 2]` and `[n]`."""
    with np.load(path) as arrays:
        return arrays["decoded.polygon_points"].reshape(-1, 4, 2), arrays["decoded.scores"]


def assert_equal(found: Sequence[Region], expected: tuple[np.ndarray, np.ndarray], odd_scores: int = 0) -> None:
    """Hold regions to MMOCR's, in its order; a rectangle may begin at another corner where it is upright."""
    assert len(found) == len(expected[0])
    for region, quad in zip(found, expected[0], strict=True):
        assert min(np.abs(np.roll(region.polygon, start, axis=0) - quad).max() for start in range(4)) < 1e-3
        leftmost = np.sort(quad[:, 0])
        if leftmost[1] - leftmost[0] > 0.01:
            np.testing.assert_allclose(region.polygon, quad, atol=1e-3)
    apart = np.abs(np.array([region.score for region in found]) - expected[1])
    assert np.count_nonzero(apart > 1e-5) <= odd_scores
