"""Detectors of MMDetection as models of ours."""

from __future__ import annotations

import pytest
import yaml

from compiler.config.consistency import check_consistency
from compiler.errors import CompileError, UsageError
from compiler.networks import build
from compiler.openmmlab.model_file import as_yaml
from compiler.openmmlab.translate import translate
from compiler.tasks import build_task
from tests.openmmlab.changes import changed
from tests.openmmlab.published import completed, models, ours, theirs

CONFIG = {
    "model": {
        "type": "RetinaNet",
        "data_preprocessor": {
            "type": "DetDataPreprocessor",
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "bgr_to_rgb": True,
            "pad_size_divisor": 32,
        },
        "backbone": {"type": "ResNet", "depth": 18, "frozen_stages": 1, "norm_cfg": {"type": "BN"}},
        "neck": {
            "type": "FPN",
            "in_channels": [64, 128, 256, 512],
            "out_channels": 256,
            "start_level": 1,
            "add_extra_convs": True,
            "num_outs": 5,
        },
        "bbox_head": {
            "type": "RetinaHead",
            "num_classes": 2,
            "in_channels": 256,
            "anchor_generator": {
                "type": "AnchorGenerator",
                "octave_base_scale": 4,
                "scales_per_octave": 3,
                "ratios": [0.5, 1.0, 2.0],
                "strides": [8, 16, 32, 64, 128],
            },
            "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
        },
        "test_cfg": {"nms_pre": 500, "score_thr": 0.1, "nms": {"type": "nms", "iou_threshold": 0.4}, "max_per_img": 9},
    },
    "test_dataloader": {
        "dataset": {
            "type": "RepeatDataset",
            "dataset": {
                "type": "CocoDataset",
                "metainfo": {"classes": ("apple", "pear")},
                "pipeline": [
                    {"type": "LoadImageFromFile"},
                    {"type": "Resize", "scale": (1000, 600), "keep_ratio": True},
                    {"type": "PackDetInputs"},
                ],
            },
        }
    },
}
DATASET = CONFIG["test_dataloader"]["dataset"]["dataset"]
RESIZE = "test_dataloader.dataset.dataset.pipeline"


@pytest.mark.parametrize("name", models("mmdet"))
def test_a_published_config_is_the_model_in_our_own_file(name):
    mine, translated = ours(name), theirs(name)
    assert completed(translated["network"]) == completed(mine.network)
    said = {"kind": "native", "image_size_input": translated["processing"].get("image_size_input")}
    assert {key: said.get(key, value) for key, value in translated["tail"].items()} == mine.tail
    assert build_task({**translated["processing"], "tail": "native"}) == build_task(mine.processing)
    shapes = ("input_shape", "stride", "smallest_shape", "largest_shape")
    assert [tuple(translated[key]) for key in shapes] == [getattr(mine, key) for key in shapes]


def test_a_config_of_ones_own_gives_a_network_and_its_processing():
    model = translate(CONFIG, "fruit.py")
    task = build_task({**model["processing"], "tail": "native"})
    assert task.classes.names == ("apple", "pear")
    assert (task.test_cfg.nms_pre, task.test_cfg.iou_threshold, task.test_cfg.max_per_img) == (500, 0.4, 9)
    assert (model["input_shape"], model["smallest_shape"], model["largest_shape"]) == (
        [608, 1024],
        [320, 320],
        [1024, 1024],
    )
    assert build(model["network"]).bbox_head.num_classes == 2


@pytest.mark.parametrize(("metainfo", "first"), [({}, "class_0"), ({"CLASSES": ["a", "b"]}, "a")])
def test_classes_have_the_names_that_the_config_gives_and_else_numbers(metainfo, first):
    model = translate(changed(CONFIG, {"test_dataloader.dataset.dataset.metainfo": metainfo}), "x.py")
    assert model["processing"]["classes"]["names"][0] == first


def test_classes_of_a_known_data_set_have_its_names():
    config = changed(CONFIG, {"test_dataloader.dataset.dataset": {**DATASET, "type": "VOCDataset", "metainfo": {}}})
    config["model"]["bbox_head"]["num_classes"] = 20
    assert translate(config, "x.py")["processing"]["classes"]["names"][:2] == ["aeroplane", "bicycle"]


def test_one_class_may_be_named_by_a_text():
    config = changed(CONFIG, {"test_dataloader.dataset.dataset.metainfo": {"classes": "balloon"}})
    config["model"]["bbox_head"]["num_classes"] = 1
    assert translate(config, "x.py")["processing"]["classes"]["names"] == ["balloon"]


PAD = {"type": "Pad", "size": (640, 640), "pad_val": {"img": (114, 114, 114)}}
STEP = {"type": "Resize", "scale": (640, 640), "keep_ratio": True}


def with_steps(*steps):
    return translate(changed(CONFIG, {RESIZE: list(steps)}), "x.py")["processing"]


def test_steps_are_done_in_their_order():
    assert with_steps(STEP, PAD)["pad_size"] == [640, 640]


@pytest.mark.parametrize(
    ("steps", "what"), [((PAD, STEP), "Resize comes after Pad"), ((STEP, STEP), "Resize is there twice")]
)
def test_another_order_of_steps_is_refused(steps, what):
    with pytest.raises(CompileError, match=what) as caught:
        with_steps(*steps)
    assert caught.value.where == f"x.py: {RESIZE}[1]"
    assert "Resize, Pad" in caught.value.why


@pytest.mark.parametrize(
    ("loading", "expected"), [({}, False), ({"color_type": "color"}, False),
                              ({"color_type": "color_ignore_orientation"}, True)]
)  # fmt: skip
def test_how_files_are_turned_is_as_the_config_says(loading, expected):
    task = build_task({**with_steps({"type": "LoadImageFromFile", **loading}, STEP), "tail": "native"})
    assert task.ignore_orientation is expected


@pytest.mark.parametrize("loading", [{"color_type": "grayscale"}, {"to_float32": True}, {"imdecode_backend": "pillow"}])
def test_another_way_to_read_files_is_refused(loading):
    with pytest.raises(CompileError) as caught:
        with_steps({"type": "LoadImageFromFile", **loading}, STEP)
    assert caught.value.where == f"x.py: {RESIZE}[0].{next(iter(loading))}"


def test_a_step_that_does_nothing_is_passed_over():
    still = [{"type": "RandomFlip", "prob": 0.0}, {"type": "Pad", "size_divisor": 1}]
    assert with_steps(STEP, *still) == with_steps(STEP)
    with pytest.raises(CompileError, match="prob=0.5"):
        with_steps(STEP, {"type": "RandomFlip", "prob": 0.5})


def test_what_a_head_clips_to_is_the_image_unless_a_step_pads_it():
    assert with_steps(STEP)["clip_to_image"] is True
    assert "clip_to_image" not in with_steps(STEP, PAD)
    config = changed(CONFIG, {"model.bbox_head.bbox_coder": {"type": "DeltaXYWHBBoxCoder", "clip_border": False}})
    assert "clip_to_image" not in translate(config, "x.py")["processing"]


def test_what_is_padded_twice_with_two_levels_is_refused():
    with pytest.raises(CompileError, match="padded twice"):
        with_steps(STEP, {**PAD, "size": (650, 650)})


def test_a_file_of_classes_is_read(tmp_path):
    (tmp_path / "classes.txt").write_text("apple\npear\n")
    config = changed(CONFIG, {"test_dataloader.dataset.dataset.metainfo": {"classes": "classes.txt"}})
    assert translate(config, str(tmp_path / "x.py"))["processing"]["classes"]["names"] == ["apple", "pear"]


@pytest.mark.parametrize("name", ["data/classes.txt", "classes.txt", "data/classes"])
def test_a_file_of_classes_that_is_not_there_is_no_class(name):
    config = changed(CONFIG, {"test_dataloader.dataset.dataset.metainfo": {"classes": name}})
    config["model"]["bbox_head"]["num_classes"] = 1
    with pytest.raises(CompileError, match="cannot be found") as caught:
        translate(config, "x.py")
    assert caught.value.where == f"x.py: {RESIZE.removesuffix('.pipeline')}.metainfo.classes"


def test_classes_are_those_of_the_training_before_those_of_the_test():
    config = {**CONFIG, "train_dataloader": {"dataset": {"metainfo": {"classes": ("fig", "plum")}}}}
    assert translate(config, "x.py")["processing"]["classes"]["names"] == ["fig", "plum"]


def test_names_that_do_not_fit_the_network_are_kept_and_refused_where_the_model_is_composed():
    config = changed(CONFIG, {"model.bbox_head.num_classes": 80})
    model = translate(config, "x.py")
    assert model["processing"]["classes"]["names"] == ["apple", "pear"]
    with pytest.raises(UsageError, match="tells 80 classes apart, and there are names for 2"):
        check_consistency(model["name"], model)


def test_the_selection_is_written_once():
    written = yaml.safe_load(as_yaml(translate(CONFIG, "x.py")))
    assert written["tail"]["test_cfg"] == "${..processing.test_cfg}"
    assert written["processing"]["test_cfg"]["score_thr"] == 0.1


@pytest.mark.parametrize(("said", "width"), [({"groups": 32}, 128), ({"groups": 32, "base_width": 8}, 256), ({}, 64)])
def test_a_resnext_is_a_resnet_with_groups(said, width):
    config = changed(CONFIG, {"model.backbone": {"type": "ResNeXt", "depth": 50, **said}})
    config["model"]["neck"]["in_channels"] = [256, 512, 1024, 2048]
    assert build(translate(config, "x.py")["network"]).backbone.layer1[0].conv1.out_channels == width


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("model.backbone.type", "SwinTransformer", "model.backbone.type"),
        ("model.backbone.plugins", [{"cfg": {}}], "model.backbone.plugins"),
        ("model.neck.relu_before_extra_convs", True, "model.neck.relu_before_extra_convs"),
        ("model.bbox_head.bbox_coder.type", "LegacyDeltaXYWHBBoxCoder", "model.bbox_head.bbox_coder.type"),
        ("model.bbox_head.anchor_generator.center_offset", 0.5, "model.bbox_head.anchor_generator.center_offset"),
        ("model.test_cfg.nms", {"type": "soft_nms", "iou_threshold": 0.5}, "model.test_cfg.nms.type"),
        ("model.data_preprocessor.pad_value", 114, "model.data_preprocessor.pad_value"),
        (f"{RESIZE}.1.keep_ratio", False, f"{RESIZE}[1].keep_ratio"),
        (f"{RESIZE}", [{"type": "LoadImageFromFile"}], RESIZE),
    ],
)
def test_what_we_do_not_have_is_refused_with_its_place(path, value, where):
    with pytest.raises(CompileError) as caught:
        translate(changed(CONFIG, {path: value}), "x.py")
    assert caught.value.where == f"x.py: {where}"


def test_an_image_that_is_stretched_is_refused_where_the_config_says_nothing():
    with pytest.raises(CompileError, match="keep_ratio=False"):
        translate(changed(CONFIG, {f"{RESIZE}.1": {"type": "Resize", "scale": (640, 640)}}), "x.py")


def test_another_way_to_resize_is_named_with_what_there_is():
    step = {"type": "FixScaleResize", "scale": (800, 1333), "keep_ratio": True, "backend": "pillow"}
    with pytest.raises(CompileError, match="there is no FixScaleResize here") as caught:
        translate(changed(CONFIG, {f"{RESIZE}.1": step}), "x.py")
    assert (caught.value.where, "Resize" in caught.value.fix) == (f"x.py: {RESIZE}[1].type", True)


def test_one_number_is_the_scale_of_both_sides():
    model = translate(changed(CONFIG, {f"{RESIZE}.1.scale": 640}), "x.py")
    assert model["processing"]["scale"] == [640, 640]


def test_a_coder_that_openmmlab_takes_where_the_config_names_none_is_no_other():
    head = {"type": "RTMDetSepBNHead", "num_classes": 2, "in_channels": 256}
    with pytest.raises(CompileError, match="DeltaXYWHBBoxCoder") as caught:
        translate(changed(CONFIG, {"model.bbox_head": head}), "x.py")
    assert caught.value.where == "x.py: model.bbox_head.bbox_coder"


def test_padding_of_two_colours_is_refused():
    config = changed(CONFIG, {f"{RESIZE}.2": {"type": "Pad", "size": (640, 640), "pad_val": {"img": (1, 2, 3)}}})
    with pytest.raises(CompileError, match="not grey"):
        translate(config, "x.py")
