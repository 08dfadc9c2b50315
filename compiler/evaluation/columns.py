"""One column of an evaluation: what is run, where its results are kept, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler.errors import CompileError, UsageError
from compiler.evaluation.dataset_configs import NamedDataset
from compiler.evaluation.kept_results import kept_results, plain_name, writing
from compiler.evaluation.metric_selection import (
    find_metrics,
    openmmlab_nodes,
    require_files,
    require_truth,
    unknown_evaluators,
)
from compiler.evaluation.options import NO_FILE, EvaluationOptions
from compiler.evaluation.people import DetectionsFile, Detector
from compiler.evaluation.pictures import SCORE_THRESHOLD, Pictures
from compiler.evaluation.records import result_class
from compiler.evaluation.results import Column
from compiler.evaluation.results_file import ResultsFile
from compiler.evaluation.running import Runner
from compiler.evaluation.spotting import Spotter
from compiler.evaluation.subjects import Subject
from compiler.metrics import Metric, ResultFormat
from compiler.runtime.text_spotting import Word
from compiler.tasks.pose import TopdownPose
from compiler.tasks.text_recognition import TextRecognition


@dataclass(frozen=True)
class Measuring:
    """A bundle on a data set, checked: they go together, and all files are there.

    Attributes:
        subject: What runs.
        named: The data set.
        metrics: As the bundle's model on the data set calls for them.
        people: Where a pose model looks; None for the data set's own boxes, and for other models.
        spotter: The reader of text that the bundle is, behind a detector of text; None where there is no such detector.
        options: Of the evaluation.
        cautions: What one has to know about what is measured.
    """

    subject: Subject
    named: NamedDataset
    metrics: tuple[Metric, ...]
    people: DetectionsFile | Detector | None
    spotter: Spotter | None
    options: EvaluationOptions
    cautions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, subject: Subject, named: NamedDataset, options: EvaluationOptions, detector: Subject | None
    ) -> Measuring:
        """Check that a bundle can be measured on a data set.

        Raises:
            UsageError: There is no such metric or setting, or boxes are given to what looks at whole images.
            CompileError: The data set is one of another task or lacks files, or a metric writes no results.
        """
        task, dataset = subject.predictor.task, named.dataset
        spotter = Spotter.of(detector, subject) if detector and task.name == TextRecognition.name else None
        people = None if spotter else _people(subject, named, options, detector)
        _refuse_idle(subject, options, looks_into_scored_boxes=people is not None, reads_pages=spotter is not None)
        name = spotter.task if spotter else task.name
        result_class(task, scored_boxes=people is not None)
        require_files(task, dataset, named.name)
        if not options.format_only or (isinstance(task, TopdownPose) and people is None):
            require_truth(task, dataset, named.name)
        evaluators = () if options.metrics or named.metrics else named.evaluators
        nodes = named.metrics or openmmlab_nodes(name, evaluators)
        found = find_metrics(name, named.format, nodes, options.metrics, options.settings)
        metrics = tuple(metric.fitted(task, dataset) for metric in found)
        if options.format_only:
            _require_formats(metrics)
        return cls(subject, named, metrics, people, spotter, options, tuple(unknown_evaluators(name, evaluators)))

    def column(self, progress: Callable[[str, int, int], None]) -> Column:
        """Run the bundle over what an earlier run has not looked at, and measure all that was found.

        Raises:
            CompileError: A file cannot be read, or results cannot be written.
        """
        subject, dataset = self.subject, self.named.dataset
        found = self.people.found(dataset, self.options, self.folder, progress) if self.people else None
        kind = Word if self.spotter else result_class(subject.predictor.task, scored_boxes=found is not None)
        before = self.spotter or self.people
        with kept_results(self.folder, subject, dataset, kind, before.key if before else None) as results:
            runner = (
                self.spotter.runner(dataset)
                if self.spotter
                else Runner(subject.predictor, dataset, found, self.options.worker_count)
            )
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
                tools=subject.tools,
            )

    @property
    def folder(self) -> Path:
        """Where the results on this data set are kept."""
        return self.options.output / plain_name(Path(self.named.name).stem)

    def _numbers(self, results: ResultsFile) -> dict[str, float]:
        scores: dict[str, float] = {}
        for metric in self.metrics:
            scores |= metric.score(results, self.named.dataset)
        return scores

    def _written(self, results: ResultsFile) -> tuple[Path, ...]:
        """The files for a test server, in a folder of the bundle's own."""
        folder = results.path.with_suffix("")
        formats = [metric for metric in self.metrics if isinstance(metric, ResultFormat)]
        with writing(folder):
            folder.mkdir(exist_ok=True)
            return tuple(path for one in formats for path in one.write(results, self.named.dataset, folder))

    def _pictures(self, results: ResultsFile) -> tuple[Path, ...]:
        options = self.options
        if options.show_dir is None:
            return ()
        folder = options.show_dir / plain_name(self.subject.name)
        least = SCORE_THRESHOLD if options.show_score_thr is None else options.show_score_thr
        pictures = Pictures(folder, options.worst, least)
        drawing = self.spotter.spotter if self.spotter else self.subject.predictor
        return tuple(pictures.draw(drawing, self.metrics[0], self.named.dataset, results))


def _people(
    subject: Subject, named: NamedDataset, options: EvaluationOptions, detector: Subject | None
) -> DetectionsFile | Detector | None:
    """Where a model looks for people; None for the data set's own boxes.

    Raises:
        CompileError: The model looks at whole images, or the detector finds no people.
    """
    if not isinstance(subject.predictor.task, TopdownPose):
        _refuse_boxes(options)
        return None
    if detector is not None:
        return Detector.of(detector, subject, options.bbox_thr)
    given = options.bbox_file
    file = named.detections if given is None else None if given == NO_FILE else Path(given)
    return None if file is None else DetectionsFile(file, options.bbox_thr or 0.0)


def _refuse_idle(
    subject: Subject, options: EvaluationOptions, *, looks_into_scored_boxes: bool, reads_pages: bool
) -> None:
    """Refuse options that would change nothing.

    Raises:
        UsageError: There is such a one.
    """
    if options.bbox_thr is not None and not looks_into_scored_boxes:
        why = "it leaves out people that a detector found, and here none looks for people"
        raise UsageError(
            "bbox_thr changes nothing", where=f"bbox_thr={options.bbox_thr:g}", why=why, fix="leave it out"
        )
    drawn_by_score = hasattr(subject.predictor.task, "score_threshold") and not reads_pages
    if options.show_score_thr is not None and not drawn_by_score:
        where, what = f"show_score_thr={options.show_score_thr:g}", "all that is read is drawn"
        raise UsageError(what, where=where, fix="leave it out")


def _refuse_boxes(options: EvaluationOptions) -> None:
    for name in ("bbox_file", "detector"):
        if getattr(options, name) is not None:
            what = "the model looks at whole images, and into no boxes"
            raise CompileError(what, where=name, fix=f"leave {name} out")


def _require_formats(metrics: tuple[Metric, ...]) -> None:
    if not any(isinstance(metric, ResultFormat) for metric in metrics):
        names = ", ".join(type(metric).__name__ for metric in metrics)
        raise CompileError("no test server's format is known here", where="format_only", why=f"{names} writes none")
