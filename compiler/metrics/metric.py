"""What every metric is: measures what was found in the items of a data set, and writes it as the data set does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from compiler.datasets.dataset import Dataset
from compiler.tasks import AnyTask

Predictions = Sequence[Sequence[Any]]
"""What was found in each item of a data set, in its order: a task's typed results, such as
`compiler.tasks.detection.Detection`. It may be read from a file as it is gone through: go through it once, in order."""


class Metric(ABC):
    """A measure of a task's results: a frozen dataclass, whose fields are its settings.

    Settings, and what is measured by default, are those of OpenMMLab's class of the same metric, and so are the names
    of the numbers, such as `coco/bbox_mAP`. A file of metrics imports the library that measures where it is needed.
    """

    TASKS: ClassVar[tuple[str, ...]]
    """The names of the tasks whose results it measures; see `compiler.tasks.Task.name`."""
    HEADLINE: ClassVar[str]
    """The number that stands for all: the higher, the better."""

    def fitted(self, task: AnyTask, dataset: Dataset) -> Metric:
        """The metric for what one model looks for in a data set: itself, unless overridden.

        Raises:
            CompileError: The model and the data set do not go together: a class of the one is unknown to the other.
        """
        return self

    @abstractmethod
    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """The numbers by their names, those of OpenMMLab's log, in its order and unit; nan where nothing is measured.

        Args:
            predictions: As many as the data set has items.
            dataset: What is true.

        Raises:
            CompileError: The data set lacks what is measured.
            ModuleNotFoundError: The library that measures is not installed.
        """

    def loss(self, found: Sequence[Any], dataset: Dataset) -> float:
        """How bad the results of one item are, by which the worst are drawn; nan where nothing is annotated in it.

        One minus `HEADLINE`, unless overridden: a metric whose headline says something else of one item, is in another
        unit, or is left out by a setting has to.

        Args:
            found: What was found in it.
            dataset: Of this item alone.
        """
        return 1 - self.score([found], dataset)[self.HEADLINE]


@runtime_checkable
class ResultFormat(Protocol):
    """A metric that writes results as its data set's test server reads them."""

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """Write results into a folder that is there, for a data set whose truth need not be known.

        Returns:
            The files to hand in.

        Raises:
            CompileError: The data set does not say what the format needs, such as the numbers of its images.
        """
        ...
