"""One column of an evaluation: what is run, where its results are kept, and what is measured of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.artifact import digest, file_digest
from compiler.errors import CompileError
from compiler.evaluation.boxes import Boxes, read_detections
from compiler.evaluation.data import NamedDataset
from compiler.evaluation.evaluation import Column
from compiler.evaluation.measures import find_metrics, openmmlab_nodes, require_files, require_truth
from compiler.evaluation.options import NO_FILE, EvaluationOptions
from compiler.evaluation.pictures import Pictures
from compiler.evaluation.records import result_class
from compiler.evaluation.results_file import ResultsFile
from compiler.evaluation.running import Runner
from compiler.evaluation.subjects import Subject
from compiler.metrics import Metric, ResultFormat
from compiler.tasks import AnyTask
from compiler.tasks.pose import TopdownPose


@dataclass(frozen=True)
class Measuring:
    """A bundle on a data set, checked: they go together, and all files are there.

    Attributes:
        subject: What runs.
        named: The data set.
        metrics: As the bundle's model on the data set calls for them.
        boxes_file: Where a pose model looks for people; None for the data set's own boxes.
        options: Of the evaluation.
    """

    subject: Subject
    named: NamedDataset
    metrics: tuple[Metric, ...]
    boxes_file: Path | None
    options: EvaluationOptions

    @classmethod
    def of(cls, subject: Subject, named: NamedDataset, options: EvaluationOptions) -> Measuring:
        """Check that a bundle can be measured on a data set.

        Raises:
            UsageError: There is no such metric or setting, or boxes are given to what looks at whole images.
            CompileError: The data set is one of another task or lacks files, or a metric writes no results.
        """
        task, dataset = subject.predictor.task, named.dataset
        boxes_file = _boxes_file(task, named, options)
        require_files(task, dataset, named.name)
        if not options.format_only or (isinstance(task, TopdownPose) and boxes_file is None):
            require_truth(task, dataset, named.name)
        nodes = named.metrics or openmmlab_nodes(task, named.evaluators)
        found = find_metrics(task, named.format, nodes, options.metrics, options.settings)
        metrics = tuple(metric.fitted(task, dataset) for metric in found)
        if options.format_only:
            _require_formats(metrics)
        return cls(subject, named, metrics, boxes_file, options)

    def column(self, progress: Callable[[str, int, int], None]) -> Column:
        """Run the bundle over what an earlier run has not looked at, and measure all that was found.

        Raises:
            CompileError: A file cannot be read, or results cannot be written.
        """
        subject, dataset = self.subject, self.named.dataset
        detections = self._detections()
        kind = result_class(subject.predictor.task, scored_boxes=detections is not None)
        with self._results(kind) as results:
            runner = Runner(subject.predictor, dataset, detections, self.options.workers or os.cpu_count() or 1)
            runner.run(results, lambda done: progress(subject.name, done, len(dataset.items)))
            return Column(
                name=subject.name,
                bundle=subject.bundle,
                backend=subject.backend,
                precision=subject.precision,
                numbers={} if self.options.format_only else self._numbers(results),
                results=results.path,
                written=self._written(results) if self.options.format_only else (),
                pictures=self._pictures(results),
            )

    def _detections(self) -> Mapping[int | str, Boxes] | None:
        if self.boxes_file is None:
            return None
        return read_detections(self.boxes_file, self.named.dataset, self.options.bbox_thr)

    @contextmanager
    def _results(self, kind: type[Any]) -> Iterator[ResultsFile]:
        """The file of results, which no other process writes meanwhile.

        Raises:
            CompileError: Another one does, or the folder cannot be written to.
        """
        from filelock import FileLock, Timeout

        header = self._header
        path = self.folder / f"{_plain(self.subject.name)}-{digest(header)[:8]}.jsonl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock"), timeout=0):
                yield ResultsFile.continued(path, kind, len(self.named.dataset.items), header)
        except Timeout as error:
            what = "another process evaluates the same"
            raise CompileError(what, where=str(path), fix="wait until it ends") from error
        except OSError as error:
            raise CompileError(
                "the results cannot be written",
                where=str(error.filename or path),
                why=error.strerror or str(error),
                fix="write elsewhere: output=<folder>",
            ) from error

    @property
    def folder(self) -> Path:
        """Where the results on this data set are kept."""
        return self.options.output / _plain(Path(self.named.name).stem)

    @property
    def _header(self) -> dict[str, Any]:
        """All that the results depend on: they are those of an earlier run where it is the same."""
        task = self.subject.predictor.task
        return {
            "bundle": self.subject.key,
            "items": digest([_item_key(item, with_truth=task.takes_boxes) for item in self.named.dataset.items]),
            "boxes": [file_digest(self.boxes_file), self.options.bbox_thr] if self.boxes_file else None,
            "limits": str(self.subject.predictor.limits),
        }

    def _numbers(self, results: ResultsFile) -> dict[str, float]:
        scores: dict[str, float] = {}
        for metric in self.metrics:
            scores |= metric.score(results, self.named.dataset)
        return scores

    def _written(self, results: ResultsFile) -> tuple[Path, ...]:
        """The files for a test server, in a folder of the bundle's own."""
        folder = results.path.with_suffix("")
        folder.mkdir(exist_ok=True)
        formats = [metric for metric in self.metrics if isinstance(metric, ResultFormat)]
        return tuple(path for one in formats for path in one.write(results, self.named.dataset, folder))

    def _pictures(self, results: ResultsFile) -> tuple[Path, ...]:
        options = self.options
        if options.show_dir is None:
            return ()
        folder = options.show_dir / _plain(self.subject.name)
        pictures = Pictures(folder, options.worst, options.show_score_thr)
        return tuple(pictures.draw(self.subject.predictor, self.metrics[0], self.named.dataset, results))


def _boxes_file(task: AnyTask, named: NamedDataset, options: EvaluationOptions) -> Path | None:
    """Where a model looks for people; None for the data set's own boxes.

    Raises:
        CompileError: The model looks at whole images.
    """
    if isinstance(task, TopdownPose):
        given = options.bbox_file
        return named.detections if given is None else None if given == NO_FILE else Path(given)
    if options.bbox_file:
        raise CompileError(
            "the model looks at whole images, and into no boxes", where="bbox_file", fix="leave bbox_file out"
        )
    return None


def _require_formats(metrics: tuple[Metric, ...]) -> None:
    if not any(isinstance(metric, ResultFormat) for metric in metrics):
        names = ", ".join(type(metric).__name__ for metric in metrics)
        raise CompileError("no test server's format is known here", where="format_only", why=f"{names} writes none")


def _item_key(item: Any, *, with_truth: bool) -> list[Any]:
    """What tells the file of an item from another one; where a task looks into boxes, they count too."""
    found = item.path.stat()
    return [str(item.path), found.st_size, found.st_mtime_ns, repr(item.truth) if with_truth else ""]


def _plain(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._") or "data"
