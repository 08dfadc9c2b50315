"""What a network finds: the names of its classes and key points."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.config import config_folder
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.translate.data import TestData
from compiler.openmmlab.translate.parts import plain

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


def classes(data: TestData, count: int) -> dict[str, Any]:
    """The node of `count` classes: as the config names them, else the data set, else `class_0` and so on."""
    metainfo = {str(key).lower(): value for key, value in data.metainfo.items()}
    named = metainfo.get("classes") or ()
    names = [named] if isinstance(named, str) else [str(name) for name in named]
    if not names:
        names = (_ours("classes", _CLASSES.get(data.kind, "")) or {}).get("names", [])
    if len(names) != count:
        names = [f"class_{index}" for index in range(count)]
    return {"_target_": "compiler.tasks.classes.Classes", "names": names}


def keypoints(data: TestData, source: Path, count: int) -> dict[str, Any]:
    """The node of `count` key points: as the config names them, else the data set, else `point_0` and so on.

    Args:
        data: Of the test.
        source: The config's file: what it refers to is looked for beside the folders that it is in.
        count: Of the network.
    """
    info: Mapping[str, Any] = data.metainfo
    name = str(info.get("from_file", f"{_KEYPOINTS.get(data.kind, '')}.py"))
    # Unlike Path.is_file, it does not fail for what cannot be the name of a file.
    files = [folder / name for folder in source.absolute().parents if os.path.isfile(folder / name)]  # noqa: PTH113
    if "keypoint_info" not in info and files:
        info = read_config(files[0]).get("dataset_info", {})
    points = info.get("keypoint_info", {})
    if len(points) == count:
        return _described(list(points.values()), list(info.get("skeleton_info", {}).values()))
    ours = _ours("keypoints", Path(name).stem)
    if ours is not None and len(ours["names"]) == count:
        return ours
    return _described([{"name": f"point_{index}"} for index in range(count)], [])


def _described(points: list[Mapping[str, Any]], links: list[Mapping[str, Any]]) -> dict[str, Any]:
    names = [point["name"] for point in points]
    swap = [names.index(point["swap"]) if point.get("swap") in names else index for index, point in enumerate(points)]
    return {
        "_target_": "compiler.tasks.pose.keypoints.Keypoints",
        "names": names,
        "swap": swap,
        "colors": [plain(point.get("color", _GREEN)) for point in points],
        "skeleton": [{"ends": plain(link["link"]), "color": plain(link.get("color", _GREEN))} for link in links],
    }


def _ours(group: str, name: str) -> dict[str, Any] | None:
    """The content of a file of ours in `conf/`, None where there is none."""
    from omegaconf import OmegaConf

    file = config_folder() / group / f"{name}.yaml"
    if not file.is_file():
        return None
    found: Any = OmegaConf.to_container(OmegaConf.load(file))
    return dict(found)
