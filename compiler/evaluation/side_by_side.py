"""Run bundles over a data set, and measure what they find. Needs torch for the PyTorch network only."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

from compiler import runtime
from compiler.artifact.lock import is_within_a_bundle
from compiler.errors import Caution, UsageError
from compiler.evaluation.columns import Measuring
from compiler.evaluation.dataset_configs import NamedDataset, find_dataset
from compiler.evaluation.kept_results import writing
from compiler.evaluation.options import EvaluationOptions, with_keywords
from compiler.evaluation.results import Evaluation
from compiler.evaluation.subjects import cautions, open_detector, open_subjects, reference_of, require_bundles

Progress = Callable[[str, int, int], None]
"""Told the heading of what runs, how many items are done, and how many there are."""
USUAL = EvaluationOptions()
MOST_CAUTIONS = 5
"""That are told; the numbers in them may differ from item to item."""


def evaluate(
    bundles: str | PathLike[str] | Sequence[str | PathLike[str]],
    dataset: str | PathLike[str],
    options: EvaluationOptions = USUAL,
    progress: Progress = lambda name, done, items: None,
    **keywords: Any,
) -> Evaluation:
    """Run bundles over a data set, and measure what they find.

    Args:
        bundles: Their folders, or that of one, of any backends and one task.
        dataset: A name in `conf/dataset`, a file of annotations, a folder, or `config`; see `find_dataset`.
        options: What else there is to say.
        progress: Told of every item.
        keywords: The same, by the names that the command line has: `limit=100`, `metric="voc"`, `reference=True`,
            `engine_code=True`; settings of metrics as `metric_settings={"classwise": True}`.

    Raises:
        UsageError: The data set, a metric or a setting is not known.
        CompileError: A bundle cannot be opened, the data set cannot be read or is one of another task, or a file of it
            cannot be used. What was found before is kept, and the same call goes on from there.
    """
    options = with_keywords(options, keywords)
    with _cautions_counted() as caught:
        folders = _listed(bundles)
        require_bundles(folders, options.opening)
        named = _find_dataset(os.fspath(dataset), folders[0], options)
        for folder in (options.output, options.show_dir):
            if folder is not None:
                _make_folder(folder)
        subjects = open_subjects(folders, options.opening, flip_test=options.flip_test)
        if options.reference:
            given = {"checkpoint": options.checkpoint, "model.file": options.file}
            subjects.insert(0, reference_of(subjects[0], options.opening, given))
        detector = open_detector(options.detector, options.opening) if options.detector else None
        measurings = [Measuring.of(subject, named, options, detector) for subject in subjects]
        columns = tuple(one.column(progress) for one in measurings)
        if options.latency:
            from compiler.evaluation.costs import with_costs

            columns = with_costs(columns, options.opening, progress)
    return Evaluation(
        dataset=named.name,
        items=len(named.dataset.items),
        metrics={type(metric).__name__: asdict(metric) for metric in measurings[0].metrics},  # type: ignore[call-overload]
        columns=columns,
        cautions=(*measurings[0].cautions, *cautions(subjects), *_told(caught)),
    )


def _make_folder(folder: Path) -> None:
    """Make a folder that something is written to, before anything runs.

    Raises:
        UsageError: It would lie in a bundle, whose files are as they were compiled.
        CompileError: The operating system refuses it.
    """
    place = folder.resolve()
    if is_within_a_bundle(place):
        what, fix = "the folder would lie in a bundle", "name one elsewhere: output=<folder>, show_dir=<folder>"
        raise UsageError(what, where=str(folder), fix=fix)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _listed(bundles: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """The folder of one bundle, or of several."""
    return [Path(bundles)] if isinstance(bundles, str | PathLike) else list(map(Path, bundles))


def _find_dataset(name: str, bundle: Path, options: EvaluationOptions) -> NamedDataset:
    """The data set, of as many items as are asked for."""
    model = runtime.read_config(bundle, options.opening.modules, options.opening.limits).model
    openmmlab = model.config, model.packages
    named = find_dataset(name, options.data, openmmlab=openmmlab, config_dir=options.config_dir)
    items, limit = named.dataset.items, options.limit
    if limit is not None and limit < len(items):
        items = tuple(items[index * len(items) // limit] for index in range(limit))
    return replace(named, dataset=replace(named.dataset, items=items))


@contextmanager
def _cautions_counted() -> Iterator[Counter[str]]:
    """Count what is cautioned of, each of which an evaluation may meet in thousands of items."""
    counts: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("always", Caution)
        plain = warnings.showwarning

        def count(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, Caution):
                counts[str(message)] += 1
            else:
                plain(message, category, *place, **more)

        warnings.showwarning = count
        yield counts


def _told(counts: Counter[str]) -> Iterator[str]:
    """Yield the most frequent cautions, each with how often it was met."""
    for message, count in counts.most_common(MOST_CAUTIONS):
        yield message if count == 1 else f"{message} ({count} times)"
    if len(counts) > MOST_CAUTIONS:
        yield f"{len(counts) - MOST_CAUTIONS} more cautions"
