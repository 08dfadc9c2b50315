"""Pixel aggregation: each kernel of a text takes the pixels around it that are like it (arXiv:1908.05900)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from compiler.tasks.text_detection.growing import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Accepts,
    Booleans,
    Indices,
    Labels,
    bordered,
    spread,
)
from compiler.tasks.text_detection.postprocessor import Floats, PixelGrouping, sigmoid


@dataclass(frozen=True)
class PANPostprocessor(PixelGrouping):
    """MMOCR's `PANPostprocessor`, on maps `[2 + d, h, w]`: logits of text and of kernels, and embeddings.

    Attributes:
        text_repr_type: `poly` for outlines, `quad` for the smallest rectangles around them.
        score_threshold: Texts whose mean probability is not above it are dropped.
        min_text_confidence: Pixels above it are text.
        min_kernel_confidence: Pixels above it are in a kernel.
        distance_threshold: A pixel whose embedding is so far from the kernel's mean is not the kernel's.
        min_text_area: Texts of fewer pixels are dropped.
        downsample_ratio: Of the maps' size by that of the network's input.

    Raises:
        ValueError: There is no such representation, or the ratio is not positive.
    """

    text_repr_type: str = "poly"
    score_threshold: float = 0.3
    min_text_confidence: float = 0.5
    min_kernel_confidence: float = 0.5
    distance_threshold: float = 3.0
    min_text_area: int = 16
    downsample_ratio: float = 0.25

    def labels(self, maps: Floats) -> tuple[Labels, Floats]:
        """Which text each pixel is in, and how probable text is there; see `PixelGrouping.labels`."""
        scores, kernel_scores = sigmoid(maps[:2])
        text = scores > self.min_text_confidence
        kernels = (kernel_scores > self.min_kernel_confidence) & text
        _, labels = cv2.connectedComponents(kernels.astype(np.uint8), connectivity=4)
        return aggregated(np.asarray(labels, np.int32), text, maps[2:], self.distance_threshold), scores

    def score(self, probabilities: Floats) -> float:
        """The mean, added up pixel by pixel in single precision, as MMCV does it."""
        return float(np.cumsum(probabilities)[-1] / np.float32(len(probabilities)))

    def is_kept(self, area: int, score: float) -> bool:
        """Whether a text is large and sure enough."""
        return area >= self.min_text_area and score > self.score_threshold


def aggregated(labels: Labels, text: Booleans, embeddings: Floats, distance: float) -> Labels:
    """Labels that have spread over the text around them: MMCV's `pixel_group`.

    Args:
        labels: `[h, w]`, the kernels, which are 4-connected and lie in the text; 0 elsewhere.
        text: `[h, w]`.
        embeddings: `[d, h, w]`.
        distance: A pixel whose embedding is so far from the mean of the kernel's is not taken.
    """
    resembles = _resembles(bordered(labels), bordered(embeddings), np.float32(distance))
    return spread(labels, text, (LEFT, RIGHT, UP, DOWN), resembles)


def _resembles(labels: Labels, embeddings: Floats, distance: np.float32) -> Accepts:
    """What tells whether pixels' embeddings are near to the mean of the kernel that reaches for them.

    Precisions are those of MMCV, so that borders lie at the same pixels.

    Args:
        labels: `[n]`.
        embeddings: `[d, n]`.
        distance: See `aggregated`.
    """
    inside = np.flatnonzero(labels)
    count = np.bincount(labels[inside], minlength=1).astype(np.float32)
    means = np.zeros((len(embeddings), len(count)), np.float32)
    for total, embedding in zip(means, embeddings, strict=True):
        np.add.at(total, labels[inside], embedding[inside])
    means /= np.maximum(count, 1)

    def accepts(owners: Labels, pixels: Indices) -> Booleans:
        apart = np.zeros(len(pixels), np.float32)
        for mean, embedding in zip(means, embeddings, strict=True):
            difference = mean[owners] - embedding[pixels]
            apart = (apart + difference.astype(np.float64) ** 2).astype(np.float32)
        return np.asarray(apart < distance * distance)

    return accepts
