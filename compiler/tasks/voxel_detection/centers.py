"""Boxes around the peaks of heat maps: CenterPoint's head (arXiv:2006.11275)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.tasks.voxel_detection.boxes3d import Boxes3D, Floats, concatenate
from compiler.tasks.voxel_detection.decoder import Decoder, Places, best, sigmoid
from compiler.tasks.voxel_detection.nms import circle_nms, rotated_nms, rotated_overlaps, squared_distances

Array = NDArray[np.float32]
Range = tuple[float, float, float, float, float, float]

_CHANNELS = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
_WITH_VELOCITY = 9
_SMALL = 1e-6


@dataclass(frozen=True)
class CenterTask:
    """Classes that are alike, whose boxes exclude each other.

    Attributes:
        class_names: In the order of the heat maps.
    """

    class_names: tuple[str, ...]


@dataclass(frozen=True)
class CenterCoder:
    """How maps become boxes: OpenMMLab's `CenterPointBBoxCoder`.

    Attributes:
        pc_range: Smallest x and y, in metres.
        post_center_range: Smallest and then largest x, y, z that a centre may have.
        max_num: How many peaks of a task are looked at.
        score_threshold: Peaks must score more.
        out_size_factor: How many voxels a cell of the maps is wide.
        voxel_size: Of each voxel along x and y, in metres.
        code_size: Numbers that describe a box: 7, or 9 with its velocity.

    Raises:
        ValueError: Boxes have another number of numbers.
    """

    pc_range: tuple[float, float]
    post_center_range: Range
    out_size_factor: int
    voxel_size: tuple[float, float]
    max_num: int = 100
    score_threshold: float = 0.0
    code_size: int = 9

    def __post_init__(self) -> None:
        if self.code_size not in (7, _WITH_VELOCITY):
            raise ValueError(f"code_size is {self.code_size}, and must be 7 or 9")


@dataclass(frozen=True)
class CenterSelection:
    """Which boxes are kept: OpenMMLab's `test_cfg`.

    Attributes:
        min_radius: With `circle`, for each task: a box is dropped if its centre's distance to a better one's, squared,
            is not more, in square metres.
        nms_type: `circle`, or `rotate` for the overlap of the boxes seen from above.
        score_threshold: With `rotate`, boxes must score as much.
        nms_thr: With `rotate`, a box is dropped if it overlaps a better one of its task by more.
        pre_max_size: With `rotate`, how many boxes of a task are looked at.
        post_max_size: How many boxes of a task are kept.
        post_center_limit_range: With `rotate`, smallest and then largest x, y, z that a centre may have.

    Raises:
        ValueError: There is no such kind of selection.
    """

    min_radius: tuple[float, ...]
    post_center_limit_range: Range
    nms_type: str = "circle"
    score_threshold: float = 0.1
    nms_thr: float = 0.2
    pre_max_size: int = 1000
    post_max_size: int = 83

    def __post_init__(self) -> None:
        if self.nms_type not in ("circle", "rotate"):
            raise ValueError(f"nms_type is {self.nms_type}, and must be circle or rotate")


@dataclass(frozen=True)
class CenterDecoder(Decoder):
    """Decodes the maps of every task as MMDetection3D's `CenterHead` does.

    Attributes:
        tasks: Groups of classes; the classes are counted through them.
        bbox_coder: How maps become boxes.
        test_cfg: Which boxes are kept.
        norm_bbox: Whether the maps hold the logarithms of the boxes' sizes.

    Raises:
        ValueError: There is no radius for a task.
    """

    tasks: tuple[CenterTask, ...]
    bbox_coder: CenterCoder
    test_cfg: CenterSelection
    norm_bbox: bool = True

    def __post_init__(self) -> None:
        if len(self.test_cfg.min_radius) != len(self.tasks):
            raise ValueError(
                f"min_radius has {len(self.test_cfg.min_radius)} items, and there are {len(self.tasks)} tasks"
            )

    @property
    def maps(self) -> tuple[str, ...]:
        """What is predicted about every box."""
        return tuple(_CHANNELS) if self.bbox_coder.code_size == _WITH_VELOCITY else tuple(_CHANNELS)[:-1]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: task by task the maps, and the heat map."""
        return tuple(f"{name}_{index}" for index in range(len(self.tasks)) for name in (*self.maps, "heatmap"))

    def decode(self, outputs: Tensors, item: int, classes: int) -> Boxes3D:
        """The boxes of one item; see `Decoder.decode`."""
        coder, ends = self.bbox_coder, np.cumsum([len(task.class_names) for task in self.tasks]).tolist()
        if ends[-1] != classes:
            raise ValueError(f"there are {classes} classes, and {ends[-1]} in the tasks")
        found = []
        for index, (task, end) in enumerate(zip(self.tasks, ends, strict=True)):
            maps = self._maps(outputs, item, index)
            channels = {**_CHANNELS, "heatmap": len(task.class_names)}
            wrong = [f"{name}_{index}" for name, one in maps.items() if len(one) != channels[name]]
            if wrong:
                raise ValueError(f"{wrong[0]} is {list(outputs[wrong[0]].shape)}, which does not fit its task")
            boxes = self._boxes(maps, best(maps["heatmap"].ravel(), coder.max_num))
            boxes = boxes[(boxes.scores > coder.score_threshold) & _within(boxes.boxes, coder.post_center_range)]
            boxes = boxes[self._surviving(boxes, index)]
            found.append(Boxes3D(boxes.boxes, boxes.scores, boxes.labels + end - len(task.class_names)))
        return _on_the_ground(concatenate(found))

    def places(self, outputs: Tensors, item: int) -> Places:
        """The best peaks of each task; see `Decoder.places`."""
        heats = (self._maps(outputs, item, index)["heatmap"] for index in range(len(self.tasks)))
        return [best(heat.ravel(), self.bbox_coder.max_num) for heat in heats]

    def at(self, outputs: Tensors, item: int, places: Places) -> Boxes3D:
        """The boxes around peaks; see `Decoder.at`."""
        found, first = [], 0
        for index, (task, chosen) in enumerate(zip(self.tasks, places, strict=True)):
            boxes = self._boxes(self._maps(outputs, item, index), chosen)
            found.append(Boxes3D(boxes.boxes, boxes.scores, boxes.labels + first))
            first += len(task.class_names)
        return _on_the_ground(concatenate(found))

    @property
    def threshold(self) -> float:
        """See `Decoder.threshold`."""
        return self.bbox_coder.score_threshold

    def _maps(self, outputs: Tensors, item: int, task: int) -> dict[str, Array]:
        """The maps of a task, by what they hold."""
        return {name: outputs[f"{name}_{task}"][item] for name in (*self.maps, "heatmap")}

    def _boxes(self, maps: dict[str, Array], chosen: NDArray[np.int64]) -> Boxes3D:
        """The boxes around peaks of a task, with the z of their middle, and labels within the task."""
        coder, heat = self.bbox_coder, maps["heatmap"]
        labels, rows, columns = np.unravel_index(chosen, heat.shape)
        at = {name: maps[name][:, rows, columns].T for name in self.maps}
        ground = (np.stack([columns, rows], axis=1).astype(np.float32) + at["reg"]) * np.float32(coder.out_size_factor)
        ground = ground * np.array(coder.voxel_size, np.float32) + np.array(coder.pc_range, np.float32)
        with np.errstate(over="ignore"):  # what a network says may be endless
            sizes = np.exp(at["dim"]) if self.norm_bbox else at["dim"]
        angles = np.arctan2(at["rot"][:, :1], at["rot"][:, 1:])
        parts = [ground, at["height"], sizes, angles, *([at["vel"]] if "vel" in at else [])]
        return Boxes3D(np.concatenate(parts, axis=1), sigmoid(heat[labels, rows, columns]), labels)

    def _surviving(self, boxes: Boxes3D, task: int) -> NDArray[np.int64]:
        """Which boxes of a task nothing suppresses, the best first."""
        config = self.test_cfg
        if config.nms_type == "circle":
            return circle_nms(boxes.boxes[:, :2], boxes.scores, config.min_radius[task])[: config.post_max_size]
        (rows,) = np.nonzero(boxes.scores >= config.score_threshold)
        chosen = boxes[rows]
        limits = config.pre_max_size, config.post_max_size
        rows = rows[rotated_nms(chosen.rectangles, chosen.scores, config.nms_thr, *limits)]
        return rows[_within(boxes.boxes[rows], config.post_center_limit_range)]

    def _task_of(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.tasks)), [len(task.class_names) for task in self.tasks])[labels]

    def exclusion(self, a: Boxes3D, b: Boxes3D) -> NDArray[np.float64]:
        """Overlaps or nearness of boxes of one task, over the threshold; see `Decoder.exclusion`."""
        tasks = self._task_of(a.labels)
        same = tasks[:, None] == self._task_of(b.labels)[None]
        if self.test_cfg.nms_type == "rotate":
            overlaps = rotated_overlaps(a.rectangles, b.rectangles) * same
            return np.asarray(overlaps / max(self.test_cfg.nms_thr, _SMALL))
        apart = squared_distances(a.boxes[:, :2].astype(np.float64), b.boxes[:, :2].astype(np.float64))
        return np.asarray(same * np.array(self.test_cfg.min_radius)[tasks][:, None] / np.maximum(apart, _SMALL))

    def lowest(self, boxes: Boxes3D, label: int) -> float:
        """The threshold, or the lowest score of a task that is full; see `Decoder.lowest`."""
        alike = self._task_of(boxes.labels) == self._task_of(np.array([label]))
        is_full = alike.sum() == self.test_cfg.post_max_size
        return float(boxes.scores[alike].min()) if is_full else self.threshold


def _on_the_ground(boxes: Boxes3D) -> Boxes3D:
    """Boxes whose z is that of the middle, with that of the bottom."""
    placed = boxes.boxes.copy()
    placed[:, 2] -= placed[:, 5] * np.float32(0.5)
    return Boxes3D(placed, boxes.scores, boxes.labels)


def _within(boxes: Floats, limits: Range) -> NDArray[np.bool_]:
    low, high = np.array(limits, np.float32).reshape(2, 3)
    return np.asarray(((boxes[:, :3] >= low) & (boxes[:, :3] <= high)).all(axis=1))
