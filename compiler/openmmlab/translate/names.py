"""What a network finds: the names of its classes and key points."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from compiler.config.class_names import described, read_names, shipped_names, unnamed
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate.data import Described, TestData
from compiler.openmmlab.translate.parts import plain, refuse

_CLASSES = {"CocoDataset": "coco", "VOCDataset": "voc", "CityscapesDataset": "cityscapes"}
"""Our files for data sets of MMDetection, whose classes are in its code."""

_KEYPOINTS = {
    "AP10KDataset": "ap10k", "AicDataset": "aic", "AnimalPoseDataset": "animalpose", "COFWDataset": "cofw",
    "CocoDataset": "coco", "CocoWholeBodyDataset": "coco_wholebody", "CocoWholeBodyFaceDataset": "coco_wholebody_face",
    "CocoWholeBodyHandDataset": "coco_wholebody_hand", "CrowdPoseDataset": "crowdpose", "ExlposeDataset": "exlpose",
    "Face300WDataset": "300w", "FreiHandDataset": "freihand2d", "HalpeDataset": "halpe", "Horse10Dataset": "horse10",
    "HumanArtDataset": "humanart", "JhmdbDataset": "jhmdb", "LapaDataset": "lapa", "MpiiDataset": "mpii",
    "OneHand10KDataset": "onehand10k", "PanopticHand2DDataset": "panoptic_hand2d", "PoseTrack18Dataset": "posetrack18",
    "Rhd2DDataset": "rhd2d", "UBody2dDataset": "ubody2d", "WFLWDataset": "wflw",
}  # fmt: skip
"""The file that says what the points of a data set of MMPose are, where its config does not: a `_base_` of its own."""

_GREEN = (0, 255, 0)

Named = tuple[dict[str, Any], bool]
"""The node of classes or key points, and whether the config says it: else its data set is known for them."""


def classes(data: TestData, source: Path, count: int) -> dict[str, Any]:
    """The node of `count` classes: as the config names them, else the data set, else `class_0` and so on.

    Args:
        data: Of the test.
        source: The config's file.
        count: Of the network. Other names that the config gives are kept: who composes the model refuses them.
    """
    found = _fitting((named for one in data.described for named in _classes_of(one, source)), count)
    return found or described("classes", unnamed("classes", count))


def keypoints(data: TestData, source: Path, count: int) -> dict[str, Any]:
    """The node of `count` key points: as the config names them, else the data set, else `point_0` and so on; likewise.

    Raises:
        CompileError: The config names a file of key points that is not there.
    """
    found = _fitting((named for one in data.described for named in _keypoints_of(one, source)), count)
    return found or described("keypoints", unnamed("keypoints", count))


def _fitting(candidates: Iterable[Named], count: int) -> dict[str, Any] | None:
    """The first that has as many names as the network scores; else the first that the config itself gives."""
    said = None
    for node, is_said in candidates:
        if len(node["names"]) == count:
            return node
        if is_said and said is None:
            said = node
    return said


def _classes_of(one: Described, source: Path) -> Iterator[Named]:
    named = {str(key).lower(): value for key, value in one.metainfo.items()}.get("classes")
    if named:
        yield described("classes", _listed(named, source, f"{one.where}.classes")), True
    elif (known := shipped_names("classes", _CLASSES.get(one.kind, ""))) is not None:
        yield known, False


def _listed(named: Any, source: Path, where: str) -> list[str]:
    """Names as a list has them, or the file that a text names; a text that cannot be a file's is one class."""
    if isinstance(named, str):
        file = _found(named, source)
        if file is not None:
            return read_names(file, where)
        if "/" in named or Path(named).suffix:
            _refuse_file(named, where)
        return [named]
    if not isinstance(named, list | tuple) or not all(isinstance(name, str | int) for name in named):
        refuse("classes is no list of names", where, why=f"it is {named!r:.60}", fix="write classes=('a', 'b')")
    return [str(name) for name in named]


def _keypoints_of(one: Described, source: Path) -> Iterator[Named]:
    info, name = one.metainfo, one.metainfo.get("from_file")
    if "keypoint_info" not in info and name:
        file = _found(str(name), source)
        known = shipped_names("keypoints", Path(str(name)).stem)
        if file is not None:
            info = read_config(file).get("dataset_info") or {}
        elif known is not None:
            yield known, True  # as MMPose does, which takes its own file of that name
        else:
            _refuse_file(str(name), f"{one.where}.from_file")
    if info.get("keypoint_info"):
        yield _drawn(list(info["keypoint_info"].values()), list((info.get("skeleton_info") or {}).values())), True
    known = None if one.metainfo else shipped_names("keypoints", _KEYPOINTS.get(one.kind, ""))
    if known is not None:
        yield known, False


def _found(name: str, source: Path) -> Path | None:
    """The file that a config means: seen from the current folder, as OpenMMLab sees it, or beside the config."""
    folders = (Path(), *source.absolute().parents)
    # Unlike Path.is_file, it does not fail for what cannot be the name of a file.
    return next((folder / name for folder in folders if os.path.isfile(folder / name)), None)  # noqa: PTH113


def _refuse_file(name: str, where: str) -> None:
    refuse(
        f"the file {name} cannot be found",
        where,
        why="it is looked for in the current folder, and in those that the config is in",
        fix="run from the folder that the training ran in, or write the names into the config",
    )


def _drawn(points: list[Mapping[str, Any]], links: list[Mapping[str, Any]]) -> dict[str, Any]:
    names = [point["name"] for point in points]
    swap = [names.index(point["swap"]) if point.get("swap") in names else index for index, point in enumerate(points)]
    return {
        "_target_": "compiler.tasks.pose.keypoints.Keypoints",
        "names": names,
        # What no point says is not known, which is not the same as that no point has another side.
        "swap": swap if any("swap" in point for point in points) else None,
        "colors": [plain(point.get("color", _GREEN)) for point in points],
        "skeleton": [{"ends": plain(link["link"]), "color": plain(link.get("color", _GREEN))} for link in links],
    }
