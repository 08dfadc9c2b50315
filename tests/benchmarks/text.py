"""What it costs to read the maps of text detectors."""

from __future__ import annotations

import statistics

import numpy as np
from rich.table import Table

from compiler.tasks.text import DBPostprocessor, PANPostprocessor, Postprocessor, PSEPostprocessor
from tests.benchmarks.measure import seconds_of
from tests.tasks.text_maps import embedded_logits, kernel_logits, probabilities, words

SIZES = (640, 1024)
ROUNDS = 20


def text_table() -> Table:
    """Time each post-processor on a page of a hundred words, and on noise, where regions are many and ragged."""
    table = Table("post-processor", "input", "texts", "median ms", "of noise", title="texts in the maps of one image")
    for size in SIZES:
        quads = words(size)
        generator = np.random.default_rng(0)
        for postprocessor, maps in (
            (DBPostprocessor("quad"), probabilities(quads, size)),
            (PSEPostprocessor("quad"), kernel_logits(quads, size)),
            (PANPostprocessor("quad"), embedded_logits(quads, size)),
        ):
            noise = generator.random(maps.shape) if maps.ndim == 2 else generator.normal(size=maps.shape)
            found = len(postprocessor.regions(maps))
            times = (_milliseconds(postprocessor, some) for some in (maps, noise.astype(np.float32)))
            table.add_row(type(postprocessor).__name__, f"{size}x{size}", str(found), *(f"{one:.1f}" for one in times))
    return table


def _milliseconds(postprocessor: Postprocessor, maps: np.ndarray) -> float:
    return statistics.median(seconds_of(lambda: postprocessor.regions(maps)) for _ in range(ROUNDS)) * 1000
