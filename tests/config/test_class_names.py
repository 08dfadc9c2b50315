"""`classes=` and `keypoints=`: names, and with them how many there are."""

from __future__ import annotations

import os

import pytest

from compiler.config import compose
from compiler.config.class_names import mirrored, read_names, unnamed_hints
from compiler.config.overrides import split_sweep
from compiler.errors import UsageError
from compiler.tasks import build_task


def test_classes_set_the_network_and_the_names():
    config = compose(["model=rtmdet-tiny", "classes=[apple,'green pear']"])
    assert config.model.network["bbox_head"]["num_classes"] == 2
    assert config.model.processing["classes"]["names"] == ["apple", "green pear"]
    assert config == compose(
        ["model=rtmdet-tiny", "model.network.bbox_head.num_classes=2",
         "model.processing.classes.names=[apple,'green pear']"]
    )  # fmt: skip


def test_classes_of_a_point_cloud_are_named_the_same_way():
    assert compose(["model=pointpillars", "classes=[car]"]).model.network["bbox_head"]["num_classes"] == 1


def test_classes_in_groups_keep_their_groups():
    names = [f"c{index}" for index in range(10)]
    config = compose(["model=centerpoint", f"classes=[{','.join(names)}]"])
    tasks = config.model.processing["decoder"]["tasks"]
    assert [task["class_names"] for task in tasks][:2] == [["c0"], ["c1", "c2"]]
    assert config.model.network["pts_bbox_head"]["tasks"] == tasks
    assert config.model.processing["classes"] == names
    with pytest.raises(UsageError, match="groups for 10"):
        compose(["model=centerpoint", "classes=[car]"])


def test_key_points_keep_what_is_known_of_their_names():
    config = compose(["model=rtmpose", "+keypoints=[nose,left_eye,right_eye]"])
    points = build_task(config.model.processing).keypoints
    assert config.model.network["head"]["out_channels"] == 3
    assert points.swap == (0, 2, 1)
    assert [link.ends for link in points.skeleton] == [
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye")
    ]  # fmt: skip


def test_a_set_of_ours_is_taken_whole():
    assert compose(["model=yoloxpose", "keypoints=crowdpose"]).model.network["head"]["num_keypoints"] == 14
    assert compose(["model=rtmdet", "classes=voc"]).model.network["bbox_head"]["num_classes"] == 20


def test_a_file_has_a_name_in_each_line(tmp_path):
    (tmp_path / "fruit.txt").write_text("apple\npear \n\nplum\n")
    config = compose(["model=rtmdet-tiny", f"classes={tmp_path / 'fruit.txt'}"])
    assert config.model.processing["classes"]["names"] == ["apple", "pear", "plum"]
    with pytest.raises(UsageError, match="does not exist"):
        read_names(tmp_path / "none.txt", "classes")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_file_of_names_that_never_ends_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a pipe") as caught:
        compose(["model=rtmdet-tiny", f"classes={tmp_path / 'pipe'}"])
    assert caught.value.where == f"classes={tmp_path / 'pipe'}"


@pytest.mark.parametrize(("content", "message"), [(b"a\n" * (1 << 20), "too large"), (b"\xff\xfe", "cannot be read")])
def test_a_file_that_is_no_list_of_names_is_refused(tmp_path, content, message):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_names(tmp_path / "names.txt", "classes")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=crnn", "classes=[a]"], "crnn has no classes to name"),
        (["model=rtmpose", "classes=[a]"], "rtmpose has no classes to name"),
        (["model=rtmdet", "keypoints=[a]"], "rtmdet has no keypoints to name"),
        (["model=rtmdet", "classes=[a,a]"], "each name is there once"),
        (["model=rtmdet", "classes=[]"], "each name is there once"),
        (["model=rtmdet", "classes=1.5"], "no list of names"),
        (["model=rtmdet", "classes=data/none.txt"], "does not exist"),
    ],
)
def test_what_cannot_be_named_is_refused(overrides, message):
    with pytest.raises(UsageError, match=message) as caught:
        compose(overrides)
    assert caught.value.fix


def test_a_sweep_over_names_is_one_job_each():
    assert split_sweep(["model=rtmdet", "classes=[a],[b,c]"]) == [
        ["model=rtmdet", "class_names=[a]"], ["model=rtmdet", "class_names=[b,c]"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "swap"),
    [
        (["nose", "left_ear", "right_ear"], [0, 2, 1]),
        (["Left Ear", "Right Ear", "leftmost"], [1, 0, 2]),
        (["thumb", "palm"], None),
    ],
)
def test_sides_are_told_by_names_and_by_nothing_else(names, swap):
    assert mirrored(names) == swap


def test_a_flip_test_is_refused_where_nobody_knows_the_sides():
    def task(*overrides):
        return build_task(compose(["model=rtmpose", "model.processing.flip_test=true", *overrides]).model.processing)

    assert task("keypoints=[left_a,right_a]").flip_test
    with pytest.raises(UsageError) as caught:
        task("keypoints=[a,b]")
    assert "a flip test needs keypoints.swap" in caught.value.why


def test_names_that_nobody_gave_are_said_to_be_none():
    (hint,) = unnamed_hints(compose(["model=rtmpose", "keypoints=[point_0,point_1]"]).model)
    assert "keypoints=[<names>]" in hint
    assert unnamed_hints(compose(["model=rtmpose", "keypoints=[point_0,nose]"]).model) == ()
