"""Pose estimators of MMPose 1.3.2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.openmmlab.translate.data import TestData, level, normalisation, reading, test_data
from compiler.openmmlab.translate.explicit import needed
from compiler.openmmlab.translate.names import keypoints
from compiler.openmmlab.translate.parts import Part, Parts, bare, each, fields, node, optional, pair, refuse
from compiler.openmmlab.translate.pose_networks import MODELS
from compiler.openmmlab.translate.whole_image import SCORE_THRESHOLD, TAIL, selecting_tail, shapes

__all__ = ["MODELS", "translate"]

CODECS: Parts = {
    "MSRAHeatmap": Part(
        "compiler.tasks.pose.codecs.MSRAHeatmap",
        keys=("heatmap_size", "sigma", "unbiased", "blur_kernel_size"),
        convert={"input_size": pair},
    ),
    "MegviiHeatmap": Part(
        "compiler.tasks.pose.codecs.MegviiHeatmap",
        keys=("heatmap_size", "kernel_size"),
        convert={"input_size": pair},
    ),
    "SimCCLabel": Part(
        "compiler.tasks.pose.codecs.SimCCLabel",
        keys=("simcc_split_ratio", "normalize", "use_dark"),
        convert={"input_size": pair, "sigma": each(float, count=2)},
        assumed={"decode_visibility": (False,)},
        dropped=("smoothing_type", "label_smooth_weight", "decode_beta"),
    ),
    "UDPHeatmap": Part(
        "compiler.tasks.pose.codecs.UDPHeatmap",
        keys=("heatmap_size", "sigma", "blur_kernel_size"),
        convert={"input_size": pair},
        assumed={"heatmap_type": ("gaussian",)},
        dropped=("radius_factor",),
    ),
}

_PREPROCESSOR = Part(
    convert={"mean": optional(each(float, 3)), "std": optional(each(float, 3))},
    keys=("bgr_to_rgb",),
    assumed={"rgb_to_bgr": (False,)},
    dropped=("type", "pad_size_divisor", "pad_value", "batch_augments", "non_blocking"),
)

_STEPS: Parts = {
    "BottomupResize": Part(
        convert={"input_size": pair, "pad_val": level},
        assumed={"aug_scales": (None,), "size_factor": (32,), "resize_mode": ("fit",), "use_udp": (False,)},
    ),
    "GetBBoxCenterScale": Part(keys=("padding",)),
    "TopdownAffine": Part(keys=("use_udp",), convert={"input_size": pair}),
}

_TOPDOWN_TEST = Part(
    keys=("shift_heatmap",), assumed={"flip_mode": ("heatmap",)}, dropped=("flip_test", "shift_coords")
)
_BOTTOMUP_TEST = Part(
    keys=("nms_pre", "score_thr", "nms_thr"),
    rename={"nms_thr": "iou_threshold"},
    dropped=("flip_test",),
    # MMPose has no limit to the people in an image; an engine needs one.
    defaults={
        "nms_pre": 100000, "min_bbox_size": 0, "score_thr": 0.01, "conf_thr": 0.0, "iou_threshold": 1.0,
        "max_per_img": 100,
    },
)  # fmt: skip


_EMPTY_THRESHOLD = 0.8
"""Of the points that are drawn where an empty heat map scores 0.5, as Megvii's do."""


def translate(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Translate the config of a pose estimator; see `compiler.openmmlab.translate.translate`."""
    network, data = node(config["model"], MODELS, "model"), test_data(config)
    translated = _bottomup if "prior_generator" in needed(network, "head", "model") else _topdown
    return {"task": "pose-detection", **translated(config, network, data, source)}


def _topdown(config: Mapping[str, Any], network: dict[str, Any], data: TestData, source: Path) -> dict[str, Any]:
    model, head = config["model"], network["head"]
    codec, steps = _codec(model["head"]), data.steps(_STEPS)
    size = needed(codec, "input_size", "model.head.decoder")
    if steps.get("TopdownAffine", {}).get("input_size") != size:
        refuse(
            "the images are not cropped to the codec's input_size",
            data.where,
            why="the network is built for one size",
            fix=f"crop with TopdownAffine, input_size={size}",
        )
    test_cfg = fields(model.get("test_cfg") or {}, _TOPDOWN_TEST, "model.test_cfg")
    return {
        "algo": "simcc" if "simcc_split_ratio" in codec else bare(needed(model, "backbone", "model")["type"]).lower(),
        "input_shape": size[::-1],
        "network": network,
        **({"tail": {"_target_": "compiler.networks.tails.LastOutput"}} if _has_stages(head) else {}),
        "processing": {
            "_target_": "compiler.tasks.pose.TopdownPose",
            "input_size": size,
            **steps.get("GetBBoxCenterScale", {}),
            **reading(steps),
            **normalisation(config, _PREPROCESSOR),
            "use_udp": steps["TopdownAffine"].get("use_udp", False),
            "flip_test": False,  # as in our own files: it takes twice the time
            "shift_heatmap": test_cfg.get("shift_heatmap", False),
            "score_threshold": _EMPTY_THRESHOLD if "kernel_size" in codec else SCORE_THRESHOLD,
            "codec": codec,
            "keypoints": keypoints(data, source, needed(head, "out_channels", "model.head")),
        },
    }


def _bottomup(config: Mapping[str, Any], network: dict[str, Any], data: TestData, source: Path) -> dict[str, Any]:
    steps = data.steps(_STEPS)
    step = steps.get("BottomupResize")
    if step is None or "input_size" not in step:
        refuse("the images are not resized to one size", data.where, fix="resize with BottomupResize")
    selection = fields(config["model"].get("test_cfg") or {}, _BOTTOMUP_TEST, "model.test_cfg")
    return {
        "algo": "yoloxpose",
        **shapes(step["input_size"], stride=32),
        "network": network,
        "tail": selecting_tail(selection, clip=True),
        "processing": {
            "_target_": "compiler.tasks.pose.bottomup.BottomupPose",
            "input_size": step["input_size"],
            "pad_value": step.get("pad_val", 0),
            **reading(steps),
            **normalisation(config, _PREPROCESSOR),
            "tail": TAIL,
            "score_threshold": SCORE_THRESHOLD,
            "test_cfg": selection,
            "keypoints": keypoints(data, source, needed(network["head"], "num_keypoints", "model.head")),
        },
    }


def _codec(head: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the codec of a head: the last where there is one for each of its outputs."""
    decoder: Any = head.get("decoder")
    where = "model.head.decoder"
    if isinstance(decoder, list | tuple) and decoder:
        decoder, where = decoder[-1], f"{where}[{len(decoder) - 1}]"
    return node(decoder, CODECS, where)


def _has_stages(head: Mapping[str, Any]) -> bool:
    """Whether a head gives several heat maps, of which the last is the one to decode."""
    return "num_units" in head or head.get("num_stages", 1) > 1
