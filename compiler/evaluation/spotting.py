"""A detector of text and a reader, measured as one: what is written where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from compiler.datasets.dataset import Dataset
from compiler.evaluation.results_file import ResultsFile
from compiler.evaluation.running import Progress
from compiler.evaluation.subjects import Subject
from compiler.runtime.text_spotting import TextSpotter


@dataclass(frozen=True)
class Spotter:
    """A reader of text behind a detector of text.

    Attributes:
        spotter: The two.
        key: What results depend on beside the reader.
    """

    task: ClassVar[str] = "text-spotting"
    """The name of what they do together."""

    spotter: TextSpotter
    key: dict[str, Any]

    @classmethod
    def of(cls, detector: Subject, reader: Subject) -> Spotter:
        """A detector before a reader.

        Raises:
            CompileError: The detector finds no text.
        """
        return cls(TextSpotter(detector.predictor, reader.predictor), {"detector": detector.key})

    def runner(self, dataset: Dataset) -> SpottingRunner:
        """The two on a data set."""
        return SpottingRunner(self.spotter, dataset)


@dataclass(frozen=True)
class SpottingRunner:
    """Two bundles that read text, and the data set that they look at.

    Attributes:
        spotter: The two.
        dataset: What they look at.
    """

    spotter: TextSpotter
    dataset: Dataset

    def run(self, results: ResultsFile, progress: Progress = lambda done: None) -> None:
        """Read every item that results are missing of, and add what is read.

        Raises:
            CompileError: A file cannot be read, or is beyond the limits.
        """
        todo = results.missing
        progress(len(results) - len(todo))
        with results.appending() as appender:
            for done, index in enumerate(todo, start=len(results) - len(todo) + 1):
                path = self.dataset.items[index].path
                appender.add(index, path.name, self.spotter(path))
                progress(done)
