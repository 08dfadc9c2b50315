"""The networks of MMPose 1.3.2 that we have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compiler.openmmlab.translate import detection
from compiler.openmmlab.translate.parts import ACT, NORM, Convert, Part, Parts, amount, within

_RESNET = Part(
    "compiler.networks.backbones.resnet.ResNet",
    keys=("depth", "num_stages", "out_indices", "style"),
    convert={"norm_cfg": NORM},
    assumed={
        "in_channels": (3,), "stem_channels": (64,), "base_channels": (64,), "expansion": (None,),
        "strides": ((1, 2, 2, 2),), "dilations": ((1, 1, 1, 1),), "deep_stem": (False,), "avg_down": (False,),
        "conv_cfg": (None,),
    },
)  # fmt: skip

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
    "ResNet": _RESNET,
    "ResNeXt": replace(
        _RESNET,
        keys=(*_RESNET.keys, "groups", "width_per_group"),
        rename={"width_per_group": "base_width"},
        theirs={"groups": 32},
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

_HEATMAP = ("in_channels", "deconv_out_channels", "deconv_kernel_sizes", "final_layer")
_POINTS: Mapping[str, Convert] = {"out_channels": amount}

HEADS: Parts = {
    "CPMHead": Part(
        "compiler.networks.heads.heatmap.CPMHead", keys=(*_HEATMAP, "num_stages"), convert=_POINTS, dropped=("decoder",)
    ),
    "HeatmapHead": Part(
        "compiler.networks.heads.heatmap.HeatmapHead",
        keys=(*_HEATMAP, "conv_out_channels", "conv_kernel_sizes"),
        convert=_POINTS,
        dropped=("decoder",),
    ),
    "MSPNHead": Part(
        "compiler.networks.heads.mspn.MSPNHead",
        keys=("out_shape", "unit_channels", "num_stages", "num_units"),
        convert={**_POINTS, "norm_cfg": NORM},
        dropped=("decoder", "level_indices"),
    ),
    "RTMCCHead": Part(
        "compiler.networks.heads.rtmcc.RTMCCHead",
        keys=(
            "in_channels", "input_size", "in_featuremap_size", "simcc_split_ratio", "final_layer_kernel_size",
        ),
        convert={**_POINTS, "gau_cfg": within(Part(
            keys=("hidden_dims", "s", "expansion_factor", "act_fn", "use_rel_bias", "pos_enc"),
            dropped=("dropout_rate", "drop_path"),
        ))},
        dropped=("decoder",),
    ),
    "SimCCHead": Part(
        "compiler.networks.heads.simcc.SimCCHead",
        keys=(
            "in_channels", "input_size", "in_featuremap_size", "simcc_split_ratio", "deconv_out_channels",
            "deconv_kernel_sizes",
        ),
        convert=_POINTS,
        assumed={
            "deconv_type": ("heatmap",), "conv_out_channels": (None,), "conv_kernel_sizes": (None,),
            "final_layer": ({"kernel_size": 1},),
        },
        dropped=("decoder", "deconv_num_groups"),
    ),
    "YOLOXPoseHead": Part(
        "compiler.networks.heads.yolox_pose.YOLOXPoseHead",
        keys=("featmap_strides",),
        children={"prior_generator": detection.PRIORS},
        convert={"num_keypoints": amount, "head_module_cfg": within(Part(
            keys=("num_classes", "in_channels", "feat_channels", "widen_factor", "stacked_convs", "featmap_strides"),
            convert={"norm_cfg": NORM, "act_cfg": ACT},
            assumed={"conv_bias": ("auto",), "conv_cfg": (None,)},
        ))},
        assumed={"num_classes": (1,)},
        dropped=("decoder", "assigner", "overlaps_power", "use_aux_loss"),
    ),
}  # fmt: skip

_PARTS: dict[str, Any] = {
    "children": {"backbone": BACKBONES, "neck": NECKS, "head": HEADS},
    "dropped": ("data_preprocessor", "test_cfg", "metainfo", "use_syncbn"),
}

MODELS: Parts = {
    "BottomupPoseEstimator": Part("compiler.networks.pose.BottomupPoseEstimator", **_PARTS),
    "TopdownPoseEstimator": Part("compiler.networks.pose.TopdownPoseEstimator", **_PARTS),
}
