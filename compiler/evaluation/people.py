"""Who is looked for where a pose model looks at people one by one: what a detector found, before or now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compiler.artifact import file_digest
from compiler.datasets.dataset import Dataset
from compiler.evaluation.boxes import Boxes, read_detections
from compiler.evaluation.kept_results import kept_results
from compiler.evaluation.options import EvaluationOptions
from compiler.evaluation.running import Runner
from compiler.evaluation.subjects import Subject
from compiler.runtime.chains import ChainOptions, DetectionChain
from compiler.tasks.detection import Detection

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DetectionsFile:
    """What a detector found before, as MMPose's `bbox_file` has it.

    Attributes:
        path: The file.
        threshold: What scores less is left out.
    """

    path: Path
    threshold: float

    @property
    def key(self) -> dict[str, Any]:
        """What results depend on."""
        return {"file": file_digest(self.path), "threshold": self.threshold}

    def found(self, dataset: Dataset, options: EvaluationOptions, folder: Path, progress: Progress) -> Sequence[Boxes]:
        """The boxes in each item.

        Raises:
            CompileError: The file cannot be read, or is of other images.
        """
        by_number = read_detections(self.path, dataset, self.threshold)
        nobody = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
        return [by_number.get(str(item.identity), nobody) for item in dataset.items]


@dataclass(frozen=True)
class Detector:
    """The bundle of a detector, whose people a pose model looks at: the two are a chain, as `predict` has it.

    Attributes:
        subject: Open.
        chain: Chooses among what it finds.
    """

    subject: Subject
    chain: DetectionChain

    @classmethod
    def of(cls, detector: Subject, second: Subject, threshold: float | None) -> Detector:
        """A detector before a bundle that looks into boxes.

        Args:
            detector: The first.
            second: The other one.
            threshold: What people score more than; None for what a chain has by default.

        Raises:
            CompileError: It is none, or knows no people.
        """
        options = ChainOptions() if threshold is None else ChainOptions(score_threshold=threshold)
        return cls(detector, DetectionChain(detector.predictor, second.predictor, options))

    @property
    def key(self) -> dict[str, Any]:
        """What results depend on."""
        return {"detector": self.subject.key, "chain": str(self.chain.options)}

    def found(self, dataset: Dataset, options: EvaluationOptions, folder: Path, progress: Progress) -> Sequence[Boxes]:
        """The boxes in each item; what it finds is kept for the other columns, and for the next run.

        Raises:
            CompileError: A file cannot be read, or results cannot be written.
        """
        name = f"detector {self.subject.name}"
        with kept_results(folder, replace(self.subject, name=name), dataset, Detection) as results:
            runner = Runner(self.subject.predictor, dataset, workers=options.worker_count)
            runner.run(results, lambda done: progress(name, done, len(dataset.items)))
            return [_boxes(self.chain.chosen(found)) for found in results]


def _boxes(people: Sequence[Detection]) -> Boxes:
    corners = np.array([one.box for one in people], np.float32).reshape(-1, 4)
    return Boxes(corners, np.array([one.score for one in people], np.float32))
