"""Coordinates as classifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from compiler.artifact import Tensors
from compiler.tasks.pose.codecs.codec import Codec, Floats


@dataclass(frozen=True)
class SimCCLabel(Codec):
    """Key points as two classifications, one over columns and one over rows (SimCC, arXiv:2107.03332).

    Field names are those of the codec in an OpenMMLab config.

    Attributes:
        input_size: Width and height of the network's input, in pixels.
        sigma: Spread of the labels that the network was trained on, along x and y, in bins.
        simcc_split_ratio: Bins per pixel.
        normalize: Whether those labels were divided by the Gaussian's area. It concerns training, and MMDeploy's SDK
            wants to be told.
        use_dark: Refine the best bin by the curvature around it (DARK, arXiv:1910.06278).

    Raises:
        ValueError: A size, spread or ratio is not positive.
    """

    outputs: ClassVar[tuple[str, ...]] = ("simcc_x", "simcc_y")

    input_size: tuple[int, int]
    sigma: tuple[float, float] = (6.0, 6.0)
    simcc_split_ratio: float = 2.0
    normalize: bool = True
    use_dark: bool = False

    def __post_init__(self) -> None:
        if min(*self.input_size, *self.sigma, self.simcc_split_ratio) <= 0:
            raise ValueError("input_size, sigma and simcc_split_ratio must be positive")

    @property
    def bins(self) -> tuple[int, int]:
        """Numbers of columns and rows that are told apart."""
        width, height = self.input_size
        return int(width * self.simcc_split_ratio), int(height * self.simcc_split_ratio)

    def decode(self, outputs: Tensors) -> tuple[Floats, Floats]:
        """Find the best column and row of each key point; see `Codec.decode`.

        Args:
            outputs: `simcc_x`, `[n, k, columns]`, a score for each column, and `simcc_y`, `[n, k, rows]`, likewise.

        Returns:
            Key points and their scores, the smaller of the two maxima. A point whose score is not positive lies one bin
            outside, at -1 bin.
        """
        simcc_x, simcc_y = (outputs[name] for name in self.outputs)
        if simcc_x.ndim != 3 or simcc_x.shape[:2] != simcc_y.shape[:2]:
            raise ValueError(f"SimCC scores of shapes {simcc_x.shape} and {simcc_y.shape} do not fit together")
        if (simcc_x.shape[-1], *simcc_y.shape[2:]) != self.bins:
            raise ValueError(
                f"SimCC scores of shapes {simcc_x.shape} and {simcc_y.shape} must end in {self.bins[0]} and "
                f"{self.bins[1]} bins for an input of {self.input_size[0]}x{self.input_size[1]} (width x height)"
            )
        scores = np.minimum(simcc_x.max(axis=-1), simcc_y.max(axis=-1))
        bins = np.stack([simcc_x.argmax(axis=-1), simcc_y.argmax(axis=-1)], axis=-1).astype(np.float32)
        bins[scores <= 0] = -1
        if self.use_dark:
            for axis, simcc in enumerate((simcc_x, simcc_y)):
                bins[..., axis] -= _curvature_offset(simcc, bins[..., axis], _blur_size(self.sigma[axis]))
        return bins / np.float32(self.simcc_split_ratio), scores

    def mirror(self, outputs: Tensors, swap: Sequence[int], shift_heatmap: bool) -> dict[str, Floats]:
        """Swap left and right points, and reverse columns; rows stay. See `Codec.mirror`."""
        simcc_x, simcc_y = (outputs[name][:, list(swap)] for name in self.outputs)
        return {"simcc_x": simcc_x[..., ::-1], "simcc_y": simcc_y}


def _blur_size(sigma: float) -> int:
    """The odd kernel size, in bins, that suits labels of spread `sigma`."""
    size = int((sigma * 20 - 7) // 3)
    return size if size % 2 else size - 1


def _curvature_offset(simcc: Floats, bins: Floats, kernel: int) -> Floats:
    """How far each best bin lies above the peak of a parabola through the logarithm of the blurred scores.

    Args:
        simcc: `[n, k, b]`, scores.
        bins: `[n, k]`, best bins.
        kernel: Odd size of the blur.
    """
    count, points, length = simcc.shape
    if count * points == 0:
        return np.zeros_like(bins)
    # The rows are padded by zeros, which the blur then mixes in: reflection alone would raise the ends.
    border = (kernel - 1) // 2
    padded = np.pad(simcc.reshape(-1, length), ((0, 0), (border, border)))
    blurred = cv2.GaussianBlur(padded, (kernel, 1), 0)[:, border : border + length]
    with np.errstate(divide="ignore", invalid="ignore"):
        blurred *= simcc.reshape(-1, length).max(axis=1, keepdims=True) / blurred.max(axis=1, keepdims=True)
    logarithm = np.pad(np.log(np.clip(blurred, 1e-3, 50)), ((0, 0), (2, 2)), mode="edge")

    centre = (bins.reshape(-1, 1) + 2.5).astype(np.int64)
    left2, left, middle, right, right2 = (
        np.take_along_axis(logarithm, centre + step, axis=1) for step in (-2, -1, 0, 1, 2)
    )
    slope = 0.5 * (right - left)
    curvature = 1e-9 + 0.25 * (right2 - 2 * middle + left2)
    return np.asarray(slope / curvature, np.float32).reshape(count, points)
