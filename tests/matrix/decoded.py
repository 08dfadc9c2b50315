"""What each backend's engine finds in one input, and how far that is from what ONNX Runtime's finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine
from compiler.backends import Session, backend_of
from compiler.proof import proof_of
from compiler.runtime import batch_runner, read_config, task_of
from compiler.tasks import AnyTask
from compiler.tasks.detection import Detection
from compiler.tasks.images import Image
from compiler.tasks.pose import Pose
from compiler.tasks.text_detection import TextInstance
from compiler.tasks.text_recognition import Text
from compiler.tasks.voxel_detection import Detection3D

Floats = NDArray[np.float64]
SHOWN = 10
"""How many results are drawn and compared one by one, the surest first: random weights are sure of nothing."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What an engine finds in the sample of its task.

    Attributes:
        task: Which decoded it.
        results: Everything that was found.
    """

    task: AnyTask
    results: list[Any]

    def drawn(self, threshold: float) -> Image:
        """The sample with what scores as much on it."""
        has_threshold = hasattr(self.task, "score_threshold")
        task: Any = replace(self.task, score_threshold=threshold) if has_threshold else self.task  # type: ignore[type-var]
        return task.draw(task.read(task.sample_source()), self.results)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Apart:
    """How far two lists of results are from each other.

    Attributes:
        found: How many the second has.
        place: The largest distance of a coordinate of one of the surest, in pixels or metres.
        score: The largest difference of their scores.
        whole: How far the lists are apart in all, in the unit of the task's proof.
        unit: That unit.
    """

    found: int
    place: float
    score: float
    whole: float
    unit: str


def decoded(bundle: Path) -> Decoded:
    """What the engine of a bundle, or what stands in for it here, finds in its task's sample."""
    config, engine = read_config(bundle), Engine.load(bundle)
    task = task_of(config, bundle)
    prepared = task.preprocess(task.read(task.sample_source()), config.sizes)
    run = batch_runner(task, _opened(engine).run, engine, config.batch.largest)
    return Decoded(task, task.decode(task.infer(run, prepared.tensors), prepared))


def _opened(engine: Engine) -> Session:
    backend = backend_of(engine)
    return backend.stand_in(engine) if backend.STAND_IN and backend.probe().run_problem else backend.open(engine)


def apart(reference: Decoded, other: Decoded) -> Apart:
    """How far what an engine finds is from what another does."""
    proof = proof_of(reference.task)
    surest = sorted(reference.results, key=lambda one: -float(np.max(scores_of(one))))[:SHOWN]
    couples = [(one, _nearest(one, other.results)) for one in surest]
    places = [_distance(one, two) for one, two in couples]
    scores = [np.abs(scores_of(one) - scores_of(two)).max() if two is not None else np.inf for one, two in couples]
    return Apart(
        found=len(other.results),
        place=float(max(places, default=0.0)),
        score=float(max(scores, default=0.0)),
        whole=float(proof.difference(reference.results, other.results)),
        unit=proof.unit,
    )


def threshold_of(reference: Decoded) -> float:
    """A score that the surest results have, or their parts that have scores of their own: none has it itself, or
    rounding would decide whether that is drawn."""
    scores = np.sort(np.concatenate([np.zeros(1), *(scores_of(one) for one in reference.results)]))
    first = max(1, len(scores) - SHOWN) if len(scores) > 1 else 0
    return float(scores[max(0, first - 1) : first + 1].mean())


def _nearest(one: Any, others: Sequence[Any]) -> Any:
    """The result of the same kind that lies nearest; None where there is none."""
    same = [other for other in others if kind_of(other) == kind_of(one)]
    return min(same, key=lambda other: _distance(one, other), default=None)


def _distance(one: Any, other: Any) -> float:
    return float(np.abs(place_of(one) - place_of(other)).max(initial=0.0)) if other is not None else np.inf


def kind_of(result: Any) -> Any:
    """What two results have to have in common to be the same one: a class, or the characters that were read."""
    return getattr(result, "label", getattr(result, "text", None))


@singledispatch
def place_of(result: Any) -> Floats:
    """Where a result is, in pixels or metres."""
    raise TypeError(f"nothing is known about where {type(result).__name__} is")


@place_of.register
def _(result: Pose) -> Floats:
    return result.keypoints.astype(np.float64).reshape(-1)


@place_of.register
def _(result: Detection | Text | Detection3D) -> Floats:
    return result.box.astype(np.float64)


@place_of.register
def _(result: TextInstance) -> Floats:
    """The box around its outline, which has as many corners as the pixels that it goes around make."""
    return np.concatenate([result.polygon.min(axis=0), result.polygon.max(axis=0)]).astype(np.float64)


def scores_of(result: Any) -> Floats:
    """The scores of a result, `[k]`, one at least."""
    return np.atleast_1d(np.asarray(getattr(result, "scores", getattr(result, "score", 0.0)), np.float64))
