"""The networks of MMDetection3D 1.4.0 that we have."""

from __future__ import annotations

from typing import Any

from compiler.openmmlab.translate.explicit import needed
from compiler.openmmlab.translate.parts import Convert, Part, Parts, amount, expect, node, plain, refuse

_MAPS = ("reg", "height", "dim", "rot", "vel")
"""What a CenterPoint predicts besides its heat maps, in the order of our outputs; the last only where boxes move."""
_NORMS = {"naiveSyncBN1d": "BN1d", "naiveSyncBN2d": "BN2d"}
"""They differ from ours only in how several processes train them."""


def _norm(*known: str) -> Convert:
    """What takes a `norm_cfg` of one of the types `known`."""

    def convert(value: Any, where: str) -> dict[str, Any]:
        kind = needed(value, "type", where)
        kind = _NORMS.get(kind, kind)
        expect(kind, known, f"{where}.type")
        return {**{key: plain(item) for key, item in value.items() if key != "requires_grad"}, "type": kind}

    return convert


def _one(value: Any, where: str) -> list[int]:
    layers = value if isinstance(value, list | tuple) else [value]
    if len(layers) != 1:
        refuse(f"{len(layers)} layers are not supported", where, why="our PillarFeatureNet has one")
    return list(layers)


_VOXEL_ENCODERS = {
    "PillarFeatureNet": Part(
        "compiler.networks.layers.pillars.PillarFeatureNet",
        keys=("in_channels", "voxel_size", "point_cloud_range", "legacy"),
        convert={"feat_channels": _one, "norm_cfg": _norm("BN1d")},
        assumed={
            "with_distance": (False,),
            "with_cluster_center": (True,),
            "with_voxel_center": (True,),
            "mode": ("max",),
        },
    )
}
_MIDDLE_ENCODERS = {
    "PointPillarsScatter": Part(
        "compiler.networks.layers.pillars.PointPillarsScatter", keys=("in_channels", "output_shape")
    )
}
_CONVOLUTION = {"conv_cfg": ({"type": "Conv2d", "bias": False},)}
_BACKBONES = {
    "SECOND": Part(
        "compiler.networks.backbones.second.SECOND",
        keys=("in_channels", "out_channels", "layer_nums", "layer_strides"),
        convert={"norm_cfg": _norm("BN", "BN2d")},
        assumed=_CONVOLUTION,
    )
}
_NECKS = {
    "SECONDFPN": Part(
        "compiler.networks.necks.second_fpn.SECONDFPN",
        keys=("in_channels", "out_channels", "upsample_strides", "use_conv_for_no_stride"),
        convert={"norm_cfg": _norm("BN", "BN2d")},
        assumed={**_CONVOLUTION, "upsample_cfg": ({"type": "deconv", "bias": False},)},
    )
}
_ANCHOR_HEADS = {
    "Anchor3DHead": Part(
        "compiler.networks.heads.anchor3d.Anchor3DHead",
        keys=("feat_channels",),
        convert={"num_classes": amount},
        assumed={"use_direction_classifier": (True,)},
        dropped=(
            "in_channels", "anchor_generator", "bbox_coder", "assign*_per_*", "diff_rad_by_sin", "dir_offset",
            "dir_limit_offset", "test_cfg",
        ),
        defaults={"feat_channels": 256},
    )
}  # fmt: skip
_SEPARATE_HEAD = {
    "SeparateHead": Part(
        keys=("final_kernel",),
        assumed={
            "head_conv": (64,),
            "conv_cfg": ({"type": "Conv2d"},),
            "norm_cfg": ({"type": "BN2d"},),
            "bias": ("auto",),
        },
        dropped=("init_bias",),
        defaults={"final_kernel": 1},
    )
}


def _class_names(value: Any, where: str) -> list[dict[str, Any]]:
    """The tasks with the names of their classes; MMDetection3D counts those, and never reads `num_class`."""
    return [
        {"class_names": plain(needed(task, "class_names", f"{where}[{index}]"))} for index, task in enumerate(value)
    ]


def _common_heads(value: Any, where: str) -> dict[str, Any]:
    """The heads in the order of our outputs."""
    if not set(_MAPS[:-1]) <= set(value) <= set(_MAPS):
        refuse(f"the heads {', '.join(value)} are not supported", where, why=f"what we have is {', '.join(_MAPS)}")
    return {name: plain(value[name]) for name in _MAPS if name in value}


_CENTER_HEADS = {
    "CenterHead": Part(
        "compiler.networks.heads.center.CenterHead",
        keys=("in_channels", "share_conv_channel", "num_heatmap_convs"),
        convert={
            "tasks": _class_names,
            "common_heads": _common_heads,
            "separate_head": lambda value, where: node(value, _SEPARATE_HEAD, where)["final_kernel"],
        },
        assumed={"conv_cfg": ({"type": "Conv2d"},), "norm_cfg": ({"type": "BN2d"},), "bias": ("auto",)},
        dropped=("bbox_coder", "norm_bbox", "test_cfg"),
        rename={"separate_head": "final_kernel"},
    )
}

MODELS: Parts = {
    "VoxelNet": Part(
        "compiler.networks.voxel_detection.VoxelNet",
        children={
            "voxel_encoder": _VOXEL_ENCODERS,
            "middle_encoder": _MIDDLE_ENCODERS,
            "backbone": _BACKBONES,
            "neck": _NECKS,
            "bbox_head": _ANCHOR_HEADS,
        },
        dropped=("data_preprocessor", "test_cfg"),
    ),
    "CenterPoint": Part(
        "compiler.networks.voxel_detection.CenterPoint",
        children={
            "pts_voxel_encoder": _VOXEL_ENCODERS,
            "pts_middle_encoder": _MIDDLE_ENCODERS,
            "pts_backbone": _BACKBONES,
            "pts_neck": _NECKS,
            "pts_bbox_head": _CENTER_HEADS,
        },
        assumed={"pts_fusion_layer": (None,), "img_backbone": (None,), "img_neck": (None,)},
        dropped=("data_preprocessor", "test_cfg"),
    ),
}
