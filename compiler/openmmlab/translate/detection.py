"""Detectors of MMDetection 3.3.0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compiler.openmmlab.translate.data import TestData, level, normalisation, preprocessor, reading, test_data
from compiler.openmmlab.translate.explicit import needed
from compiler.openmmlab.translate.names import classes
from compiler.openmmlab.translate.parts import (
    ACT,
    NORM,
    Part,
    Parts,
    amount,
    bare,
    each,
    fields,
    node,
    optional,
    pair,
    refuse,
)
from compiler.openmmlab.translate.whole_image import IMAGE_SIZE_INPUT, SCORE_THRESHOLD, TAIL, selecting_tail, shapes

RESNET = Part(
    "compiler.networks.backbones.resnet.ResNet",
    keys=(
        "depth", "num_stages", "out_indices", "style", "stem_channels", "deep_stem", "avg_down", "dcn",
        "stage_with_dcn",
    ),
    convert={"norm_cfg": NORM},
    assumed={
        "in_channels": (3,), "base_channels": (64,), "strides": ((1, 2, 2, 2),), "dilations": ((1, 1, 1, 1),),
        "conv_cfg": (None,), "plugins": (None,),
    },
    theirs={"out_indices": (0, 1, 2, 3)},
)  # fmt: skip

BACKBONES: Parts = {
    "CSPNeXt": Part(
        "compiler.networks.backbones.cspnext.CSPNeXt",
        keys=(
            "arch", "deepen_factor", "widen_factor", "out_indices", "expand_ratio", "spp_kernel_sizes",
            "channel_attention",
        ),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"use_depthwise": (False,), "arch_ovewrite": (None,), "conv_cfg": (None,)},
    ),
    "Darknet": Part(
        "compiler.networks.backbones.darknet.Darknet",
        keys=("depth", "out_indices"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"conv_cfg": (None,)},
    ),
    "MobileNetV2": Part(
        "compiler.networks.backbones.mobilenet_v2.DetectionMobileNetV2",
        keys=("widen_factor", "out_indices"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"conv_cfg": (None,)},
        theirs={"out_indices": (1, 2, 4, 7)},
    ),
    "ResNet": RESNET,
    "ResNeXt": replace(RESNET, keys=(*RESNET.keys, "groups", "base_width")),
}  # fmt: skip

NECKS: Parts = {
    "CSPNeXtPAFPN": Part(
        "compiler.networks.necks.csp_pafpn.CSPNeXtPAFPN",
        keys=("in_channels", "out_channels", "num_csp_blocks", "expand_ratio"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={
            "use_depthwise": (False,), "conv_cfg": (None,), "upsample_cfg": ({"scale_factor": 2, "mode": "nearest"},),
        },
    ),
    "FPN": Part(
        "compiler.networks.necks.fpn.FPN",
        keys=("in_channels", "out_channels", "start_level", "num_outs"),
        convert={
            "add_extra_convs": lambda value, where: "on_input" if value is True else value,
            "norm_cfg": NORM,
            "act_cfg": ACT,
        },
        assumed={
            "end_level": (-1,), "relu_before_extra_convs": (False,), "no_norm_on_lateral": (False,),
            "conv_cfg": (None,), "upsample_cfg": ({"mode": "nearest"},),
        },
    ),
    "YOLOV3Neck": Part(
        "compiler.networks.necks.yolo.YOLOV3Neck",
        keys=("num_scales", "in_channels", "out_channels"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"conv_cfg": (None,)},
    ),
}  # fmt: skip

PRIORS: Parts = {
    "AnchorGenerator": Part(
        "compiler.networks.layers.priors.AnchorGenerator",
        keys=("octave_base_scale", "scales_per_octave", "scales", "ratios", "strides", "centers"),
        assumed={
            "base_sizes": (None,), "scale_major": (True,), "center_offset": (0.0,), "use_box_type": (False,),
        },
    ),
    "MlvlPointGenerator": Part("compiler.networks.layers.priors.MlvlPointGenerator", keys=("offset", "strides")),
    "YOLOAnchorGenerator": Part(
        "compiler.networks.layers.priors.YOLOAnchorGenerator",
        keys=("base_sizes", "strides"),
        assumed={"use_box_type": (False,)},
    ),
}  # fmt: skip

CODERS: Parts = {
    "DeltaXYWHBBoxCoder": Part(
        "compiler.networks.layers.boxes.DeltaXYWHBBoxCoder",
        keys=("target_means", "target_stds", "clip_border"),
        assumed={"add_ctr_clamp": (False,), "use_box_type": (False,)},
        dropped=("ctr_clamp",),
    ),
}

HEADS: Parts = {
    "RTMDetSepBNHead": Part(
        "compiler.networks.heads.rtmdet.RTMDetSepBNHead",
        keys=(
            "in_channels", "stacked_convs", "feat_channels", "with_objectness", "exp_on_reg", "share_conv",
            "pred_kernel_size",
        ),
        children={"anchor_generator": PRIORS},
        convert={"num_classes": amount, "norm_cfg": NORM, "act_cfg": ACT},
        assumed={
            "bbox_coder": ({"type": "DistancePointBBoxCoder"},), "use_depthwise": (False,), "conv_cfg": (None,),
        },
        dropped=("reg_decoded_bbox",),
        theirs={"with_objectness": True, "bbox_coder": {"type": "DeltaXYWHBBoxCoder"}},
    ),
    "RetinaHead": Part(
        "compiler.networks.heads.retina.RetinaHead",
        keys=("in_channels", "stacked_convs", "feat_channels"),
        children={"anchor_generator": PRIORS, "bbox_coder": CODERS},
        convert={"num_classes": amount, "norm_cfg": NORM},
        assumed={"conv_cfg": (None,)},
        dropped=("reg_decoded_bbox",),
    ),
    "YOLOV3Head": Part(
        "compiler.networks.heads.yolov3.YOLOV3Head",
        keys=("in_channels", "out_channels", "featmap_strides"),
        children={"anchor_generator": PRIORS},
        convert={"num_classes": amount, "norm_cfg": NORM, "act_cfg": ACT},
        assumed={"bbox_coder": ({"type": "YOLOBBoxCoder"},), "conv_cfg": (None,)},
        dropped=("one_hot_smoother",),
    ),
}  # fmt: skip

_DETECTOR = Part(
    "compiler.networks.detection.SingleStageDetector",
    children={"backbone": BACKBONES, "neck": NECKS, "bbox_head": HEADS},
    dropped=("data_preprocessor", "test_cfg", "use_syncbn"),
)

MODELS: Parts = dict.fromkeys(("RTMDet", "RetinaNet", "SingleStageDetector", "YOLOV3"), _DETECTOR)

_PREPROCESSOR = Part(
    convert={"mean": optional(each(float, 3)), "std": optional(each(float, 3)), "pad_size_divisor": amount},
    keys=("bgr_to_rgb",),
    assumed={"rgb_to_bgr": (False,), "pad_value": (0,)},
    dropped=(
        "type", "batch_augments", "pad_mask", "mask_pad_value", "pad_seg", "seg_pad_value", "boxtype2tensor",
        "non_blocking",
    ),
)  # fmt: skip


def _grey(value: Any, where: str) -> int:
    """The level that `Pad` pads images with: it may hold those of masks too."""
    return level(value.get("img", 0) if isinstance(value, Mapping) else value, where)


_STEPS: Parts = {
    "Resize": Part(
        convert={"scale": pair},
        assumed={"keep_ratio": (True,), "interpolation": ("bilinear",), "backend": ("cv2",), "scale_factor": (None,)},
        dropped=("clip_object_border",),
        theirs={"keep_ratio": False},
    ),
    "Pad": Part(
        convert={"size": optional(pair), "size_divisor": optional(amount), "pad_val": _grey},
        rename={"size": "pad_size", "size_divisor": "pad_divisor", "pad_val": "pad_value"},
        assumed={"pad_to_square": (False,), "padding_mode": ("constant",)},
    ),
}

_NMS: Parts = {
    "nms": Part(keys=("iou_threshold",), assumed={"class_agnostic": (False,)}, dropped=("split_thr",)),
}


def _nms(value: Any, where: str) -> dict[str, Any]:
    return node({"type": "nms", **value} if isinstance(value, Mapping) else value, _NMS, where)


_SELECTION = Part(
    keys=("nms_pre", "min_bbox_size", "score_thr", "conf_thr", "max_per_img"),
    convert={"nms": _nms},
    dropped=("multi_label",),
    theirs={"nms_pre": -1, "min_bbox_size": -1, "score_thr": 0.0, "conf_thr": 0.0},
)


def translate(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Translate the config of a detector; see `compiler.openmmlab.translate.translate`."""
    model, data = config["model"], test_data(config)
    network = node(model, MODELS, "model")
    selection = _selection(model.get("test_cfg") or {})
    processing = _processing(config, data)
    head, backbone = (needed(network, key, "model") for key in ("bbox_head", "backbone"))
    clipping = _clipping(head, processing)
    halvings = 6 if backbone.get("arch") == "P6" else 5
    stride = math.lcm(processing.get("pad_divisor", 1), 2**halvings)
    return {
        "algo": bare(model["type"]).lower(),
        "task": "detection",
        **shapes(processing.get("pad_size", processing["scale"]), stride),
        "network": network,
        "tail": selecting_tail(selection, **({"image_size_input": IMAGE_SIZE_INPUT} if clipping else {})),
        "processing": {
            **processing,
            **clipping,
            "tail": TAIL,
            "score_threshold": SCORE_THRESHOLD,
            "test_cfg": selection,
            "classes": classes(data, source, needed(head, "num_classes", "model.bbox_head")),
        },
    }


def _clipping(head: Mapping[str, Any], processing: Mapping[str, Any]) -> dict[str, bool]:
    """Whether a head clips to the image alone: what `Pad` adds is image to it, what the preprocessor adds is not."""
    clips = bool((head.get("bbox_coder") or {}).get("clip_border", "bbox_coder" in head))
    return {"clip_to_image": True, "image_size_input": False} if clips and "pad_value" not in processing else {}


def _selection(test_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """What `SelectionConfig` takes."""
    found = fields(test_cfg, _SELECTION, "model.test_cfg")
    nms = found.pop("nms", {})
    return {**found, **nms}


def _processing(config: Mapping[str, Any], data: TestData) -> dict[str, Any]:
    steps = data.steps(_STEPS)
    if "scale" not in steps.get("Resize", {}):
        refuse("the images are not resized to a scale", data.where, fix="resize with Resize, keep_ratio=True")
    found: dict[str, Any] = {"_target_": "compiler.tasks.detection.ObjectDetection", "scale": steps["Resize"]["scale"]}
    padding = {key: value for key, value in steps.get("Pad", {}).items() if value is not None}
    sides = [*padding.get("pad_size", ()), padding.get("pad_divisor", 1)]
    divisor = preprocessor(config, _PREPROCESSOR).get("pad_size_divisor", 1)
    if max(sides) > 1:
        # Before the image is normalised; what the preprocessor pads, it pads afterwards.
        found |= {"pad_value": 0, **padding}
        _expect_padded(padding, divisor, data.where)
    elif divisor > 1:
        found["pad_divisor"] = divisor
    return {**found, **reading(steps), **normalisation(config, _PREPROCESSOR)}


def _expect_padded(padding: Mapping[str, Any], divisor: int, where: str) -> None:
    """Refuse a preprocessor that pads once more what is padded, with another level."""
    sides = padding.get("pad_size") or [padding.get("pad_divisor", 1)]
    if any(side % divisor for side in sides):
        refuse(
            f"images are padded twice: to {'x'.join(map(str, sides))}, and to multiples of {divisor}",
            where,
            why="what the preprocessor pads is of another level than what Pad does",
            fix="let Pad reach a multiple of pad_size_divisor",
        )
