"""Pose estimators of MMPose as models of ours."""

from __future__ import annotations

import pytest
import yaml

from compiler.config import config_folder
from compiler.config.instantiate import instantiate
from compiler.errors import CompileError
from compiler.networks import build
from compiler.openmmlab.translate import translate
from compiler.tasks import build_task
from compiler.tasks.pose.keypoints import Keypoints
from tests.openmmlab.changes import changed
from tests.openmmlab.published import completed, models, ours, theirs

CODEC = {"type": "SimCCLabel", "input_size": (192, 256), "sigma": (4.9, 5.66), "normalize": False}
CONFIG = {
    "model": {
        "type": "TopdownPoseEstimator",
        "data_preprocessor": {"type": "PoseDataPreprocessor", "mean": [1, 2, 3], "std": [4, 5, 6], "bgr_to_rgb": True},
        "backbone": {"_scope_": "mmdet", "type": "CSPNeXt", "deepen_factor": 0.167, "out_indices": (4,)},
        "head": {
            "type": "RTMCCHead",
            "in_channels": 1024,
            "out_channels": 3,
            "input_size": (192, 256),
            "in_featuremap_size": (6, 8),
            "gau_cfg": {"hidden_dims": 256, "s": 128, "expansion_factor": 2, "act_fn": "SiLU", "drop_path": 0.1},
            "decoder": CODEC,
        },
        "test_cfg": {"flip_test": True},
    },
    "test_dataloader": {
        "dataset": {
            "type": "CocoDataset",
            "metainfo": {
                "keypoint_info": {
                    0: {"name": "tail", "color": [1, 2, 3], "swap": ""},
                    1: {"name": "left", "color": [4, 5, 6], "swap": "right"},
                    2: {"name": "right", "color": [7, 8, 9], "swap": "left"},
                },
                "skeleton_info": {0: {"link": ("left", "tail"), "color": [9, 9, 9]}},
            },
            "pipeline": [
                {"type": "LoadImage"},
                {"type": "GetBBoxCenterScale", "padding": 1.1},
                {"type": "TopdownAffine", "input_size": (192, 256)},
                {"type": "PackPoseInputs"},
            ],
        }
    },
}


@pytest.mark.parametrize("name", models("mmpose"))
def test_a_published_config_is_the_model_in_our_own_file(name):
    mine, translated = ours(name), theirs(name)
    assert completed(translated["network"]) == completed(mine.network)
    assert translated.get("tail", {}).get("_target_") == (mine.tail or {}).get("_target_")
    expected = build_task(mine.processing)
    assert build_task({**translated["processing"], **({"tail": "native"} if mine.stride else {})}) == expected
    shapes = ("input_shape", "stride", "smallest_shape", "largest_shape")
    assert [tuple(translated.get(key, ())) for key in shapes] == [getattr(mine, key) for key in shapes]


def test_a_config_of_ones_own_gives_a_network_and_its_processing():
    model = translate(CONFIG, "work_dirs/My Model_1.py")
    task = build_task(model["processing"])
    assert model["name"] == "my-model-1"
    assert model["input_shape"] == [256, 192]
    assert (task.padding, task.mean, task.std) == (1.1, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    assert build(model["network"]).head.cls_x.out_features == 384


def test_a_resnext_has_32_groups_unless_the_config_says_otherwise():
    def groups(**said):
        config = changed(CONFIG, {"model.backbone": {"type": "ResNeXt", "depth": 50, **said}})
        convolution = build(translate(config, "x.py")["network"]["backbone"]).layer1[0].conv2
        return convolution.groups, convolution.out_channels

    assert groups() == (32, 128)
    assert groups(groups=64) == (64, 256)
    assert groups(width_per_group=8) == (32, 256)


def test_key_points_are_read_from_the_config():
    points = build_task(translate(CONFIG, "x.py")["processing"]).keypoints
    assert points.names == ("tail", "left", "right")
    assert points.swap == (0, 2, 1)
    assert points.skeleton[0].ends == ("left", "tail")


def test_key_points_that_nobody_describes_are_numbered_and_have_no_sides():
    config = changed(CONFIG, {"test_dataloader.dataset.metainfo": {}, "test_dataloader.dataset.type": "BeeDataset"})
    points = translate(config, "x.py")["processing"]["keypoints"]
    assert (points["names"], points["swap"]) == (["point_0", "point_1", "point_2"], None)


def test_key_points_of_a_known_data_set_have_its_names():
    dataset = CONFIG["test_dataloader"]["dataset"]
    config = changed(CONFIG, {"test_dataloader.dataset": {**dataset, "type": "OneHand10KDataset", "metainfo": {}}})
    config["model"]["head"]["out_channels"] = 21
    assert translate(config, "x.py")["processing"]["keypoints"]["names"][:2] == ["wrist", "thumb1"]


def test_key_points_are_read_from_a_file_beside_the_config(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/bees.py").write_text(
        "dataset_info = dict(keypoint_info={i: dict(name=f'bee{i}') for i in range(3)})"
    )
    config = changed(CONFIG, {"test_dataloader.dataset.metainfo": {"from_file": "configs/bees.py"}})
    names = translate(config, str(tmp_path / "work/x.py"))["processing"]["keypoints"]["names"]
    assert names == ["bee0", "bee1", "bee2"]


def test_a_file_of_key_points_is_seen_from_the_current_folder_first(tmp_path, monkeypatch):
    for folder, bee in (("here", "near"), ("work", "far")):
        (tmp_path / folder).mkdir()
        points = f"dataset_info = dict(keypoint_info={{i: dict(name=f'{bee}{{i}}') for i in range(3)}})"
        (tmp_path / folder / "bees.py").write_text(points)
    config = changed(CONFIG, {"test_dataloader.dataset.metainfo": {"from_file": "bees.py"}})
    monkeypatch.chdir(tmp_path / "here")
    assert translate(config, str(tmp_path / "work/x.py"))["processing"]["keypoints"]["names"][0] == "near0"


def test_a_file_of_key_points_that_is_not_there_is_refused():
    config = changed(CONFIG, {"test_dataloader.dataset.metainfo": {"from_file": "configs/_base_/datasets/bees.py"}})
    with pytest.raises(CompileError, match="bees.py cannot be found") as caught:
        translate(config, "x.py")
    assert caught.value.where == "x.py: test_dataloader.dataset.metainfo.from_file"
    assert caught.value.fix


def test_what_a_model_was_trained_on_names_its_points_before_what_it_is_tested_on():
    info = {"keypoint_info": {index: {"name": f"trained{index}"} for index in range(3)}}
    trained = {"type": "CombinedDataset", "metainfo": info, "datasets": [{"type": "CocoDataset"}]}
    config = {**CONFIG, "train_dataloader": {"dataset": trained}}
    assert translate(config, "x.py")["processing"]["keypoints"]["names"][0] == "trained0"
    other = changed(config, {"train_dataloader.dataset.metainfo.keypoint_info": {0: {"name": "alone"}}})
    assert translate(other, "x.py")["processing"]["keypoints"]["names"][0] == "tail"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("model.backbone.type", "ViT", "x.py: model.backbone.type"),
        ("model.backbone.norm_cfg", {"type": "LN"}, "x.py: model.backbone.norm_cfg.type"),
        ("model.backbone.use_depthwise", True, "x.py: model.backbone.use_depthwise"),
        ("model.head.type", "RTMOHead", "x.py: model.head.type"),
        ("model.head.gau_cfg", {"softmax_att": False}, "x.py: model.head.gau_cfg.softmax_att"),
        ("model.head.decoder", {"type": "SPR"}, "x.py: model.head.decoder.type"),
        ("model.test_cfg.flip_mode", "udp_combined", "x.py: model.test_cfg.flip_mode"),
        ("model.type", "PoseLifter", "x.py: model.type"),
        ("test_dataloader.dataset.pipeline", [{"type": "Blur"}], "x.py: test_dataloader.dataset.pipeline[0].type"),
        ("test_dataloader.dataset.pipeline", [], "x.py: test_dataloader.dataset.pipeline"),
    ],
)
def test_what_we_do_not_have_is_refused_with_its_place(path, value, where):
    with pytest.raises(CompileError) as caught:
        translate(changed(CONFIG, {path: value}), "x.py")
    assert caught.value.where == where


def test_a_crop_of_another_size_than_the_codecs_is_refused():
    with pytest.raises(CompileError, match="not cropped to the codec's input_size"):
        translate(changed(CONFIG, {"test_dataloader.dataset.pipeline.2.input_size": (256, 256)}), "x.py")


@pytest.mark.parametrize("file", sorted((config_folder() / "keypoints").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_set_of_key_points_of_ours_is_one(file):
    assert instantiate(yaml.safe_load(file.read_text()), Keypoints).names


@pytest.mark.parametrize("target", ["payload.X", "os.system", "${oc.env:HOME}", None])
def test_a_config_names_no_class_of_its_own_in_what_is_handed_on_as_it_is(target):
    head = {**CONFIG["model"]["head"]}
    head["gau_cfg"] = {**head["gau_cfg"], "act_fn": {"_target_": target}}
    config = {**CONFIG, "model": {**CONFIG["model"], "head": head}}
    with pytest.raises(CompileError, match="is not one of ours, and is not imported") as caught:
        translate(config, "theirs.py")
    assert caught.value.where == "theirs.py: model.network.head.gau_cfg.act_fn._target_"
