"""Coordinates as the peaks of heat maps, one map a key point."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from compiler.artifact import Tensors
from compiler.tasks.pose.codecs import peaks
from compiler.tasks.pose.codecs.codec import Codec, Floats


@dataclass(frozen=True)
class HeatmapCodec(Codec):
    """Key points as heat maps: `output`, `[n, k, rows, columns]`.

    Attributes:
        input_size: Width and height of the network's input, in pixels.
        heatmap_size: Width and height of a heat map.

    Raises:
        ValueError: A size is not positive.
    """

    outputs: ClassVar[tuple[str, ...]] = ("output",)

    input_size: tuple[int, int]
    heatmap_size: tuple[int, int]

    def __post_init__(self) -> None:
        if min(*self.input_size, *self.heatmap_size) <= 0:
            raise ValueError("input_size and heatmap_size must be positive")

    def decode(self, outputs: Tensors) -> tuple[Floats, Floats]:
        """Find the peak of each heat map; see `Codec.decode`.

        A map without a positive value has its point at -1 pixel of the heat map, which lies outside.
        """
        heatmaps = outputs["output"]
        if heatmaps.ndim != 4 or heatmaps.shape[:1:-1] != self.heatmap_size:
            width, height = self.heatmap_size
            raise ValueError(f"heat maps are [n, k, {height}, {width}], not {list(heatmaps.shape)}")
        return self.locate(heatmaps)

    def to_input(self, points: Floats) -> Floats:
        """Map points from pixels of the heat map to pixels of the input."""
        return points * np.asarray(np.divide(self.input_size, self.heatmap_size), np.float32)

    @abstractmethod
    def locate(self, heatmaps: Floats) -> tuple[Floats, Floats]:
        """Decode heat maps whose size is right; see `decode`."""

    def mirror(self, outputs: Tensors, swap: Sequence[int], shift_heatmap: bool) -> dict[str, Floats]:
        """Swap left and right points, and reverse columns; see `Codec.mirror`."""
        heatmaps = outputs["output"][:, list(swap), :, ::-1]
        if shift_heatmap:
            heatmaps = np.concatenate([heatmaps[..., :1], heatmaps[..., :-1]], axis=-1)
        return {"output": heatmaps}


@dataclass(frozen=True)
class MSRAHeatmap(HeatmapCodec):
    """Gaussians around the pixel of each key point (Simple Baselines, arXiv:1804.06208).

    Attributes:
        sigma: Spread of the Gaussians that the network was trained on, in pixels of the heat map.
        unbiased: Whether those lay between pixels, so that the peak is looked for between pixels too (DARK,
            arXiv:1910.06278).
        blur_kernel_size: Size of the blur before that. It suits `sigma` if it is 20/3 of it, less 7/3.

    Raises:
        ValueError: A size or the spread is not positive, or the kernel has no middle.
    """

    sigma: float
    unbiased: bool = False
    blur_kernel_size: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_gaussian(self.sigma)
        _check_kernel("blur_kernel_size", self.blur_kernel_size)

    def locate(self, heatmaps: Floats) -> tuple[Floats, Floats]:
        """Refine each highest pixel by a quarter of a pixel, or by DARK; see `HeatmapCodec.locate`."""
        points, scores = peaks.highest(heatmaps)
        if self.unbiased:
            points += peaks.dark_offset(heatmaps, points, self.blur_kernel_size)
        else:
            points += peaks.quarter_offset(heatmaps, points)
        return self.to_input(points), scores


@dataclass(frozen=True)
class UDPHeatmap(HeatmapCodec):
    """Gaussians on a grid whose first and last pixels lie on the edges of the crop (UDP, arXiv:1911.07524).

    Attributes:
        heatmap_type: Only `gaussian` is supported.
        sigma: Spread of the Gaussians that the network was trained on, in pixels of the heat map.
        blur_kernel_size: Size of the blur before the peak is looked for between pixels.

    Raises:
        ValueError: Another type, a size or the spread is too small, or the kernel has no middle.
    """

    heatmap_type: str = "gaussian"
    sigma: float = 2.0
    blur_kernel_size: int = 11

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heatmap_type != "gaussian":
            raise ValueError(f"heatmap_type is {self.heatmap_type!r}; only 'gaussian' is supported")
        if min(self.heatmap_size) < 2:
            raise ValueError("heatmap_size must be at least 2: its edges are two pixels")
        _check_gaussian(self.sigma)
        _check_kernel("blur_kernel_size", self.blur_kernel_size)

    def locate(self, heatmaps: Floats) -> tuple[Floats, Floats]:
        """Refine each highest pixel by DARK as UDP has it; see `HeatmapCodec.locate`."""
        points, scores = peaks.highest(heatmaps)
        points += peaks.udp_offset(heatmaps, points, self.blur_kernel_size)
        return self.to_input(points), scores

    def to_input(self, points: Floats) -> Floats:
        """Map points likewise, counting the steps between pixels, which are one fewer than the pixels."""
        steps = np.array(self.heatmap_size) - 1
        return np.asarray(points / steps * np.array(self.input_size), np.float32)


@dataclass(frozen=True)
class MegviiHeatmap(HeatmapCodec):
    """A blurred pixel for each key point, with a peak of 255 (MSPN, arXiv:1901.00148).

    Attributes:
        kernel_size: Size of the blur, of the labels as of the outputs.

    Raises:
        ValueError: A size is not positive, or the kernel has no middle.
    """

    kernel_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kernel("kernel_size", self.kernel_size)

    def locate(self, heatmaps: Floats) -> tuple[Floats, Floats]:
        """Refine each highest pixel of the blurred maps by a quarter of a pixel; see `HeatmapCodec.locate`.

        Labels name the pixel that a point lies in, hence the half pixel towards its middle. The score of an
        empty map is 0.5.
        """
        heatmaps = peaks.blurred(heatmaps, self.kernel_size)
        points, values = peaks.highest(heatmaps)
        inside = peaks.away_from_edges(heatmaps, points, before=2, after=1)
        points += inside[..., None] * (peaks.quarter_offset(heatmaps, points) + np.float32(0.5))
        return self.to_input(points), values / np.float32(255) + np.float32(0.5)


def _check_gaussian(sigma: float) -> None:
    if sigma <= 0:
        raise ValueError("sigma must be positive")


def _check_kernel(name: str, size: int) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"{name} must be odd and positive, not {size}")
