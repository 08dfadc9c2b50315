"""KITTI's average precision in the image, from above and in space, as MMDetection3D 1.4.0's `KittiMetric` computes it.

https://www.cvlibs.net/datasets/kitti/eval_object.php, with 11 recalls as it was first and with 40 as it is today
(arXiv:1905.12365).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact.files import write_text
from compiler.datasets.dataset import CameraFrame, Dataset, Item
from compiler.datasets.kitti import DONT_CARE
from compiler.errors import CompileError
from compiler.metrics.checks import require_numbers
from compiler.metrics.clouds import require_frame, solids_of
from compiler.metrics.kitti_frames import Found, Frame, Truth, found_in_frame, true_in_frame
from compiler.metrics.kitti_matching import Candidates, precision_curve
from compiler.metrics.metric import Metric, Predictions
from compiler.tasks import AnyTask
from compiler.tasks.voxel_detection import Detection3D, VoxelDetection

Booleans = NDArray[np.bool_]

MINIMA: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "Car": {"3D": (0.7, 0.5), "BEV": (0.7, 0.5), "2D": (0.7, 0.7)},
    "Pedestrian": {"3D": (0.5, 0.25), "BEV": (0.5, 0.25), "2D": (0.5, 0.5)},
    "Cyclist": {"3D": (0.5, 0.25), "BEV": (0.5, 0.25), "2D": (0.5, 0.5)},
}
"""For each class and measure the overlap beyond which an object is found: KITTI's own, and a looser one."""
STRICTNESS = ("strict", "loose")
NEIGHBOURS: Mapping[str, str] = {"Car": "Van", "Pedestrian": "Person_sitting"}
"""What is like a class, and counts neither way where it is taken for it."""


@dataclass(frozen=True)
class Difficulty:
    """Which objects count.

    Attributes:
        name: As in the names of the numbers.
        height: Pixels that their boxes in the image must be higher than.
        occlusion: How far they may be hidden.
        truncation: The share of them that may lie outside of the image.
    """

    name: str
    height: float
    occlusion: int
    truncation: float


DIFFICULTIES = (
    Difficulty("easy", 40, 0, 0.15),
    Difficulty("moderate", 25, 1, 0.3),
    Difficulty("hard", 25, 2, 0.5),
)


@dataclass(frozen=True)
class Kitti(Metric):
    """MMDetection3D's `KittiMetric`.

    Attributes:
        classes: Those that are measured, of `MINIMA`; none for those that the model looks for.
        pcd_limit_range: Smallest and then largest x, y, z, in metres, that the bottom of what was found may have.
    """

    TASKS: ClassVar[tuple[str, ...]] = ("voxel-detection",)
    HEADLINE: ClassVar[str] = "KITTI/Overall_3D_AP40_moderate"

    classes: tuple[str, ...] = ()
    pcd_limit_range: tuple[float, float, float, float, float, float] = (0, -40, -3, 70.4, 40, 0.0)

    def fitted(self, task: AnyTask, dataset: Dataset) -> Kitti:
        """The metric for the classes of a model."""
        looked_for = task.classes if isinstance(task, VoxelDetection) else dataset.classes
        classes = self.classes or tuple(one for one in looked_for if one in MINIMA)
        unknown = [one for one in classes if one not in MINIMA or one not in looked_for]
        if unknown or not classes:
            raise CompileError(
                "KITTI does not say how these classes are measured",
                where=", ".join(unknown or looked_for),
                why=f"it does for {', '.join(MINIMA)}, of which a model looks for some",
                fix="evaluate a model of KITTI's classes",
            )
        return replace(self, classes=classes)

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """Average precisions in per cent, by class, measure, recalls, difficulty and strictness."""
        frames = list(self._frames(predictions, dataset))
        by_class = {one: _precisions(frames, one) for one in self._measured(dataset)}
        scores: dict[str, float] = {}
        for points in ("AP11", "AP40"):
            for name, numbers in by_class.items():
                scores |= {f"KITTI/{name}_{key}": value for key, value in numbers.items() if points in key}
            for difficulty in DIFFICULTIES:
                for measure in ("3D", "BEV", "2D"):
                    key = f"{measure}_{points}_{difficulty.name}"
                    of_classes = [numbers[f"{key}_strict"] for numbers in by_class.values()]
                    scores[f"KITTI/Overall_{key}"] = float(np.mean(of_classes)) if of_classes else float("nan")
        return scores

    def loss(self, found: Sequence[Detection3D], dataset: Dataset) -> float:
        """One minus the harmonic mean of recall and precision in space, at the score where it is the highest.

        Average precision says nothing of a single frame: of the recalls it is taken at, few objects reach few.
        """
        (frame,) = self._frames([found], dataset)
        thresholds = np.unique(frame.found.scores)
        true, hits, errors = 0, np.zeros(len(thresholds)), np.zeros(len(thresholds))
        for name in self._measured(dataset):
            minimum, _ = MINIMA[name]["3D"]
            candidates = _candidates(frame, name, "3D", DIFFICULTIES[-1], minimum)
            of_class = candidates.hits_and_errors(minimum, thresholds)
            true, hits, errors = true + candidates.true, hits + of_class[0], errors + of_class[1]
        if not true:
            return float("nan")
        return 1 - float((2 * hits / (true + hits + errors)).max(initial=0))

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """A file for each frame, with an object in each line, as KITTI's own labels are, and their scores."""
        files = []
        for item, found in zip(dataset.items, predictions, strict=True):
            files.append(folder / f"{item.path.stem}.txt")
            write_text(files[-1], "".join(_lines(self._found(item, found), item.path.stem)))
        return tuple(files)

    def _measured(self, dataset: Dataset) -> tuple[str, ...]:
        """The classes that are measured."""
        return self.classes or tuple(one for one in MINIMA if one in dataset.classes)

    def _frames(self, predictions: Predictions, dataset: Dataset) -> Iterator[Frame]:
        """Yield every frame with what is true and what was found."""
        for item, found in zip(dataset.items, predictions, strict=True):
            yield Frame(true_in_frame(solids_of(item), _frame(item)), self._found(item, found))

    def _found(self, item: Item, found: Sequence[Detection3D]) -> Found:
        return found_in_frame(found, _frame(item), self.pcd_limit_range)


def _frame(item: Item) -> CameraFrame:
    return require_frame(
        item,
        CameraFrame,
        "camera",
        why="KITTI's objects are measured by their boxes in its image too: calib/ has a line P2: for it",
        fix="evaluate on a data set in KITTI's own files",
    )


def _precisions(frames: Sequence[Frame], name: str) -> dict[str, float]:
    """The average precisions of one class by measure, recalls, difficulty and strictness."""
    numbers: dict[str, float] = {}
    for strictness, difficulty in ((one, other) for one in range(2) for other in DIFFICULTIES):
        for measure, minima in MINIMA[name].items():
            candidates = [_candidates(frame, name, measure, difficulty, minima[strictness]) for frame in frames]
            curve = precision_curve(candidates, minima[strictness])
            suffix = f"{difficulty.name}_{STRICTNESS[strictness]}"
            numbers[f"{measure}_AP11_{suffix}"] = float(curve[::4].sum() / 11 * 100)
            numbers[f"{measure}_AP40_{suffix}"] = float(curve[1:].sum() / 40 * 100)
    return numbers


def _candidates(frame: Frame, name: str, measure: str, difficulty: Difficulty, minimum: float) -> Candidates:
    """What of a frame counts for a class at a difficulty."""
    truth, found = frame.truth, frame.found
    # An object of another class that is too small is ignored too, and not left out: so does KITTI.
    is_small = np.abs(found.heights) < difficulty.height
    looked_at = np.flatnonzero((found.names == name.lower()) | is_small)
    is_class = truth.names == name.lower()
    is_alike = truth.names == NEIGHBOURS.get(name, "").lower()
    columns = np.flatnonzero(is_class | is_alike)
    return Candidates(
        overlaps=frame.overlaps[measure][np.ix_(looked_at, columns)],
        ignored_truth=(is_alike | _is_hard(truth, difficulty))[columns],
        ignored_found=is_small[looked_at],
        scores=found.scores[looked_at],
        covered=_covered(frame, minimum)[looked_at] if measure == "2D" else np.zeros(len(looked_at), bool),
    )


def _is_hard(truth: Truth, difficulty: Difficulty) -> Booleans:
    return np.asarray(
        (truth.occlusion > difficulty.occlusion)
        | (truth.truncation > difficulty.truncation)
        | (truth.heights <= difficulty.height)
    )


def _covered(frame: Frame, minimum: float) -> Booleans:
    """Which of what was found lies in a region that is not labelled."""
    regions = frame.truth.names == DONT_CARE.lower()
    return np.asarray((frame.shares[:, regions] > minimum).any(axis=1))


def _lines(found: Found, frame: str) -> Iterator[str]:
    """Yield the objects of a frame as KITTI's server reads them."""
    for row, name in enumerate(found.spellings):
        x, y, z, length, height, width, rotation = found.boxes[row]
        numbers = [found.angles[row], *found.image_boxes[row], height, width, length, x, y, z, rotation]
        score = float(found.scores[row])
        require_numbers({"score": score, "box": list(map(float, numbers))}, frame)
        yield f"{name} -1 -1 {' '.join(f'{number:.4f}' for number in (*numbers, score))}\n"
