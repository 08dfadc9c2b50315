"""Histograms of magnitudes in bounded memory, and the thresholds that calibration methods read from them.

ONNX Runtime's own collector is not used: its bins are as wide as the first batch asks for, so that a tensor which
starts near zero makes it allocate without bound, and its search for the entropy threshold is a Python loop over bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 2048
LEVELS = 128
"""How many magnitudes 8 bits with a sign tell apart."""
ENTROPY_STEP = 16
"""Bins between two candidate thresholds."""
PERCENTILE = 0.9999


class MagnitudeHistogram:
    """Counts magnitudes in `BINS` equal bins from 0 to a limit, which doubles where larger values come.

    Doubling joins neighbouring bins, so that counts stay exact; between half of the bins and all of them are in use.

    Attributes:
        counts: [BINS].
        limit: The upper edge of the last bin; 0 while nothing but zeros was seen.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.limit = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count finite values of any shape."""
        magnitudes = np.abs(values.ravel())
        largest = float(magnitudes.max(initial=0.0))
        if largest == 0.0:
            self.counts[0] += magnitudes.size
            return
        self.limit = self.limit or largest
        while self.limit < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.limit *= 2
        # The last digit of a product must not carry the largest value beyond the last bin.
        places = np.minimum((magnitudes * np.float64(BINS / self.limit)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)


def percentile_threshold(histogram: MagnitudeHistogram) -> float:
    """The magnitude that `PERCENTILE` of all values do not exceed, to one bin."""
    shares = np.cumsum(histogram.counts) / max(histogram.counts.sum(), 1)
    return _edge(histogram, int(np.searchsorted(shares, PERCENTILE)) + 1)


def entropy_threshold(histogram: MagnitudeHistogram) -> float:
    """The magnitude to clip at so that 8 bits keep most of the distribution's information.

    The Kullback-Leibler divergence between the clipped distribution and its 8-bit rendering is smallest there. Source:
    S. Migacz, "8-bit Inference with TensorRT", NVIDIA GTC 2017. What is zero is exact at any threshold, and does not
    count: after a ReLU it would outweigh everything else.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    if not counts.any():
        return histogram.limit
    candidates = range(LEVELS, BINS + 1, ENTROPY_STEP)
    return _edge(histogram, min(candidates, key=lambda bins: _divergence(counts, bins)))


def _divergence(counts: NDArray[np.float64], bins: int) -> float:
    """The divergence, in nats, that clipping to the first `bins` bins and quantising them costs."""
    inside = counts[:bins]
    if not inside.any():
        return np.inf
    clipped = inside.copy()
    clipped[-1] += counts[bins:].sum()
    starts = np.arange(LEVELS) * bins // LEVELS
    filled = inside > 0
    sums, sizes = np.add.reduceat(inside, starts), np.add.reduceat(filled.astype(np.float64), starts)
    rendered = np.repeat(sums / np.maximum(sizes, 1.0), np.diff(starts, append=bins)) * filled
    expected, found = clipped / clipped.sum(), rendered / rendered.sum()
    present = expected > 0
    # A bin that only clipped values fill has no counterpart: it costs much, but not everything.
    ratios = expected[present] / np.maximum(found[present], 1e-9)
    return float((expected[present] * np.log(ratios)).sum())


def _edge(histogram: MagnitudeHistogram, bins: int) -> float:
    return histogram.limit * min(bins, BINS) / BINS
