"""Run a bundle over a data set: images are read and prepared ahead, while the engine computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from compiler.datasets.dataset import Dataset
from compiler.evaluation.boxes import Boxes, people_in
from compiler.evaluation.results_file import ResultsFile
from compiler.runtime import Predictor
from compiler.tasks import AnySample, Prepared
from compiler.tasks.pose import Pose, TopdownPose
from compiler.tasks.pose.bottomup import PersonPose

Given = TypeVar("Given")
Made = TypeVar("Made")
Progress = Callable[[int], None]
"""Told how many items are done."""
AHEAD = 2
"""Items for each worker that are prepared before their turn."""


@dataclass(frozen=True)
class Runner:
    """A bundle and the data set that it looks at.

    Attributes:
        predictor: The bundle, open.
        dataset: What it looks at.
        people: Where it looks for people in each item; None for the data set's own boxes.
        workers: Threads that read and prepare images.
    """

    predictor: Predictor
    dataset: Dataset
    people: Sequence[Boxes] | None = None
    workers: int = 1

    def run(self, results: ResultsFile, progress: Progress = lambda done: None) -> None:
        """Look at every item that results are missing of, and add what is found.

        Raises:
            CompileError: A file cannot be read, or is beyond the limits.
        """
        todo = results.missing
        progress(len(results) - len(todo))
        prepared = ahead(self._prepared, todo, self.workers)
        with results.appending() as appender:
            for done, (index, parts) in enumerate(zip(todo, prepared, strict=True), start=len(results) - len(todo) + 1):
                appender.add(index, self.dataset.items[index].path.name, self._results(parts))
                progress(done)

    def _prepared(self, index: int) -> Sequence[tuple[Prepared, Any]]:
        """The network's inputs for an item, and how sure a detector is of what is in each; nothing where it looks
        nowhere."""
        if self.people is None and self.predictor.task.takes_boxes and self.dataset.items[index].boxes == ():
            return []
        sample, scores = self._sample(index)
        if sample.boxes is not None and not len(sample.boxes):
            return []
        return [
            (self.predictor.prepare(part), None if scores is None else _of_part(scores, part))
            for part in sample.parts(self.predictor.batch)
        ]

    def _sample(self, index: int) -> tuple[AnySample, Any]:
        """What the task looks at, and the scores of its boxes."""
        item = self.dataset.items[index]
        task, limits = self.predictor.task, self.predictor.limits
        if not isinstance(task, TopdownPose):
            return task.read(item.path, item.boxes if task.takes_boxes else None, limits), None
        sample = task.read(item.path, None, limits)
        height, width = sample.source.shape[:2]
        boxes = people_in(item, width, height) if self.people is None else self.people[index]
        return replace(sample, boxes=boxes.corners), boxes.scores

    def _results(self, parts: Sequence[tuple[Prepared, Any]]) -> list[Any]:
        return [result for prepared, scores in parts for result in _scored(self.predictor.results(prepared), scores)]


def ahead(make: Callable[[Given], Made], given: Iterable[Given], workers: int) -> Iterator[Made]:
    """Yield what is made of each, in order; threads make the next ones meanwhile, and no more than a few.

    Args:
        make: Called in the threads.
        given: What something is made of.
        workers: How many threads there are.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for one in given:
                waiting.append(pool.submit(make, one))
                if len(waiting) >= workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _of_part(scores: Any, part: AnySample) -> Any:
    """The scores of the boxes of a part."""
    return scores[part.first : part.first + (0 if part.boxes is None else len(part.boxes))]


def _scored(poses: Sequence[Any], scores: Any) -> Sequence[Any]:
    """Poses with the scores of the boxes that they were looked for in."""
    return poses if scores is None else [_person(*pair) for pair in zip(poses, scores, strict=True)]


def _person(pose: Pose, score: float) -> PersonPose:
    return PersonPose(pose.box, float(score), pose.keypoints, pose.scores, names=pose.names)
