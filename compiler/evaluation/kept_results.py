"""Where results are kept, and whose they are: a later run goes on from them where they are of the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from compiler.artifact import digest
from compiler.datasets.dataset import Dataset
from compiler.errors import CompileError
from compiler.evaluation.results_file import ResultsFile
from compiler.evaluation.subjects import Subject


@contextmanager
def kept_results(
    folder: Path, subject: Subject, dataset: Dataset, kind: type[Any], boxes: Mapping[str, Any] | None = None
) -> Iterator[ResultsFile]:
    """The file of what a subject finds in a data set, which no other process writes meanwhile.

    Args:
        folder: Where it lies.
        subject: What runs.
        dataset: What it looks at.
        kind: The class of the results.
        boxes: What says where it looks; None where the data set does.

    Raises:
        CompileError: Another process writes it, or the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    header = _header(subject, dataset, boxes)
    path = folder / f"{plain_name(subject.name)}-{digest(header)[:8]}.jsonl"
    with ExitStack() as locks:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                locks.enter_context(FileLock(path.with_suffix(".lock"), timeout=0))
            except Timeout as error:
                what = "another process evaluates the same"
                raise CompileError(what, where=str(path), fix="wait until it ends") from error
            results = ResultsFile.continued(path, kind, len(dataset.items), header)
        yield results


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses while results are written into a clear error.

    Raises:
        CompileError: It refuses something.
    """
    try:
        yield
    except OSError as error:
        raise CompileError(
            "the results cannot be written",
            where=str(error.filename or path),
            why=error.strerror or str(error),
            fix="write elsewhere: output=<folder>, show_dir=<folder>",
        ) from error


def plain_name(name: str) -> str:
    """A name as that of a file."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("._") or "data"


def _header(subject: Subject, dataset: Dataset, boxes: Mapping[str, Any] | None) -> dict[str, Any]:
    """All that results depend on: they are those of an earlier run where it is the same."""
    takes_boxes = subject.predictor.task.takes_boxes
    return {
        "bundle": subject.key,
        "items": digest([_item_key(item, with_truth=takes_boxes and boxes is None) for item in dataset.items]),
        "boxes": boxes,
        "limits": str(subject.predictor.limits),
    }


def _item_key(item: Any, *, with_truth: bool) -> list[Any]:
    """What tells an item from another one: its file, and its number, by which boxes of a detector are found; where a
    task looks into the data set's own boxes, they count too."""
    found = item.path.stat()
    truth = repr(item.truth) if with_truth else ""
    return [str(item.path), item.identity, found.st_size, found.st_mtime_ns, truth]
