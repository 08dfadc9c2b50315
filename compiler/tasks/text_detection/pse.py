"""Progressive scale expansion: texts grow from their smallest kernels (arXiv:1903.12473)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from compiler.tasks.text_detection.growing import DOWN, LEFT, RIGHT, UP, Booleans, Labels, spread
from compiler.tasks.text_detection.postprocessor import Floats, PixelGrouping, sigmoid


@dataclass(frozen=True)
class PSEPostprocessor(PixelGrouping):
    """MMOCR's `PSEPostprocessor`, on logits `[c, h, w]`: of the whole text, and of ever smaller kernels.

    Attributes:
        text_repr_type: `poly` for outlines, `quad` for the smallest rectangles around them.
        min_kernel_confidence: Pixels above it are in a kernel.
        score_threshold: Texts of fewer pixels than `min_text_area` are dropped where their mean probability is not
            above it.
        min_kernel_area: Smallest kernels of fewer pixels do not grow.
        min_text_area: See `score_threshold`.
        downsample_ratio: Of the maps' size by that of the network's input.

    Raises:
        ValueError: There is no such representation, or the ratio is not positive.
    """

    text_repr_type: str = "poly"
    min_kernel_confidence: float = 0.5
    score_threshold: float = 0.3
    min_kernel_area: int = 0
    min_text_area: int = 16
    downsample_ratio: float = 0.25

    def labels(self, maps: Floats) -> tuple[Labels, Floats]:
        """Which text each pixel is in, and how probable text is there; see `PixelGrouping.labels`."""
        scores, kernel_scores = sigmoid(maps[[0, -1]])
        text = scores > self.min_kernel_confidence
        kernels = (kernel_scores > self.min_kernel_confidence) & text
        _, labels = cv2.connectedComponents(kernels.astype(np.uint8), connectivity=4)
        return expanded(np.asarray(labels, np.int32), text, self.min_kernel_area), scores

    def score(self, probabilities: Floats) -> float:
        """The mean."""
        return float(np.add.reduce(probabilities) / np.float32(len(probabilities)))  # np.mean takes twice as long

    def is_kept(self, area: int, score: float) -> bool:
        """Whether a text is large or sure enough."""
        return area >= self.min_text_area or score > self.score_threshold


def expanded(labels: Labels, text: Booleans, min_area: int) -> Labels:
    """Labels that have spread over the text around them: MMCV's `contour_expand`.

    As the paper has it they would fill each of the kernels between first. MMCV means to, but looks at the largest one,
    which is the text, in every round: so does MMDeploy's SDK, and so the models were measured.

    Args:
        labels: `[h, w]`, the parts of the smallest kernel; 0 elsewhere.
        text: `[h, w]`.
        min_area: Parts of fewer pixels are dropped first.
    """
    is_large = np.bincount(labels.reshape(-1)) >= min_area
    return spread(labels * is_large[labels], text, (UP, DOWN, LEFT, RIGHT))
