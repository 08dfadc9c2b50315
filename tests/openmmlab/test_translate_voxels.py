"""Configs of MMDetection3D become ours: what inference needs is kept or refused, what only training needs is not."""

from collections import Counter
from math import pi
from pathlib import Path
from types import MappingProxyType

import pytest

from compiler.errors import CompileError
from compiler.networks import build
from compiler.openmmlab.translate import translate, voxels
from compiler.tasks import build_task
from tests.openmmlab.changes import MISSING, changed
from tests.openmmlab.coverage import coverage
from tests.openmmlab.published import completed, models, ours, theirs

RANGE = [0, -8, -3, 16, 8, 1]

PIPELINE = [
    {"type": "LoadPointsFromFile", "coord_type": "LIDAR", "load_dim": 5, "use_dim": 4},
    {
        "type": "MultiScaleFlipAug3D",
        "img_scale": (1333, 800),
        "pts_scale_ratio": 1,
        "flip": False,
        "transforms": [
            {"type": "GlobalRotScaleTrans", "rot_range": [0, 0], "scale_ratio_range": [1.0, 1.0]},
            {"type": "RandomFlip3D"},
            {"type": "PointsRangeFilter", "point_cloud_range": RANGE},
        ],
    },
    {"type": "Pack3DDetInputs", "keys": ["points"]},
]

VOXELS = {"max_num_points": 8, "point_cloud_range": RANGE, "voxel_size": [0.5, 0.5, 4], "max_voxels": (100, 500)}

BACKBONE = {"type": "SECOND", "in_channels": 8, "layer_nums": [1], "layer_strides": [2], "out_channels": [8]}
NECK = {"type": "SECONDFPN", "in_channels": [8], "upsample_strides": [1], "out_channels": [16]}
ENCODER = {
    "type": "PillarFeatureNet",
    "in_channels": 4,
    "feat_channels": [8],
    "with_distance": False,
    "voxel_size": [0.5, 0.5, 4],
    "point_cloud_range": RANGE,
}
SCATTER = {"type": "PointPillarsScatter", "in_channels": 8, "output_shape": [32, 32]}

POINTPILLARS = {
    "model": {
        "type": "VoxelNet",
        "data_preprocessor": {"type": "Det3DDataPreprocessor", "voxel": True, "voxel_layer": VOXELS},
        "voxel_encoder": ENCODER,
        "middle_encoder": SCATTER,
        "backbone": BACKBONE,
        "neck": NECK,
        "bbox_head": {
            "type": "Anchor3DHead",
            "num_classes": 2,
            "in_channels": 16,
            "feat_channels": 16,
            "assign_per_class": True,
            "anchor_generator": {
                "type": "AlignedAnchor3DRangeGenerator",
                "ranges": [[0, -8, -1, 16, 8, -1]],
                "sizes": [[0.8, 0.6, 1.7], [3.9, 1.6, 1.5]],
                "rotations": [0, 1.57],
                "reshape_out": False,
            },
            "diff_rad_by_sin": True,
            "bbox_coder": {"type": "DeltaXYZWLHRBBoxCoder"},
            "loss_cls": {"type": "mmdet.FocalLoss", "use_sigmoid": True},
        },
        "train_cfg": {"assigner": []},
        "test_cfg": {"use_rotate_nms": True, "nms_thr": 0.01, "score_thr": 0.2, "nms_pre": 100, "max_num": 50},
    },
    "test_dataloader": {"dataset": {"metainfo": {"classes": ("Walker", "Car")}, "pipeline": PIPELINE}},
}

CENTERPOINT = {
    "model": {
        "type": "CenterPoint",
        "data_preprocessor": {"type": "Det3DDataPreprocessor", "voxel": True, "voxel_layer": VOXELS},
        "pts_voxel_encoder": {**ENCODER, "legacy": False},
        "pts_middle_encoder": SCATTER,
        "pts_backbone": BACKBONE,
        "pts_neck": NECK,
        "pts_bbox_head": {
            "type": "CenterHead",
            "in_channels": 16,
            "tasks": [{"num_class": 1, "class_names": ["car"]}, {"num_class": 1, "class_names": ["walker"]}],
            # Not in the order in which we name outputs.
            "common_heads": {"vel": (2, 2), "reg": (2, 2), "height": (1, 2), "dim": (3, 2), "rot": (2, 2)},
            "bbox_coder": {
                "type": "CenterPointBBoxCoder",
                "pc_range": RANGE[:2],
                "post_center_range": RANGE,
                "out_size_factor": 2,
                "voxel_size": [0.5, 0.5, 4],
                "code_size": 9,
            },
            "separate_head": {"type": "SeparateHead", "init_bias": -2.19, "final_kernel": 3},
            "norm_bbox": True,
        },
        "test_cfg": {
            "pts": {
                "post_center_limit_range": RANGE,
                "min_radius": [4, 0.2],
                "score_threshold": 0.1,
                "nms_type": "circle",
                "nms_thr": 0.2,
                "pre_max_size": 100,
                "post_max_size": 10,
                "max_per_img": 500,
            }
        },
    },
    "test_dataloader": {"dataset": {"metainfo": {"classes": ["car", "walker"]}, "pipeline": PIPELINE}},
}

STEP = "test_dataloader.dataset.pipeline.1"
HEAD = "model.bbox_head"
CENTER = "model.pts_bbox_head"
SWEEPS = {"type": "LoadPointsFromMultiSweeps", "sweeps_num": 10}


def translated(config, changes=MappingProxyType({})):
    return voxels.translate(changed(config, changes), Path("mine.py"))


class TestPublishedModels:
    @pytest.mark.parametrize("name", models("mmdet3d"))
    def test_is_ours(self, name):
        own, found = ours(name), theirs(name)
        assert completed(found["network"]) == completed(own.network)
        assert build_task(found["processing"]) == build_task(own.processing)
        for key in ("algo", "task", "input_shape", "stride", "smallest_shape", "largest_shape"):
            value = found[key]
            assert (tuple(value) if isinstance(value, list) else value) == getattr(own, key)

    def test_what_looks_at_pillars_builds_or_says_why_not(self):
        reasons = coverage("mmdet3d")
        # Another encoder, which also sees the mean of a voxel's points only, or other columns of a file.
        assert Counter(reasons.values()) == {
            "": 4,
            "there is no MVXFasterRCNN here": 29,
            "there is no Anchor3DRangeGenerator here": 2,
            "there is no DCNSeparateHead here": 2,
            "there is no DynamicVoxelNet here": 1,
        }


class TestPointPillars:
    def test_parts_and_settings_are_kept(self):
        found = translated(POINTPILLARS)
        assert (found["algo"], found["input_shape"], found["largest_shape"]) == ("pointpillars", [100], [500])
        task = build_task(found["processing"])
        assert (task.classes, task.point_dimensions, task.used_dimensions) == (("Walker", "Car"), 5, 4)
        assert (task.voxelization.grid, task.voxelization.max_voxels) == ((32, 32, 1), 500)
        assert (task.decoder.test_cfg.score_thr, task.decoder.dir_offset) == (0.2, -pi / 2)
        build(found["network"])

    def test_a_range_is_that_of_all_sizes(self):
        generator = build_task(translated(POINTPILLARS)["processing"]).decoder.anchor_generator
        assert len(generator.ranges) == len(generator.sizes) == 2
        assert translated(POINTPILLARS)["network"]["bbox_head"]["num_anchors"] == generator.anchors_per_place

    def test_the_head_has_as_many_numbers_as_a_box(self):
        coder = {"type": "DeltaXYZWLHRBBoxCoder", "code_size": 9}
        assert translated(POINTPILLARS, {f"{HEAD}.bbox_coder": coder})["network"]["bbox_head"]["code_size"] == 9

    def test_norms_that_several_processes_share_are_plain_ones(self):
        norm = {"type": "naiveSyncBN2d", "eps": 1e-3, "momentum": 0.01}
        assert translated(POINTPILLARS, {"model.backbone.norm_cfg": norm})["network"]["backbone"]["norm_cfg"] == {
            "type": "BN2d",
            "eps": 1e-3,
            "momentum": 0.01,
        }

    def test_classes_without_names_are_numbered(self):
        found = translated(POINTPILLARS, {"test_dataloader.dataset.metainfo": {}})
        assert found["processing"]["classes"] == ["class_0", "class_1"]

    @pytest.mark.parametrize("most", [500, [100, 500]])
    def test_voxels_are_those_of_the_test(self, most):
        changes = {"model.data_preprocessor.voxel_layer.max_voxels": most}
        assert translated(POINTPILLARS, changes)["processing"]["voxelization"]["max_voxels"] == 500

    @pytest.mark.parametrize(
        ("changes", "where", "what"),
        [
            ({"model.voxel_encoder.type": "HardSimpleVFE"}, "model.voxel_encoder.type", "HardSimpleVFE"),
            ({"model.voxel_encoder.with_distance": True}, "model.voxel_encoder.with_distance", "not supported"),
            ({"model.voxel_encoder.feat_channels": [8, 8]}, "model.voxel_encoder.feat_channels", "2 layers"),
            ({"model.voxel_encoder.mode": "avg"}, "model.voxel_encoder.mode", "not supported"),
            ({"model.backbone.norm_cfg": {"type": "GN"}}, "model.backbone.norm_cfg.type", "GN"),
            ({"model.neck.upsample_cfg": {"type": "nearest"}}, "model.neck.upsample_cfg", "not supported"),
            ({"model.data_preprocessor.voxel_type": "dynamic"}, "model.data_preprocessor.voxel_type", "dynamic"),
            ({"model.data_preprocessor.voxel": MISSING}, "model.data_preprocessor.voxel", "voxel=False"),
            ({"model.data_preprocessor.voxel_layer": MISSING}, "model.data_preprocessor.voxel_layer", "voxel_layer"),
            ({f"{HEAD}.use_direction_classifier": False}, "bbox_head.use_direction_classifier", "not supported"),
            ({f"{HEAD}.loss_cls": {"type": "CrossEntropyLoss"}}, "bbox_head.loss_cls.use_sigmoid", "not supported"),
            ({f"{HEAD}.anchor_generator.scales": [1, 2]}, "anchor_generator.scales", "not supported"),
            ({f"{HEAD}.anchor_generator.align_corner": True}, "anchor_generator.align_corner", "not supported"),
            ({"model.test_cfg.max_num": MISSING}, "model.test_cfg.max_num", "no max_num"),
            ({f"{STEP}.flip": True}, "pipeline[1].flip", "not supported"),
            ({f"{STEP}.transforms.0.rot_range": MISSING}, "transforms[0].rot_range", "not supported"),
            ({f"{STEP}.transforms.2.point_cloud_range": [1, *RANGE[1:]]}, "point_cloud_range", "not supported"),
            ({STEP: SWEEPS}, "pipeline[1].use_dim", "[0, 1, 2, 4]"),
            ({STEP: {"type": "PointSample"}}, "pipeline[1].type", "PointSample"),
            ({"test_dataloader.dataset.pipeline.0.norm_intensity": True}, "norm_intensity", "not supported"),
            ({"test_dataloader.dataset.pipeline.0.use_dim": [0, 1, 2, 4]}, "pipeline[0].use_dim", "not supported"),
            ({"test_dataloader.dataset.pipeline.0": {"type": "RandomFlip3D"}}, "pipeline", "nothing loads points"),
        ],
    )
    def test_what_would_be_another_model_is_refused(self, changes, where, what):
        with pytest.raises(CompileError) as caught:
            translated(POINTPILLARS, changes)
        assert where in caught.value.where
        assert what in caught.value.what

    def test_a_filter_that_is_wider_than_the_voxels_changes_nothing(self):
        changes = {f"{STEP}.transforms.2.point_cloud_range": [-1, -9, -4, 17, 9, 2]}
        assert translated(POINTPILLARS, changes) == translated(POINTPILLARS)

    def test_another_detector_is_refused_with_what_there_is(self):
        with pytest.raises(CompileError, match="MVXFasterRCNN") as caught:
            translate(changed(POINTPILLARS, {"model.type": "MVXFasterRCNN"}), "mine.py")
        assert caught.value.where == "mine.py: model.type"
        assert "CenterPoint" in caught.value.fix


class TestCenterPoint:
    def test_parts_and_settings_are_kept(self):
        found = translated(CENTERPOINT)
        task = build_task(found["processing"])
        assert (found["algo"], task.classes) == ("centerpoint", ("car", "walker"))
        assert task.decoder.bbox_coder.voxel_size == (0.5, 0.5)
        assert (task.decoder.test_cfg.nms_type, task.decoder.test_cfg.min_radius) == ("circle", (4, 0.2))
        build(found["network"])

    def test_heads_are_in_the_order_of_the_outputs(self):
        found = translated(CENTERPOINT)
        names = build_task(found["processing"]).decoder.outputs
        heads = [*found["network"]["pts_bbox_head"]["common_heads"], "heatmap"]
        assert [f"{name}_{task}" for task in (0, 1) for name in heads] == list(names)

    def test_several_sweeps_fill_more_voxels(self):
        sweeps = {**SWEEPS, "use_dim": [0, 1, 2, 3]}
        assert translated(CENTERPOINT, {STEP: sweeps})["input_shape"] == [250]
        assert translated(CENTERPOINT)["input_shape"] == [100]

    def test_a_selection_by_overlap_needs_no_radii(self):
        changes = {"model.test_cfg.pts.nms_type": "rotate", "model.test_cfg.pts.min_radius": MISSING}
        assert build_task(translated(CENTERPOINT, changes)["processing"]).decoder.test_cfg.nms_type == "rotate"

    def test_boxes_may_have_no_velocity(self):
        heads = {"reg": (2, 2), "height": (1, 2), "dim": (3, 2), "rot": (2, 2)}
        changes = {f"{CENTER}.common_heads": heads, f"{CENTER}.bbox_coder.code_size": 7}
        found = translated(CENTERPOINT, changes)
        assert len(build_task(found["processing"]).decoder.outputs) == 10
        with pytest.raises(CompileError, match="code_size=9"):
            translated(CENTERPOINT, {f"{CENTER}.common_heads": heads})

    @pytest.mark.parametrize(
        ("changes", "where", "what"),
        [
            ({f"{CENTER}.separate_head.type": "DCNSeparateHead"}, "separate_head.type", "DCNSeparateHead"),
            ({f"{CENTER}.separate_head.head_conv": 32}, "separate_head.head_conv", "not supported"),
            ({f"{CENTER}.common_heads.iou": (1, 2)}, "common_heads", "iou"),
            ({f"{CENTER}.common_heads": MISSING}, "common_heads", "no common_heads"),
            ({"model.pts_fusion_layer": {"type": "Fusion"}}, "model.pts_fusion_layer", "not supported"),
            ({"model.test_cfg": MISSING}, "model.test_cfg.pts.post_center_limit_range", "post_center_limit_range"),
        ],
    )
    def test_what_would_be_another_model_is_refused(self, changes, where, what):
        with pytest.raises(CompileError) as caught:
            translated(CENTERPOINT, changes)
        assert where in caught.value.where
        assert what in caught.value.what
