"""Models of MMDetection3D 1.4.0: PointPillars, and CenterPoint on pillars."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.openmmlab.translate.data import UNCHANGED, TestData, preprocessor, test_data
from compiler.openmmlab.translate.explicit import explicit, needed
from compiler.openmmlab.translate.names import classes
from compiler.openmmlab.translate.parts import Part, Parts, each, expect, node, plain, refuse, within
from compiler.openmmlab.translate.voxel_networks import MODELS

__all__ = ["MODELS", "translate"]

_WITH_VELOCITY = 9

_ANCHORS = {
    "AlignedAnchor3DRangeGenerator": Part(
        keys=("ranges", "sizes", "rotations"),
        assumed={
            "scales": ([1],),
            # Velocities of anchors: MMDetection3D takes them as 0, whatever they are.
            "custom_values": ([], [0, 0]),
            "align_corner": (False,),
            "size_per_range": (True,),
        },
        dropped=("reshape_out",),
        defaults={"sizes": [[3.9, 1.6, 1.56]], "rotations": [0, 1.5707963]},
    )
}
_ANCHOR_CODER = {"DeltaXYZWLHRBBoxCoder": Part(keys=("code_size",), defaults={"code_size": 7})}
_CENTER_CODER = {
    "CenterPointBBoxCoder": Part(
        keys=("out_size_factor", "max_num", "score_threshold", "code_size", "post_center_range"),
        convert={
            "pc_range": lambda value, where: plain(value[:2]),
            "voxel_size": lambda value, where: plain(value[:2]),
        },
    )
}
_ANCHOR_SELECTION = ("use_rotate_nms", "nms_thr", "score_thr", "nms_pre", "max_num")
_CENTER_SELECTION = (
    "post_center_limit_range", "min_radius", "score_threshold", "nms_type", "pre_max_size", "post_max_size", "nms_thr",
)  # fmt: skip
"""What `test_cfg` decides; MMDetection3D reads nothing else there."""

_VOXELS = Part(
    keys=("max_num_points",),
    convert={
        "voxel_size": each(float),
        "point_cloud_range": each(float),
        # The second is for when the model does not train.
        "max_voxels": lambda most, where: each(int, 2)(most, where)[-1],
    },
    dropped=("deterministic",),
    defaults={"max_voxels": 20_000},
)
_CLOUDS = Part(
    keys=("voxel",),
    convert={"voxel_layer": within(_VOXELS)},
    assumed={"voxel_type": ("hard",)},
    # Most are for images, at which these models do not look.
    dropped=(
        "max_voxels", "batch_first", "mean", "std", "pad_*", "mask_pad_value", "seg_pad_value", "bgr_to_rgb",
        "rgb_to_bgr", "boxtype2tensor", "non_blocking", "batch_augments",
    ),
    defaults={"voxel": False},
)  # fmt: skip


def _first(value: Any, where: str) -> int:
    """How many numbers of a point are used, which must be the first."""
    if isinstance(value, int):
        return value
    expect(value, (list(range(len(value))),), where)
    return len(value)


_READING = ("*backend_args", "file_client_args")
_STEPS: Parts = {
    "LoadPointsFromFile": Part(
        keys=("load_dim",),
        convert={"use_dim": _first},
        assumed={
            "coord_type": ("LIDAR",), "shift_height": (False,), "use_color": (False,), "norm_intensity": (False,),
            "norm_elongation": (False,),
        },
        dropped=_READING,
    ),
    "LoadPointsFromMultiSweeps": Part(
        convert={"use_dim": _first},
        # A file may hold the points of several sweeps already.
        dropped=(*_READING, "sweeps_num", "load_dim", "pad_empty_sweeps", "remove_close", "test_mode"),
    ),
    "GlobalRotScaleTrans": Part(
        assumed={"rot_range": ([0, 0],), "scale_ratio_range": ([1, 1],), "translation_std": ([0, 0, 0],)},
        dropped=("shift_height",),
    ),
    "RandomFlip3D": Part(
        assumed={"flip_ratio_bev_horizontal": (0,), "flip_ratio_bev_vertical": (0,)}, dropped=("sync_2d",)
    ),
    "LoadAnnotations3D": UNCHANGED,
    "Pack3DDetInputs": UNCHANGED,
}  # fmt: skip
_THEIRS: Mapping[str, Mapping[str, Any]] = {
    "LoadPointsFromFile": {"load_dim": 6, "use_dim": [0, 1, 2]},
    "LoadPointsFromMultiSweeps": {"use_dim": [0, 1, 2, 4]},
    "GlobalRotScaleTrans": {"rot_range": [-0.78539816, 0.78539816], "scale_ratio_range": [0.95, 1.05]},
}


def translate(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Translate a config of MMDetection3D; see `compiler.openmmlab.translate.translate`."""
    model = config["model"]
    network = node(model, MODELS, "model")
    clouds = preprocessor(config, _CLOUDS)
    expect(clouds["voxel"], (True,), "model.data_preprocessor.voxel")
    voxels = needed(clouds, "voxel_layer", "model.data_preprocessor")
    bounds = needed(voxels, "point_cloud_range", "model.data_preprocessor.voxel_layer")
    data = explicit(test_data(config), _THEIRS)
    steps = data.steps(_steps(bounds))
    sweeps = steps.get("LoadPointsFromMultiSweeps")
    is_center = "pts_bbox_head" in network
    return {
        "algo": "centerpoint" if is_center else "pointpillars",
        "task": "voxel-detection",
        **_shapes(voxels["max_voxels"], several=sweeps is not None),
        "network": network,
        "processing": {
            "_target_": "compiler.tasks.voxel_detection.VoxelDetection",
            "voxelization": voxels,
            **_dimensions(steps, data),
            "classes": classes(data, source, _number_of_classes(network))["names"],
            "decoder": _center_decoder(model, network) if is_center else _anchor_decoder(model, network),
        },
    }


def _steps(voxels: list[float]) -> Parts:
    """The parts of a pipeline for voxels in that range."""

    def covers(value: Any, where: str) -> None:
        bounds = each(float, 6)(value, where)
        low, high = zip(bounds[:3], voxels[:3], strict=True), zip(bounds[3:], voxels[3:], strict=True)
        if any(own > least for own, least in low) or any(own < most for own, most in high):
            why = f"it is within that of the voxels, {voxels}, which ours fill with all points"
            refuse(f"point_cloud_range={bounds} is not supported", where, why=why)

    single = {**_STEPS, "PointsRangeFilter": Part(convert={"point_cloud_range": covers})}
    together = Part(
        children={"transforms": single},
        assumed={"flip": (False,), "pts_scale_ratio": (1,)},
        dropped=("img_scale", "flip_direction", "pcd_horizontal_flip", "pcd_vertical_flip"),
    )
    return {**single, "MultiScaleFlipAug3D": together}


def _shapes(most: int, *, several: bool) -> dict[str, list[int]]:
    """How many voxels a cloud has: ten sweeps usually fill half of those that there may be, and one a fifth."""
    return {
        "input_shape": [max(1, most // (2 if several else 5))],
        "stride": [1],
        "smallest_shape": [1],
        "largest_shape": [most],
    }


def _dimensions(steps: Mapping[str, Mapping[str, Any]], data: TestData) -> dict[str, int]:
    """How many numbers a point has, and how many of them are used."""
    loaded, sweeps = steps.get("LoadPointsFromFile"), steps.get("LoadPointsFromMultiSweeps")
    if loaded is None:
        refuse("nothing loads points", data.where, why="it tells how many numbers a point has", choices=_STEPS)
    return {"point_dimensions": loaded["load_dim"], "used_dimensions": (sweeps or loaded)["use_dim"]}


def _anchor_decoder(model: Mapping[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    """How the boxes of an `Anchor3DHead` are decoded; what the head needs to know about them is added to `network`."""
    head, where = needed(model, "bbox_head", "model"), "model.bbox_head"
    if "loss_cls" in head:
        # Otherwise there is a class more, for what is no object.
        expect(head["loss_cls"].get("use_sigmoid", False), (True,), f"{where}.loss_cls.use_sigmoid")
    anchors = node(head.get("anchor_generator", {}), _ANCHORS, f"{where}.anchor_generator")
    if len(anchors["ranges"]) == 1:
        anchors["ranges"] = [list(anchors["ranges"][0]) for _ in anchors["sizes"]]
    coder = head.get("bbox_coder", {"type": "DeltaXYZWLHRBBoxCoder"})
    own = network["bbox_head"]
    own["num_anchors"] = len(anchors["sizes"]) * len(anchors["rotations"])
    own.update(node(coder, _ANCHOR_CODER, f"{where}.bbox_coder"))
    test_cfg = {"use_rotate_nms": False, "score_thr": 0.0, "nms_pre": -1, **(model.get("test_cfg") or {})}
    return {
        "_target_": "compiler.tasks.voxel_detection.anchors.AnchorDecoder",
        "anchor_generator": anchors,
        "dir_offset": head.get("dir_offset", -math.pi / 2),
        "dir_limit_offset": head.get("dir_limit_offset", 0),
        "use_direction_classifier": True,
        "test_cfg": _selection(test_cfg, _ANCHOR_SELECTION, "model.test_cfg"),
    }


def _center_decoder(model: Mapping[str, Any], network: dict[str, Any]) -> dict[str, Any]:
    """How the boxes of a `CenterHead` are decoded."""
    head, where = needed(model, "pts_bbox_head", "model"), "model.pts_bbox_head"
    own = network["pts_bbox_head"]
    has_velocity = "vel" in needed(own, "common_heads", where)
    coder = node(head.get("bbox_coder", {}), _CENTER_CODER, f"{where}.bbox_coder")
    if coder.get("score_threshold", 0.0) is None:
        del coder["score_threshold"]
    size = _WITH_VELOCITY if has_velocity else _WITH_VELOCITY - 2
    expect(coder.get("code_size", _WITH_VELOCITY), (size,), f"{where}.bbox_coder.code_size")
    # Only circles have radii.
    radii = [0.0] * len(own["tasks"])
    test_cfg = {"min_radius": radii, **((model.get("test_cfg") or {}).get("pts") or {})}
    return {
        "_target_": "compiler.tasks.voxel_detection.centers.CenterDecoder",
        "tasks": plain(own["tasks"]),
        "bbox_coder": coder,
        "norm_bbox": head.get("norm_bbox", True),
        "test_cfg": _selection(test_cfg, _CENTER_SELECTION, "model.test_cfg.pts"),
    }


def _selection(test_cfg: Mapping[str, Any], keys: tuple[str, ...], where: str) -> dict[str, Any]:
    return {key: plain(needed(test_cfg, key, where)) for key in keys}


def _number_of_classes(network: Mapping[str, Any]) -> int:
    if "bbox_head" in network:
        return int(network["bbox_head"]["num_classes"])
    return sum(len(task["class_names"]) for task in network["pts_bbox_head"]["tasks"])
