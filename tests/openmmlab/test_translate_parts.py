"""How the keys of an OpenMMLab config are told apart: passed on, converted, assumed, dropped or refused."""

from __future__ import annotations

import pytest

from compiler.errors import CompileError
from compiler.openmmlab.translate import translate
from compiler.openmmlab.translate.parts import ACT, NORM, Part, each, fields, node, pair, within
from tests.openmmlab.changes import changed
from tests.openmmlab.test_translate_detection import CONFIG as DETECTOR

PARTS = {
    "Net": Part(
        "ours.Net",
        keys=("depth", "sizes"),
        children={"neck": {"Neck": Part("ours.Neck", keys=("width",))}},
        convert={"norm_cfg": NORM, "sigma": each(float, count=2), "inner": within(Part(keys=("a",)))},
        dropped=("teacher_*",),
        assumed={"dilations": ((1, 1),), "style": ("pytorch", "caffe")},
        rename={"sizes": "input_size"},
        defaults={"tail": "native"},
        theirs={"style": "pytorch"},
    ),
    "mmdet.Neck": Part("ours.DetectionNeck"),
    "Neck": Part("ours.Neck"),
}


def refused(config: dict) -> CompileError:
    with pytest.raises(CompileError) as caught:
        node(config, PARTS, "model")
    return caught.value


def test_a_node_has_our_class_and_what_it_takes():
    assert node({"type": "Net", "depth": 50, "sizes": (192, 256)}, PARTS, "model") == {
        "_target_": "ours.Net",
        "tail": "native",
        "depth": 50,
        "input_size": [192, 256],
    }


@pytest.mark.parametrize("key", ["init_cfg", "pretrained", "frozen_stages", "loss_bbox", "train_cfg", "teacher_path"])
def test_what_only_training_needs_is_dropped(key):
    assert key not in node({"type": "Net", key: {"type": "Anything"}}, PARTS, "model")


def test_a_key_that_nobody_knows_is_refused_with_its_place_and_the_nearest():
    error = refused({"type": "Net", "depht": 50})
    assert (error.what, error.where) == ("there is no depht in our Net", "model.depht")
    assert "depth" in error.fix


def test_an_unknown_type_is_refused_with_its_place_and_the_nearest():
    error = refused({"type": "Net", "neck": {"type": "Nek"}})
    assert (error.what, error.where) == ("there is no Nek here", "model.neck.type")
    assert "Neck" in error.fix


def test_of_a_list_of_children_the_item_is_named():
    assert node({"type": "Net", "neck": [{"type": "Neck", "width": 8}]}, PARTS, "model")["neck"] == [
        {"_target_": "ours.Neck", "width": 8}
    ]
    assert refused({"type": "Net", "neck": [{"type": "Neck"}, {"type": "No"}]}).where == "model.neck[1].type"


def test_an_assumed_value_is_accepted_as_a_list_or_a_tuple_and_another_is_refused():
    assert "dilations" not in node({"type": "Net", "dilations": [1, 1]}, PARTS, "model")
    error = refused({"type": "Net", "dilations": (1, 2)})
    assert error.where == "model.dilations"
    assert "[1, 1]" in error.why


def test_what_openmmlab_takes_for_a_missing_key_is_checked_too():
    part = Part(assumed={"keep_ratio": (True,)}, theirs={"keep_ratio": False})
    assert fields({"keep_ratio": True}, part, "resize") == {}
    with pytest.raises(CompileError, match="keep_ratio=False"):
        fields({}, part, "resize")


def test_one_number_for_two_is_written_twice_and_a_text_is_refused():
    assert node({"type": "Net", "sigma": 6}, PARTS, "model")["sigma"] == [6.0, 6.0]
    assert refused({"type": "Net", "sigma": "wide"}).where == "model.sigma"


def test_a_size_is_two_whole_numbers():
    assert (pair((640, 480.0), "scale"), pair(640, "scale")) == ([640, 480], [640, 640])
    for wrong in ((640, 480.5), (640,), (640, 0), (640, float("inf")), (True, 640), "640", None):
        with pytest.raises(CompileError) as caught:
            pair(wrong, "resize.scale")
        assert caught.value.where == "resize.scale"


def test_a_mapping_without_a_type_is_checked_as_any_other():
    assert node({"type": "Net", "inner": {"a": 1}}, PARTS, "model")["inner"] == {"a": 1}
    assert refused({"type": "Net", "inner": {"b": 1}}).where == "model.inner.b"


def test_a_normalisation_keeps_what_inference_reads():
    given = {"type": "BN", "eps": 0.001, "requires_grad": True}
    assert NORM(given, "norm_cfg") == {"type": "BN", "eps": 0.001}
    assert NORM(None, "norm_cfg") is None
    assert ACT({"type": "SiLU", "inplace": True}, "act_cfg") == {"type": "SiLU"}


def test_a_normalisation_by_groups_is_refused():
    error = refused({"type": "Net", "norm_cfg": {"type": "GN", "num_groups": 32}})
    assert error.where == "model.norm_cfg.type"
    assert "SyncBN" in error.fix


def test_a_package_names_its_own_part_and_a_foreign_one_none():
    assert node({"type": "mmdet.Neck"}, PARTS, "neck")["_target_"] == "ours.DetectionNeck"
    assert node({"type": "Neck", "_scope_": "mmdet"}, PARTS, "neck")["_target_"] == "ours.DetectionNeck"
    assert node({"type": "mmpose.Neck"}, PARTS, "neck")["_target_"] == "ours.Neck"
    assert refused({"type": "mmpretrain.Neck"}).what == "there is no mmpretrain.Neck here"


@pytest.mark.parametrize("config", [{}, None, {"type": 3}, [], "Net"])
def test_what_has_no_type_is_refused(config):
    assert refused(config).where == "model"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("model.bbox_head", "RTMDetInsSepBNHead"),
        ("model", "YOLOX"),
        ("model.backbone", "ResNeSt"),
        ("model.backbone", "ResNetV1d"),
    ],
)
def test_a_type_that_is_called_nearly_alike_is_no_guess(place, name):
    with pytest.raises(CompileError, match=f"there is no {name} here") as caught:
        translate(changed(DETECTOR, {f"{place}.type": name}), "x.py")
    assert "did you mean" not in caught.value.fix
    assert caught.value.fix.startswith("what is supported here is ")


def test_a_type_with_other_capitals_is_a_slip():
    with pytest.raises(CompileError) as caught:
        translate(changed(DETECTOR, {"model.backbone.type": "Resnet"}), "x.py")
    assert caught.value.fix == "did you mean ResNet?"


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"model": {"type": "RetinaNet"}, "data": {"train": {}, "test": {}}}, "first generation"),
        ({"model": {"type": "YOLODetector"}}, "models of MMYOLO"),
        ({"model": {"type": "RetinaNet"}, "default_scope": "mmyolo"}, "models of MMYOLO"),
        ({"model": {"type": "mmrotate.RetinaNet"}}, "models of mmrotate"),
        ({"model": {"type": "FCN"}, "default_scope": "mmseg"}, "models of mmseg"),
    ],
)
def test_configs_of_other_packages_and_generations_are_told_as_such(config, what):
    with pytest.raises(CompileError, match=what) as caught:
        translate(config, "x.py")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.backbone.plugins", [1]),
        ("model.bbox_head.num_classes", -1),
        ("model.neck.unknown", 3),
        ("model.bbox_head", 7),
        ("model.bbox_head.anchor_generator.center_offset", 0.5),
        ("model.data_preprocessor.mean", [1]),
    ],
)
def test_every_refusal_says_what_to_do(path, value):
    with pytest.raises(CompileError) as caught:
        translate(changed(DETECTOR, {path: value}), "x.py")
    assert caught.value.fix
