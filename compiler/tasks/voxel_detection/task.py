"""Objects of known classes, in the point clouds of a laser scanner."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import Caution, CompileError
from compiler.tasks import Sample, Task
from compiler.tasks.classes import Classes, color_of
from compiler.tasks.inputs import POINTS, InputKind
from compiler.tasks.points import Points, read_points
from compiler.tasks.voxel_detection.birdseye import BirdsEye, Marked
from compiler.tasks.voxel_detection.decoder import Decoder
from compiler.tasks.voxel_detection.voxelization import Voxelization, Voxels, padded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from compiler.config.sizes import SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]

_BOX = 7
_KITTI_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Detection3D:
    """One object.

    Attributes:
        bottom: `[3]`, x, y, z of the middle of its box's bottom, in metres.
        size: `[3]`, length along x, width along y and height of the box before it is turned, in metres.
        yaw: Angle in radians by which it is turned about z, from x towards y.
        score: How sure the network is, from 0 to 1.
        label: Index of its class.
        name: Its class.
        velocity: `[2]`, along x and y, in metres a second; None where the network does not tell.
        item: Which cloud of the batch it is in.
    """

    bottom: Floats
    size: Floats
    yaw: float
    score: float
    label: int
    name: str
    velocity: Floats | None = None
    item: int = 0

    @property
    def center(self) -> Floats:
        """`[3]`, the middle of the box, in metres."""
        return self.bottom + np.array([0, 0, self.size[2] / 2], np.float32)

    @property
    def box(self) -> Floats:
        """`[7]`: `bottom`, `size` and `yaw`, as a `Boxes3D` has them."""
        return np.array([*self.bottom, *self.size, self.yaw], np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The detection as JSON can hold it: its fields, with arrays as lists."""
        return {
            "bottom": self.bottom.tolist(),
            "size": self.size.tolist(),
            "yaw": self.yaw,
            "score": self.score,
            "label": self.label,
            "name": self.name,
            "velocity": None if self.velocity is None else self.velocity.tolist(),
            "item": self.item,
        }


@dataclass(frozen=True, eq=False)
class PreparedVoxels:
    """Voxels of point clouds, ready for the network.

    Attributes:
        tensors: `voxels` `[v, p, d]`, `num_points` `[v]`, and `coors` `[v, 4]`: cloud, z, y, x.
        clouds: How many clouds they are of.
    """

    tensors: dict[str, NDArray[Any]]
    clouds: int


@dataclass(frozen=True)
class VoxelDetection(Task[Points, PreparedVoxels, Detection3D]):
    """Detection of objects in point clouds, as MMDetection3D 1.4.0 does it.

    Attributes:
        voxelization: How points are sorted into voxels.
        point_dimensions: How many numbers a row of a file has.
        used_dimensions: How many of them the network looks at.
        classes: Names of the objects it finds.
        decoder: How the network's outputs become boxes.
        score_threshold: Detections that score less are not drawn.

    Raises:
        ValueError: Rows have fewer than three numbers or fewer than are used, or the classes are not unique.
    """

    name: ClassVar[str] = "voxel-detection"
    proof: ClassVar[str] = "compiler.proof.voxel_detection:VoxelDetectionProof"
    result_class: ClassVar[type[Any] | None] = Detection3D
    looks_at: ClassVar[InputKind] = POINTS
    sides: ClassVar[tuple[str, ...]] = ("voxels",)
    axes: ClassVar[Mapping[str, Mapping[int, str]]] = {
        "voxels": {0: "voxels"},
        "num_points": {0: "voxels"},
        "coors": {0: "voxels"},
    }

    voxelization: Voxelization
    point_dimensions: int
    used_dimensions: int
    classes: tuple[str, ...]
    decoder: Decoder
    score_threshold: float = 0.3

    def __post_init__(self) -> None:
        if not 3 <= self.used_dimensions <= self.point_dimensions:
            raise ValueError("used_dimensions must be at least 3, and point_dimensions at least as many")
        Classes(self.classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: the decoder's."""
        return self.decoder.outputs

    def read(
        self, source: str | PathLike[str] | NDArray[Any], box: Any = None, limits: Limits = DEFAULT_LIMITS
    ) -> Sample[Points]:
        """A point cloud, `[n, used_dimensions]`; see `read_points`. Boxes are refused: it looks at whole clouds."""
        if box is not None:
            raise CompileError(
                "a voxel detector looks at the whole point cloud",
                where=f"box {box}",
                fix="give no box; to search a part of a cloud, leave out the points of the rest",
            )
        return Sample(read_points(source, self.point_dimensions, self.used_dimensions, limits))

    def preprocess(self, sample: Sample[Points], sizes: SizeRange | None = None) -> PreparedVoxels:
        """The points of a cloud, sorted into voxels; see `Task.preprocess`.

        Those that the engine cannot take are left out, with a `Caution`; where it needs more, the last is repeated.
        """
        voxels = self.voxels(sample.source)
        if sizes:
            count, (taken,) = len(voxels.voxels), sizes.fit(len(voxels.voxels))
            if count > taken:
                warnings.warn(_cut(count, taken), Caution, stacklevel=2)
            voxels = padded(voxels, taken)
        return prepared_clouds([voxels])

    def voxels(self, points: Points) -> Voxels:
        """The voxels of a cloud, of which there is at least one."""
        if points.ndim != 2 or points.shape[1] != self.used_dimensions:
            raise ValueError(f"points are [n, {self.used_dimensions}], not {list(points.shape)}")
        voxels = self.voxelization(points)
        if not len(voxels.voxels):
            low, high = np.array(self.voxelization.point_cloud_range).reshape(2, 3).tolist()
            raise CompileError(
                "no point of the cloud is where the model looks",
                where=f"{len(points)} points from {_rounded(points.min(axis=0))} to {_rounded(points.max(axis=0))}",
                why=f"it looks from {low} to {high}: x, y, z in metres",
                fix="give the points in metres in the frame of the model's dataset: the scanner's, with z upwards",
            )
        return voxels

    def decode(self, outputs: Tensors, prepared: PreparedVoxels) -> list[Detection3D]:
        """What was found, cloud by cloud and the best first; see `Task.decode`."""
        results = []
        for item in range(min(prepared.clouds, len(outputs[self.outputs[0]]))):
            found = self.decoder.decode(outputs, item, len(self.classes))
            found = found[np.argsort(-found.scores, kind="stable")]
            numbers = found.boxes[:, 6].tolist(), found.scores.tolist(), found.labels.tolist()
            for box, yaw, score, label in zip(found.boxes, *numbers, strict=True):
                velocity = box[_BOX:] if len(box) > _BOX else None
                results.append(Detection3D(box[:3], box[3:6], yaw, score, label, self.classes[label], velocity, item))
        return results

    def draw(self, sample: Sample[Points], results: Sequence[Detection3D]) -> Image:
        """The cloud from above, and on it the detections that score at least `score_threshold`."""
        marks = [
            Marked(one.box, f"{one.name} {one.score:.2f}", color_of(one.label))
            for one in sorted(results, key=lambda one: one.score)
            if one.score >= self.score_threshold
        ]
        return BirdsEye(self.voxelization.point_cloud_range).draw(sample.source, marks)

    def sample_source(self) -> Path:
        """A simulated scan of a street, with the columns that the model's dataset has."""
        name = "kitti.bin" if self.point_dimensions == _KITTI_COLUMNS else "nuscenes.bin"
        return Path(__file__).parents[1] / "pointclouds" / name


def prepared_clouds(clouds: Sequence[Voxels]) -> PreparedVoxels:
    """The voxels of several clouds, one after the other."""
    coors = [np.insert(cloud.coors, 0, index, axis=1) for index, cloud in enumerate(clouds)]
    tensors: dict[str, NDArray[Any]] = {
        "voxels": np.concatenate([cloud.voxels for cloud in clouds]),
        "num_points": np.concatenate([cloud.num_points for cloud in clouds]),
        "coors": np.concatenate(coors),
    }
    return PreparedVoxels(tensors, len(clouds))


def _cut(count: int, taken: int) -> str:
    return (
        f"the result is made of a part of the cloud: it fills {count} voxels, and the engine takes the first {taken}. "
        f"Compile for as many: shape=static_{count}, or shape=dynamic_{taken}-{count}"
    )


def _rounded(numbers: Floats) -> list[float]:
    return [round(float(number), 2) for number in numbers[:3]]
