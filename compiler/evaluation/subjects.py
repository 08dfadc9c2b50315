"""What is evaluated: bundles, and the PyTorch network that one of them was made from, each open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler import runtime
from compiler.artifact import LOCK_FILE, digest, file_digest, file_digests, installed_version, lock_of, source_digest
from compiler.artifact.source_code import code_contents
from compiler.backends import Backend
from compiler.errors import CompileError, UsageError
from compiler.runtime import Predictor
from compiler.runtime.opening import Opening

REFERENCE = "PyTorch"
"""The heading of the network that a bundle was made from."""
LIBRARIES = ("numpy", "opencv-python-headless", "pyclipper")
"""That take part in running any bundle."""
LEAST_SCORE = 0.05
"""Evaluations need what scores as little as this."""


@dataclass(frozen=True)
class Subject:
    """One column of an evaluation.

    Attributes:
        name: Its heading.
        bundle: Where it lies, or that which it was made for.
        backend: What runs it.
        precision: Of the engine.
        key: The digest of all that its results depend on, but for the data.
        tools: The machine, and the versions of the libraries that its results depend on, by name.
        predictor: Open.
    """

    name: str
    bundle: Path
    backend: str
    precision: str
    key: str
    tools: Mapping[str, str]
    predictor: Predictor


def require_bundles(bundles: Sequence[Path], opening: Opening) -> None:
    """Refuse what are no bundles, before anything is read of a data set.

    Raises:
        UsageError: There is none, or one stands there twice.
        CompileError: One is no bundle.
    """
    if not bundles:
        raise UsageError("there is no bundle to evaluate", where="command line", fix="name the folder of one")
    places = [bundle.resolve() for bundle in bundles]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise UsageError("a bundle stands there twice", where=str(twice), fix="name each once")
    for bundle in bundles:
        lock_of(bundle, opening.trust_changes)


def open_subjects(bundles: Sequence[Path], opening: Opening, *, flip_test: bool | None) -> list[Subject]:
    """The bundles, open.

    Raises:
        CompileError: One cannot be opened, or they do different tasks.
    """
    subjects = [_open(bundle, opening, flip_test) for bundle in bundles]
    _require_same_task(subjects)
    return _named(subjects)


def open_detector(bundle: Path, opening: Opening) -> Subject:
    """The bundle of a detector, open, called by its folder.

    Raises:
        CompileError: It cannot be opened.
    """
    return replace(_open(bundle, opening, None), name=bundle.resolve().name)


def _open(bundle: Path, opening: Opening, flip_test: bool | None) -> Subject:
    predictor, contents = opening.predictor(bundle), opening.contents(bundle)
    backend, tools = contents.backend, tools_of(contents.backend)
    files = file_digests(bundle) if opening.trust_changes else file_digest(bundle / LOCK_FILE)
    own = source_digest([Path(runtime.__file__).parents[1]])
    theirs = code_contents(sorted(opening.modules))
    key = digest({"files": files, "code": [own, theirs], "flip_test": flip_test, "tools": tools})
    return Subject("", bundle, backend.name, contents.config.precision, key, tools, _flipping(predictor, flip_test))


def tools_of(backend: Backend) -> dict[str, str]:
    """What results depend on beside a bundle's files: this machine and the versions of libraries, by name."""
    versions = {name: installed_version(name) for name in LIBRARIES}
    return {**versions, **backend.machine(), backend.name: backend.probe().version}


def _flipping(predictor: Predictor, flip_test: bool | None) -> Predictor:
    """A predictor that looks at mirrored crops too, or does not.

    Raises:
        UsageError: Its task knows no such thing.
    """
    if flip_test is None:
        return predictor
    task: Any = predictor.task
    if not hasattr(task, "flip_test"):
        raise UsageError(
            f"{task.name} has no flip test", where=f"flip_test={str(flip_test).lower()}", fix="leave it out"
        )
    return replace(predictor, task=replace(task, flip_test=flip_test))


def _require_same_task(subjects: Sequence[Subject]) -> None:
    tasks = {subject.predictor.task.name: subject.bundle for subject in subjects}
    if len(tasks) > 1:
        raise CompileError(
            "the bundles do different things, and are not measured alike",
            where="bundles",
            why=", ".join(f"{bundle.name}: {task}" for task, bundle in tasks.items()),
            fix="evaluate those of one task together",
        )


def reference_of(subject: Subject, opening: Opening, given: Mapping[str, str | None]) -> Subject:
    """The network that a bundle was made from, which is given the very inputs that the bundle is.

    Args:
        subject: The bundle.
        opening: How it was opened.
        given: The files that it was made from, by the keys of its config; None for those that are looked for.

    Raises:
        CompileError: See `compiler.evaluation.reference.open_network`.
    """
    from compiler.evaluation.reference import open_network

    network = open_network(subject.bundle, opening, {key: name for key, name in given.items() if name is not None})
    predictor = replace(subject.predictor, session=network)
    tools = {**subject.tools, "torch": installed_version("torch"), "onnxruntime": installed_version("onnxruntime")}
    key = digest({"bundle": subject.key, "network": network.key, "tools": tools})
    return Subject(REFERENCE, subject.bundle, "pytorch", network.precision, key, tools, predictor)


def _named(subjects: Sequence[Subject]) -> list[Subject]:
    """The subjects with headings of their own: the backend and the precision, or what their folders are called."""
    short = [f"{subject.backend} {subject.precision}" for subject in subjects]
    folders = [subject.bundle.name for subject in subjects]
    names = [
        name if short.count(name) == 1 else folder if folders.count(folder) == 1 else str(subject.bundle)
        for name, folder, subject in zip(short, folders, subjects, strict=True)
    ]
    return [replace(subject, name=name) for subject, name in zip(subjects, names, strict=True)]


def cautions(subjects: Sequence[Subject]) -> list[str]:
    """What makes a model's score lower than it could be."""
    found = []
    for subject in subjects:
        least = getattr(getattr(subject.predictor.task, "test_cfg", None), "score_thr", 0.0)
        if least > LEAST_SCORE:
            found.append(
                f"{subject.name} drops what scores less than {least:g}, as it was compiled: its average precision is "
                "lower than the model's. Compile it with model.processing.test_cfg.score_thr=0.001"
            )
    return found
