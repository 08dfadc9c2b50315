"""Pictures of what was found: of all items, or of those that are worst by their own loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from compiler.datasets.dataset import Dataset
from compiler.evaluation.results_file import ResultsFile
from compiler.metrics import Metric
from compiler.runtime import Predictor
from compiler.runtime.text_spotting import TextSpotter
from compiler.tasks.images import write_image

Drawing = Predictor | TextSpotter
"""What draws results on an image."""
SCORE_THRESHOLD = 0.3
"""What is drawn scores as much, as in OpenMMLab's visualizers."""


@dataclass(frozen=True)
class Pictures:
    """Which pictures are drawn.

    Attributes:
        folder: Where they go.
        worst: How many of the items that are worst; None for all of them.
        score_threshold: What is drawn scores as much.
    """

    folder: Path
    worst: int | None = None
    score_threshold: float = SCORE_THRESHOLD

    def draw(self, predictor: Drawing, metric: Metric, dataset: Dataset, results: ResultsFile) -> list[Path]:
        """Write the pictures, named for their files; those that are worst begin with their rank and their loss."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.worst is None:
            chosen = [(index, item.path.stem) for index, item in enumerate(dataset.items)]
        else:
            ranked = worst_items(metric, dataset, results)[: self.worst]
            chosen = [
                (index, f"{rank:03d}_{loss:.3f}_{dataset.items[index].path.stem}")
                for rank, (index, loss) in enumerate(ranked, start=1)
            ]
        return [self._drawn(predictor, dataset, results, index, name) for index, name in chosen]

    def _drawn(self, predictor: Drawing, dataset: Dataset, results: ResultsFile, index: int, name: str) -> Path:
        task: Any = predictor.task if isinstance(predictor, Predictor) else None
        if isinstance(predictor, Predictor) and hasattr(task, "score_threshold"):
            predictor = replace(predictor, task=replace(task, score_threshold=self.score_threshold))
        # Files of the same name in several folders of a data set are told apart by their place in it.
        path = self.folder / f"{name}_{index}.jpg"
        write_image(path, predictor.draw(dataset.items[index].path, results[index]))
        return path


def worst_items(metric: Metric, dataset: Dataset, results: Sequence[Sequence[Any]]) -> list[tuple[int, float]]:
    """The items in which something is annotated, and the loss of each, the greatest first; see `Metric.loss`."""
    pairs = zip(dataset.items, results, strict=True)
    losses = [(index, metric.loss(found, replace(dataset, items=(item,)))) for index, (item, found) in enumerate(pairs)]
    return sorted((pair for pair in losses if not isnan(pair[1])), key=lambda pair: -pair[1])
