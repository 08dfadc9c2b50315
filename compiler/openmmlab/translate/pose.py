"""Pose estimators of MMPose 1.3.2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compiler.openmmlab.translate import detection
from compiler.openmmlab.translate.data import TestData, level, normalisation, test_data
from compiler.openmmlab.translate.names import keypoints
from compiler.openmmlab.translate.parts import ACT, NORM, Part, Parts, bare, each, fields, node, refuse, within
from compiler.openmmlab.translate.whole_image import SCORE_THRESHOLD, selecting_tail, shapes

BACKBONES: Parts = {
    "CSPNeXt": detection.BACKBONES["CSPNeXt"],
    "CSPDarknet": Part(
        "compiler.networks.backbones.csp_darknet.CSPDarknet",
        keys=("arch", "deepen_factor", "widen_factor", "out_indices", "spp_kernal_sizes"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"use_depthwise": (False,), "arch_ovewrite": (None,), "conv_cfg": (None,)},
    ),
    "HRNet": Part(
        "compiler.networks.backbones.hrnet.HRNet",
        keys=("extra", "in_channels"),
        convert={"norm_cfg": NORM},
        assumed={"conv_cfg": (None,)},
    ),
    "HourglassNet": Part(
        "compiler.networks.backbones.hourglass.HourglassNet",
        keys=("downsample_times", "num_stacks", "stage_channels", "stage_blocks", "feat_channel"),
        convert={"norm_cfg": NORM},
    ),
    "LiteHRNet": Part(
        "compiler.networks.backbones.litehrnet.LiteHRNet",
        keys=("extra", "in_channels"),
        convert={"norm_cfg": NORM},
        assumed={"conv_cfg": (None,)},
    ),
    "MSPN": Part(
        "compiler.networks.backbones.mspn.MSPN",
        keys=("unit_channels", "num_stages", "num_units", "num_blocks"),
        convert={"norm_cfg": NORM},
        assumed={"res_top_channels": (64,)},
    ),
    "MobileNetV2": Part(
        "compiler.networks.backbones.mobilenet_v2.MobileNetV2",
        keys=("widen_factor", "out_indices"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={"conv_cfg": (None,)},
    ),
    "ResNet": Part(
        "compiler.networks.backbones.resnet.ResNet",
        keys=("depth", "num_stages", "out_indices", "style"),
        convert={"norm_cfg": NORM},
        assumed={
            "in_channels": (3,), "stem_channels": (64,), "base_channels": (64,), "expansion": (None,),
            "strides": ((1, 2, 2, 2),), "dilations": ((1, 1, 1, 1),), "deep_stem": (False,), "avg_down": (False,),
            "conv_cfg": (None,),
        },
    ),
}  # fmt: skip

NECKS: Parts = {
    "FeatureMapProcessor": Part(
        "compiler.networks.necks.feature_maps.FeatureMapProcessor",
        keys=("select_index", "concat", "align_corners"),
        assumed={"scale_factor": (1.0,), "apply_relu": (False,)},
    ),
    "YOLOXPAFPN": Part(
        "compiler.networks.necks.csp_pafpn.YOLOXPAFPN",
        keys=("in_channels", "out_channels", "num_csp_blocks"),
        convert={"norm_cfg": NORM, "act_cfg": ACT},
        assumed={
            "use_depthwise": (False,), "conv_cfg": (None,), "upsample_cfg": ({"scale_factor": 2, "mode": "nearest"},),
        },
    ),
}  # fmt: skip

_HEATMAP = ("in_channels", "out_channels", "deconv_out_channels", "deconv_kernel_sizes", "final_layer")

HEADS: Parts = {
    "CPMHead": Part(
        "compiler.networks.heads.heatmap.CPMHead", keys=(*_HEATMAP, "num_stages"), dropped=("decoder",)
    ),
    "HeatmapHead": Part(
        "compiler.networks.heads.heatmap.HeatmapHead",
        keys=(*_HEATMAP, "conv_out_channels", "conv_kernel_sizes"),
        dropped=("decoder",),
    ),
    "MSPNHead": Part(
        "compiler.networks.heads.mspn.MSPNHead",
        keys=("out_shape", "unit_channels", "out_channels", "num_stages", "num_units"),
        convert={"norm_cfg": NORM},
        dropped=("decoder", "level_indices"),
    ),
    "RTMCCHead": Part(
        "compiler.networks.heads.rtmcc.RTMCCHead",
        keys=(
            "in_channels", "out_channels", "input_size", "in_featuremap_size", "simcc_split_ratio",
            "final_layer_kernel_size",
        ),
        convert={"gau_cfg": within(Part(
            keys=("hidden_dims", "s", "expansion_factor", "act_fn", "use_rel_bias", "pos_enc"),
            dropped=("dropout_rate", "drop_path"),
        ))},
        dropped=("decoder",),
    ),
    "SimCCHead": Part(
        "compiler.networks.heads.simcc.SimCCHead",
        keys=(
            "in_channels", "out_channels", "input_size", "in_featuremap_size", "simcc_split_ratio",
            "deconv_out_channels", "deconv_kernel_sizes",
        ),
        assumed={
            "deconv_type": ("heatmap",), "conv_out_channels": (None,), "conv_kernel_sizes": (None,),
            "final_layer": ({"kernel_size": 1},),
        },
        dropped=("decoder", "deconv_num_groups"),
    ),
    "YOLOXPoseHead": Part(
        "compiler.networks.heads.yolox_pose.YOLOXPoseHead",
        keys=("num_keypoints", "featmap_strides"),
        children={"prior_generator": detection.PRIORS},
        convert={"head_module_cfg": within(Part(
            keys=("num_classes", "in_channels", "feat_channels", "widen_factor", "stacked_convs", "featmap_strides"),
            convert={"norm_cfg": NORM, "act_cfg": ACT},
            assumed={"conv_bias": ("auto",), "conv_cfg": (None,)},
        ))},
        assumed={"num_classes": (1,)},
        dropped=("decoder", "assigner", "overlaps_power", "use_aux_loss"),
    ),
}  # fmt: skip

CODECS: Parts = {
    "MSRAHeatmap": Part(
        "compiler.tasks.codecs.MSRAHeatmap",
        keys=("input_size", "heatmap_size", "sigma", "unbiased", "blur_kernel_size"),
    ),
    "MegviiHeatmap": Part("compiler.tasks.codecs.MegviiHeatmap", keys=("input_size", "heatmap_size", "kernel_size")),
    "SimCCLabel": Part(
        "compiler.tasks.codecs.SimCCLabel",
        keys=("input_size", "simcc_split_ratio", "normalize", "use_dark"),
        convert={"sigma": each(float, count=2)},
        assumed={"decode_visibility": (False,)},
        dropped=("smoothing_type", "label_smooth_weight", "decode_beta"),
    ),
    "UDPHeatmap": Part(
        "compiler.tasks.codecs.UDPHeatmap",
        keys=("input_size", "heatmap_size", "sigma", "blur_kernel_size"),
        assumed={"heatmap_type": ("gaussian",)},
        dropped=("radius_factor",),
    ),
}

_PARTS: dict[str, Any] = {
    "children": {"backbone": BACKBONES, "neck": NECKS, "head": HEADS},
    "dropped": ("data_preprocessor", "test_cfg", "metainfo", "use_syncbn"),
}

MODELS: Parts = {
    "BottomupPoseEstimator": Part("compiler.networks.pose.BottomupPoseEstimator", **_PARTS),
    "TopdownPoseEstimator": Part("compiler.networks.pose.TopdownPoseEstimator", **_PARTS),
}

_PREPROCESSOR = Part(
    convert={"mean": each(float), "std": each(float)},
    keys=("bgr_to_rgb",),
    assumed={"rgb_to_bgr": (False,)},
    dropped=("type", "pad_size_divisor", "pad_value", "batch_augments", "non_blocking"),
)

_STEPS: Parts = {
    "BottomupResize": Part(
        keys=("input_size",),
        convert={"pad_val": level},
        assumed={"aug_scales": (None,), "size_factor": (32,), "resize_mode": ("fit",), "use_udp": (False,)},
    ),
    "GetBBoxCenterScale": Part(keys=("padding",)),
    "TopdownAffine": Part(keys=("input_size", "use_udp")),
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
    translated = _bottomup if "prior_generator" in network["head"] else _topdown
    return {"task": "pose-detection", **translated(config, network, data, source)}


def _topdown(config: Mapping[str, Any], network: dict[str, Any], data: TestData, source: Path) -> dict[str, Any]:
    model, head = config["model"], network["head"]
    codec = _codec(model["head"])
    steps = data.steps(_STEPS)
    if steps.get("TopdownAffine", {}).get("input_size") != codec["input_size"]:
        refuse(
            "the images are not cropped to the codec's input_size",
            data.where,
            why="the network is built for one size",
            fix=f"crop with TopdownAffine, input_size={codec['input_size']}",
        )
    test_cfg = fields(model.get("test_cfg") or {}, _TOPDOWN_TEST, "model.test_cfg")
    return {
        "algo": "simcc" if "simcc_split_ratio" in codec else bare(model["backbone"]["type"]).lower(),
        "input_shape": codec["input_size"][::-1],
        "network": network,
        **({"tail": {"_target_": "compiler.networks.tails.LastOutput"}} if _has_stages(head) else {}),
        "processing": {
            "_target_": "compiler.tasks.pose.TopdownPose",
            "input_size": codec["input_size"],
            **steps.get("GetBBoxCenterScale", {}),
            **normalisation(config, _PREPROCESSOR),
            "use_udp": steps["TopdownAffine"].get("use_udp", False),
            "flip_test": False,  # as in our own files: it takes twice the time
            "shift_heatmap": test_cfg.get("shift_heatmap", False),
            "score_threshold": _EMPTY_THRESHOLD if "kernel_size" in codec else SCORE_THRESHOLD,
            "codec": codec,
            "keypoints": keypoints(data, source, head["out_channels"]),
        },
    }


def _bottomup(config: Mapping[str, Any], network: dict[str, Any], data: TestData, source: Path) -> dict[str, Any]:
    step = data.steps(_STEPS).get("BottomupResize")
    if step is None:
        refuse("the images are not resized to one size", data.where, fix="resize with BottomupResize")
    selection = fields(config["model"].get("test_cfg") or {}, _BOTTOMUP_TEST, "model.test_cfg")
    return {
        "algo": "yoloxpose",
        **shapes(step["input_size"], stride=32),
        "network": network,
        "tail": selecting_tail(selection, clip=True),
        "processing": {
            "_target_": "compiler.tasks.bottomup.BottomupPose",
            "input_size": step["input_size"],
            "pad_value": step.get("pad_val", 0),
            **normalisation(config, _PREPROCESSOR),
            "tail": "${tail}",
            "score_threshold": SCORE_THRESHOLD,
            "test_cfg": selection,
            "keypoints": keypoints(data, source, network["head"]["num_keypoints"]),
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
